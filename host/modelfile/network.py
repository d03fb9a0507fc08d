"""What a model file of version 3 holds of a network.

/                 attributes: architecture (JSON, see Architecture.plain), scaling_divisor, and scaling_offset, which is
                  instead int16 (inputs,) where each input of the first trained layer has its own
/layers/0, 1, …   every layer: attribute output_max; convolutions: weights float32 (out, in / groups, row, column),
                  dense layers (out, in), both with bias float32 (out,)
/calibrations/63… by the largest activation: attribute accuracy; densities/0, 1, … float32 (inputs,) or (1,)
/qat/int8/255…    by weight format and largest activation, what was trained for them: see `qat`
/given            of an imported net that was quantised already, its whole numbers: see `given`
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import h5py
import numpy as np

from host.errors import InputError
from host.modelfile.fields import Fields, save_calibrations
from host.modelfile.given import load_given, save_given
from host.modelfile.qat import load_parameters, load_qat, save_qat
from host.nn.layers import Architecture, BatchNorm, Dense, Dropout
from host.nn.limits import MAX_ELEMENTS, MAX_LAYERS, MAX_OFFSET
from host.nn.network import Network, QatResult, Scaling
from host.nn.parameters import slots
from host.nn.plain import from_plain, to_plain

VERSION = 3

ReadQat = Callable[[h5py.File, Fields, Architecture], tuple[QatResult, ...]]


def save(network: Network, file: h5py.File) -> None:
    file.attrs["architecture"] = json.dumps(to_plain(network.architecture))
    offset = network.scaling.offset
    if isinstance(offset, np.ndarray):
        file.create_dataset("scaling_offset", data=offset.astype(np.int16))
    else:
        file.attrs["scaling_offset"] = offset
    file.attrs["scaling_divisor"] = network.scaling.divisor
    for index, top in enumerate(network.output_max):
        group = file.create_group(f"layers/{index}")
        group.attrs["output_max"] = float(top)
        for name, array in network.parameters.of(index).items():
            group.create_dataset(name, data=array.astype(np.float32))
    save_calibrations(file, network.calibrations)
    for result in network.qat:
        save_qat(result, file.create_group(f"qat/{result.format}/{result.top}"))
    if network.given is not None:
        save_given(network.given, file.create_group("given"))


def load(file: h5py.File, fields: Fields, read_qat: ReadQat = load_qat) -> Network:
    """Raise InputError where a field is missing or wrong."""
    architecture = _architecture(file, fields)
    network = Network(
        parameters=load_parameters(file, fields, architecture, "layers"),
        scaling=_scaling(file, fields, architecture),
        labels=fields.labels(file),
        provenance=fields.provenance(fields.group(file, "provenance")),
        output_max=tuple(_range(file, fields, index) for index in range(len(architecture.layers))),
        calibrations=fields.calibrations(file, MAX_LAYERS),
        qat=read_qat(file, fields, architecture),
        given=load_given(file, fields, architecture),
    )
    fields.check_classes(network.labels, architecture.classes)
    return network


def _architecture(file: h5py.File, fields: Fields) -> Architecture:
    described = json.loads(str(fields.attribute(file, "architecture")))
    if isinstance(described, dict) and len(described.get("layers", ())) > MAX_LAYERS:
        raise fields.wrong("architecture.layers", len(described["layers"]), f"at most {MAX_LAYERS}")
    try:
        architecture = from_plain(described)
    except InputError as error:
        raise fields.wrong("architecture", f"a wrong one ({error})", "one that fits together") from error
    sizes = [math.prod(shape) for shape in architecture.shapes] + [
        math.prod(slot.shape) for slot in slots(architecture)
    ]
    if max(sizes) > MAX_ELEMENTS:
        raise fields.wrong("architecture", f"{max(sizes):,} numbers in one array", f"at most {MAX_ELEMENTS:,}")
    if not isinstance(architecture.layers[-1], Dense):
        raise fields.wrong(
            "architecture", f"{type(architecture.layers[-1]).__name__} at its end", "a dense layer there"
        )
    if any(isinstance(layer, BatchNorm | Dropout) for layer in architecture.layers):
        raise fields.wrong("architecture", "BatchNorm or Dropout", "them folded away, as after training")
    return architecture


def _range(file: h5py.File, fields: Fields, index: int) -> float:
    top = float(fields.attribute(fields.group(file, f"layers/{index}"), "output_max"))
    if not (math.isfinite(top) and top >= 0):
        raise fields.wrong(f"layers/{index}.output_max", top, "a finite number of 0 or more")
    return top


def _scaling(file: h5py.File, fields: Fields, architecture: Architecture) -> Scaling:
    divisor = float(fields.attribute(file, "scaling_divisor"))
    if not 0 < divisor < math.inf:
        raise fields.wrong("scaling_divisor", divisor, "a finite number above 0")
    if "scaling_offset" in file:
        offsets = fields.array(file, "scaling_offset", np.int16, 1)
        need = math.prod(architecture.shapes[architecture.fixed])
        if len(offsets) != need:
            raise fields.wrong("scaling_offset", f"{len(offsets)} numbers", f"{need}, one an input")
        return Scaling(offsets, divisor)
    offset = float(fields.attribute(file, "scaling_offset"))
    if not abs(offset) <= MAX_OFFSET:
        raise fields.wrong("scaling_offset", offset, f"{-MAX_OFFSET}..{MAX_OFFSET}")
    return Scaling(int(offset) if offset.is_integer() else offset, divisor)
