"""What a model file holds of the whole numbers of a net that another tool quantised.

/given            attributes: source, pool_center
/given/layers/0…  of layers that have them: attributes scale, zero, low, high; weights int8, laid out as the network's
                  own (of an average pool (channels, 1, height, width), or none for ones), bias, multipliers, exponents
                  int32 (outputs,)
"""

from __future__ import annotations

import math

import h5py
import numpy as np
from numpy.typing import NDArray

from host.modelfile.fields import Fields
from host.nn.formats import FULL_TOP
from host.nn.given import EXPONENTS, Given, GivenRows
from host.nn.layers import Architecture, AveragePool2d, Conv2d, Dense, weight_shape
from host.nn.limits import MAX_NAME


def save_given(given: Given, group: h5py.Group) -> None:
    group.attrs["source"] = given.source
    group.attrs["pool_center"] = given.pool_center
    for index, rows in enumerate(given.layers):
        if rows is None:
            continue
        layer = group.create_group(f"layers/{index}")
        for name in ("scale", "zero", "low", "high"):
            layer.attrs[name] = getattr(rows, name)
        for name in ("weights", "bias", "multipliers", "exponents"):
            if (array := getattr(rows, name)) is not None:
                layer.create_dataset(name, data=array)


def load_given(file: h5py.File, fields: Fields, architecture: Architecture) -> Given | None:
    """None where there is nothing; raise InputError where a field is missing or wrong."""
    if "given" not in file:
        return None
    group = fields.group(file, "given")
    source = str(fields.attribute(group, "source"))
    if not (source.isprintable() and 1 <= len(source) <= MAX_NAME):
        raise fields.wrong("given.source", repr(source), f"1..{MAX_NAME} printable letters")
    layers = tuple(_rows(file, fields, architecture, index) for index in range(len(architecture.layers)))
    return Given(source, layers, _code(fields, group, "pool_center"))


def _rows(file: h5py.File, fields: Fields, architecture: Architecture, index: int) -> GivenRows | None:
    layer, inputs = architecture.layers[index], architecture.shapes[index]
    name = f"given/layers/{index}"
    if name not in file:
        if isinstance(layer, Conv2d | Dense):
            raise fields.wrong(name, "nothing", "the whole numbers of every layer with weights", _AGAIN)
        return None
    if not isinstance(layer, Conv2d | Dense | AveragePool2d):
        raise fields.wrong(name, type(layer).__name__, "a convolution, dense layer or average pool", _AGAIN)
    group = fields.group(file, name)
    outputs = architecture.shapes[index + 1][0]
    weights: NDArray[np.int8] | None = None
    if not isinstance(layer, AveragePool2d) or "weights" in group:
        shape = (outputs, 1, *layer.window) if isinstance(layer, AveragePool2d) else weight_shape(layer, inputs)
        weights = fields.array(group, "weights", np.int8, len(shape))
        if weights.shape != shape:
            raise fields.wrong(f"{name}/weights", weights.shape, str(shape), _AGAIN)
    bias, multipliers, exponents = (
        fields.array(group, each, np.int32, 1) for each in ("bias", "multipliers", "exponents")
    )
    if not len(bias) == len(multipliers) == len(exponents) == outputs:
        raise fields.wrong(name, f"{len(bias)}, {len(multipliers)}, {len(exponents)} rows", f"{outputs}", _AGAIN)
    if multipliers.min() < 0 or exponents.min() < EXPONENTS[0] or exponents.max() > EXPONENTS[1]:
        found = f"multipliers from {multipliers.min()}, exponents {exponents.min()}..{exponents.max()}"
        raise fields.wrong(name, found, f"0 or more, and {EXPONENTS[0]}..{EXPONENTS[1]}", _AGAIN)
    scale = float(fields.attribute(group, "scale"))
    if not 0 < scale < math.inf:
        raise fields.wrong(f"{name}.scale", scale, "a finite number above 0", _AGAIN)
    zero, low, high = (_code(fields, group, each) for each in ("zero", "low", "high"))
    if low > high:
        raise fields.wrong(f"{name}.low", low, f"at most the high code, {high}", _AGAIN)
    return GivenRows(weights, bias, multipliers, exponents, scale, zero, low, high)


_AGAIN = "import it again with `host import`"


def _code(fields: Fields, group: h5py.Group, name: str) -> int:
    code = int(fields.attribute(group, name))
    if not 0 <= code <= FULL_TOP:
        raise fields.wrong(f"{group.name}.{name}".strip("/"), code, f"a code of 0..{FULL_TOP}", _AGAIN)
    return code
