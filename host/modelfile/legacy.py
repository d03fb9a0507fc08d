"""Reads model files of versions 1 and 2 for ever; nothing writes them any more.

Version 1, dense layers behind the fixed front end:
/                 attributes: input_shape, front_end, levels
/layers/0, 1, …   weights float32 (out, in), bias float32 (out,), in the first optional input_offset int16 (in,);
                  attribute output_max, and weight_step where the weights were trained on one
/calibrations/63… attribute accuracy; densities/0, 1, … float32 (in,), one a layer

Version 2, any other net: as `network` has it, but that what was trained for 8-bit activations is in tuned/int8….
"""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np

from host.errors import InputError
from host.modelfile import network as current
from host.modelfile.fields import Fields
from host.modelfile.qat import known_formats, load_result
from host.nn.dense_chain import DenseNumbers, join
from host.nn.formats import FRONT_END_TOPS, FULL_TOP, WeightFormat
from host.nn.layers import Architecture
from host.nn.network import Calibration, Network, QatResult

MAX_DENSE = 32


def load_version_2(file: h5py.File, fields: Fields) -> Network:
    """Raise InputError where a field is missing or wrong."""
    return current.load(file, fields, _load_tuned)


def _load_tuned(file: h5py.File, fields: Fields, architecture: Architecture) -> tuple[QatResult, ...]:
    found = []
    for fmt in known_formats(file, fields, "tuned"):
        result = load_result(file, fields, architecture, f"tuned/{fmt}", fmt, FULL_TOP)
        if len(architecture.layers) > 1 and not any(result.output_steps) and any(_is_hidden(result)):
            raise fields.wrong(f"tuned/{fmt}/layers", "no output_step above 0", "one behind each ReLU")
        found.append(result)
    return tuple(found)


def _is_hidden(result: QatResult) -> list[bool]:
    """Of each layer but the last whether it has weights."""
    return [steps is not None for steps in result.weight_steps[:-1]]


def load_version_1(file: h5py.File, fields: Fields) -> Network:
    """Raise InputError where a field is missing or wrong."""
    count = len(fields.group(file, "layers"))
    if not 1 <= count <= MAX_DENSE:
        raise fields.wrong("layers", count, f"1..{MAX_DENSE}")
    layers = tuple(_layer(file, fields, f"layers/{index}") for index in range(count))
    height, width = (int(side) for side in fields.attribute(file, "input_shape"))
    levels = _front_end(file, fields, (height, width))
    _check(layers, (height // 2) * (width // 2), fields)
    labels, source = fields.labels(file), fields.provenance(fields.group(file, "provenance"))
    fields.check_classes(labels, len(layers[-1].bias))
    calibrations = _calibrations(file, layers, fields)
    try:
        return join((height, width), levels, layers, labels, source, calibrations)
    except InputError as error:
        raise fields.wrong("layers", f"wrong ones ({error})", "ones that fit together") from error


def _front_end(file: h5py.File, fields: Fields, shape: tuple[int, int]) -> int:
    """Return the largest code of the front end."""
    name, levels = str(fields.attribute(file, "front_end")), int(fields.attribute(file, "levels"))
    if name != "preconv":
        raise fields.wrong("front_end", name, "preconv")
    if not all(4 <= side <= 64 and side % 2 == 0 for side in shape):
        raise fields.wrong("input_shape", shape, "even sides of 4..64")
    if levels not in FRONT_END_TOPS:
        raise fields.wrong("levels", levels, " or ".join(map(str, FRONT_END_TOPS)))
    return levels


def _layer(file: h5py.File, fields: Fields, name: str) -> DenseNumbers:
    group = fields.group(file, name)
    offset = fields.array(group, "input_offset", np.int16, 1) if "input_offset" in group else None
    return DenseNumbers(
        weights=fields.array(group, "weights", np.float32, 2),
        bias=fields.array(group, "bias", np.float32, 1),
        input_offset=offset,
        output_max=float(fields.attribute(group, "output_max")),
        weight_step=float(group.attrs.get("weight_step", 0.0)),
    )


def _check(layers: tuple[DenseNumbers, ...], inputs: int, fields: Fields) -> None:
    for index, layer in enumerate(layers):
        outputs = layer.weights.shape[0]
        if layer.weights.shape[1] != inputs or not 1 <= outputs <= 255:
            raise fields.wrong(f"layers/{index}/weights", layer.weights.shape, f"(1..255, {inputs})")
        if layer.bias.shape != (outputs,):
            raise fields.wrong(f"layers/{index}/bias", layer.bias.shape, f"({outputs},)")
        if layer.input_offset is not None and (index or layer.input_offset.shape != (inputs,)):
            need = f"({inputs},), in the first layer alone"
            raise fields.wrong(f"layers/{index}/input_offset", layer.input_offset.shape, need)
        if not (np.isfinite(layer.output_max) and layer.output_max >= 0):
            raise fields.wrong(f"layers/{index}.output_max", layer.output_max, "a finite number of 0 or more")
        _check_step(layer, f"layers/{index}.weight_step", bool(layers[0].weight_step), fields)
        inputs = outputs


def _check_step(layer: DenseNumbers, where: str, has_step: bool, fields: Fields) -> None:
    step = layer.weight_step
    top = WeightFormat.INT8.weight_max * step
    if step and not (np.isfinite(top) and np.abs(layer.weights).max(initial=0.0) <= top):
        raise fields.wrong(where, step, "0, or 1/127 of the largest weight")
    if float(np.float32(step)) != step or (step > 0) is not has_step:
        raise fields.wrong(where, step, "a float32, above 0 in every layer or in none")


def _calibrations(file: h5py.File, layers: tuple[DenseNumbers, ...], fields: Fields) -> tuple[Calibration, ...]:
    """Return those of the dense layers, and 1 for the front end, of which nothing was measured."""
    need = [(layer.weights.shape[1],) for layer in layers]
    found = fields.calibrations(file, len(layers))
    for known in found:
        shapes = [density.shape for density in known.densities]
        if shapes != need:
            raise fields.wrong(f"calibrations/{known.top}/densities", shapes, str(need))
    return tuple(replace(known, densities=(np.ones(1, np.float32), *known.densities)) for known in found)
