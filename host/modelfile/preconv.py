"""The pre-convolved family's part of a model file (format version 1).

/                 attributes: input_shape, front_end, levels
/layers/0, 1, …   weights float32 (out, in), bias float32 (out,), optional input_offset int16 (in,);
                  attribute output_max, and weight_step where the weights were trained on one
/calibrations/63… attribute accuracy; densities/0, 1, … float32 (in,), one a layer
"""

from __future__ import annotations

import hashlib
import json

import h5py
import numpy as np

from host.deploy.nets import little_endian
from host.modelfile.fields import Fields, save_calibrations
from host.nn.network import Dense, Network

VERSION = 1
MAX_LAYERS = 32


def content_hash(network: Network) -> str:
    """SHA-256, hexadecimal, over shapes, front end and weights."""
    facts = [network.input_shape, network.front_end, network.levels, [layer.weights.shape for layer in network.layers]]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for layer in network.layers:
        offset = np.zeros(0, np.int16) if layer.input_offset is None else layer.input_offset
        for array in (layer.weights, layer.bias, offset, np.float64(layer.output_max)):
            digest.update(little_endian(np.asarray(array)))
        if layer.weight_step:
            digest.update(little_endian(np.float64(layer.weight_step)))
    return digest.hexdigest()


def save(network: Network, file: h5py.File) -> None:
    file.attrs["input_shape"] = np.array(network.input_shape, np.int64)
    file.attrs["front_end"] = network.front_end
    file.attrs["levels"] = network.levels
    for index, layer in enumerate(network.layers):
        _save_layer(file.create_group(f"layers/{index}"), layer)
    save_calibrations(file, network.calibrations)


def _save_layer(group: h5py.Group, layer: Dense) -> None:
    group.create_dataset("weights", data=layer.weights.astype(np.float32))
    group.create_dataset("bias", data=layer.bias.astype(np.float32))
    if layer.input_offset is not None:
        group.create_dataset("input_offset", data=layer.input_offset.astype(np.int16))
    group.attrs["output_max"] = float(layer.output_max)
    if layer.weight_step:
        group.attrs["weight_step"] = float(layer.weight_step)


def load(file: h5py.File, fields: Fields) -> Network:
    """Raise InputError where a field is missing or wrong."""
    count = len(fields.group(file, "layers"))
    if not 1 <= count <= MAX_LAYERS:
        raise fields.wrong("layers", count, f"1..{MAX_LAYERS}")
    layers = tuple(_layer(file, fields, f"layers/{index}") for index in range(count))
    height, width = (int(side) for side in fields.attribute(file, "input_shape"))
    network = Network(
        input_shape=(height, width),
        front_end=str(fields.attribute(file, "front_end")),
        levels=int(fields.attribute(file, "levels")),
        layers=layers,
        labels=fields.labels(file),
        calibrations=fields.calibrations(file, count),
        provenance=fields.provenance(fields.group(file, "provenance")),
    )
    _check(network, fields)
    return network


def _layer(file: h5py.File, fields: Fields, name: str) -> Dense:
    group = fields.group(file, name)
    offset = fields.array(group, "input_offset", np.int16, 1) if "input_offset" in group else None
    return Dense(
        weights=fields.array(group, "weights", np.float32, 2),
        bias=fields.array(group, "bias", np.float32, 1),
        input_offset=offset,
        output_max=float(fields.attribute(group, "output_max")),
        weight_step=float(group.attrs.get("weight_step", 0.0)),
    )


def _check(network: Network, fields: Fields) -> None:
    height, width = network.input_shape
    if network.front_end != "preconv":
        raise fields.wrong("front_end", network.front_end, "preconv")
    if not (4 <= height <= 64 and 4 <= width <= 64 and height % 2 == 0 and width % 2 == 0):
        raise fields.wrong("input_shape", network.input_shape, "even sides of 4..64")
    if network.levels not in (63, 255):
        raise fields.wrong("levels", network.levels, "63 or 255")
    inputs = (height // 2) * (width // 2)
    for index, layer in enumerate(network.layers):
        outputs = layer.weights.shape[0]
        if layer.weights.shape[1] != inputs or not 1 <= outputs <= 255:
            raise fields.wrong(f"layers/{index}/weights", layer.weights.shape, f"(1..255, {inputs})")
        if layer.bias.shape != (outputs,):
            raise fields.wrong(f"layers/{index}/bias", layer.bias.shape, f"({outputs},)")
        if layer.input_offset is not None and layer.input_offset.shape != (inputs,):
            raise fields.wrong(f"layers/{index}/input_offset", layer.input_offset.shape, f"({inputs},)")
        if not (np.isfinite(layer.output_max) and layer.output_max >= 0):
            raise fields.wrong(f"layers/{index}.output_max", layer.output_max, "a finite number of 0 or more")
        top = 127 * layer.weight_step
        if layer.weight_step and not (np.isfinite(top) and np.abs(layer.weights).max(initial=0.0) <= top):
            raise fields.wrong(f"layers/{index}.weight_step", layer.weight_step, "0, or 1/127 of the largest weight")
        inputs = outputs
    for known in network.calibrations:
        shapes = [density.shape for density in known.densities]
        need = [(layer.weights.shape[1],) for layer in network.layers]
        if shapes != need:
            raise fields.wrong(f"calibrations/{known.levels}/densities", shapes, str(need))
    fields.check_classes(network.labels, inputs)
