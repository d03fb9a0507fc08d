"""The learned family's part of a model file (format version 2).

/                 attributes: architecture (JSON, see Architecture.plain), scaling_offset, scaling_divisor
/layers/0, 1, …   every layer: attribute output_max; convolutions: weights float32 (out, in / groups, row, column),
                  dense layers (out, in), both with bias float32 (out,)
/calibrations/255 attribute accuracy; densities/0, 1, … float32 (1,), one a stage of the int8 net
/tuned/int8 …     where a format has numbers of its own: layers/0, 1, … with attribute output_step (0: not rounded) and,
                  as above, weights and bias, with weight_steps float32 (out,)
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace

import h5py
import numpy as np

from host.deploy.learned_quantise import quantise_learned
from host.deploy.nets import little_endian
from host.errors import InputError
from host.modelfile.fields import MAX_ELEMENTS, Fields, save_calibrations
from host.modelfile.tuned import load_parameters, load_tuned, save_tuned, update_hash
from host.nn.layers import Architecture, BatchNorm, Dropout, from_plain
from host.nn.learned import LearnedNetwork, Scaling
from host.nn.parameters import slots

VERSION = 2
MAX_LAYERS = 64


def content_hash(network: LearnedNetwork) -> str:
    """SHA-256, hexadecimal, over architecture, scaling, weights and ranges."""
    scaling = network.scaling
    facts = [network.architecture.plain(), scaling.offset, scaling.divisor]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for array in (network.parameters.flat.astype(np.float32), np.asarray(network.output_max, np.float64)):
        digest.update(little_endian(array))
    for tuned in sorted(network.tuned, key=lambda tuned: tuned.format):
        update_hash(digest, tuned)
    return digest.hexdigest()


def save(network: LearnedNetwork, file: h5py.File) -> None:
    file.attrs["architecture"] = json.dumps(network.architecture.plain())
    file.attrs["scaling_offset"] = network.scaling.offset
    file.attrs["scaling_divisor"] = network.scaling.divisor
    for index, top in enumerate(network.output_max):
        group = file.create_group(f"layers/{index}")
        group.attrs["output_max"] = float(top)
        for name, array in network.parameters.of(index).items():
            group.create_dataset(name, data=array.astype(np.float32))
    save_calibrations(file, network.calibrations)
    for tuned in network.tuned:
        save_tuned(tuned, file.create_group(f"tuned/{tuned.format}"))


def load(file: h5py.File, fields: Fields) -> LearnedNetwork:
    """Raise InputError where a field is missing or wrong."""
    architecture = _architecture(file, fields)
    network = LearnedNetwork(
        parameters=load_parameters(file, fields, architecture, "layers"),
        scaling=_scaling(file, fields),
        labels=fields.labels(file),
        provenance=fields.provenance(fields.group(file, "provenance")),
        output_max=tuple(_range(file, fields, index) for index in range(len(architecture.layers))),
    )
    fields.check_classes(network.labels, architecture.classes)
    network = replace(network, tuned=load_tuned(file, fields, architecture))
    if "calibrations/255" in file:
        stages = len(quantise_learned(network).stages)
        network = replace(network, calibrations=fields.calibrations(file, stages))
    return network


def _architecture(file: h5py.File, fields: Fields) -> Architecture:
    plain = json.loads(str(fields.attribute(file, "architecture")))
    if isinstance(plain, dict) and len(plain.get("layers", ())) > MAX_LAYERS:
        raise fields.wrong("architecture.layers", len(plain["layers"]), f"at most {MAX_LAYERS}")
    try:
        architecture = from_plain(plain)
    except InputError as error:
        raise fields.wrong("architecture", f"a wrong one ({error})", "one that fits together") from error
    sizes = [math.prod(shape) for shape in architecture.shapes] + [
        math.prod(slot.shape) for slot in slots(architecture)
    ]
    if max(sizes) > MAX_ELEMENTS:
        raise fields.wrong("architecture", f"{max(sizes):,} numbers in one array", f"at most {MAX_ELEMENTS:,}")
    if any(isinstance(layer, BatchNorm | Dropout) for layer in architecture.layers):
        raise fields.wrong("architecture", "BatchNorm or Dropout", "them folded away, as after training")
    return architecture


def _range(file: h5py.File, fields: Fields, index: int) -> float:
    top = float(fields.attribute(fields.group(file, f"layers/{index}"), "output_max"))
    if not (math.isfinite(top) and top >= 0):
        raise fields.wrong(f"layers/{index}.output_max", top, "a finite number of 0 or more")
    return top


def _scaling(file: h5py.File, fields: Fields) -> Scaling:
    offset, divisor = int(fields.attribute(file, "scaling_offset")), float(fields.attribute(file, "scaling_divisor"))
    if not 0 <= offset <= 255:
        raise fields.wrong("scaling_offset", offset, "0..255")
    if not 0 < divisor < math.inf:
        raise fields.wrong("scaling_divisor", divisor, "a finite number above 0")
    return Scaling(offset, divisor)
