"""What a model file holds of numbers that were trained for one weight format and one largest activation.

layers/0, 1, …    attribute output_step (0: not rounded; 0 everywhere: the weights alone were trained for it); weights,
                  bias as the network's own are laid out, with weight_steps float32 (out,)
"""

from __future__ import annotations

import math

import h5py
import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.modelfile.fields import Fields
from host.nn.activations import rectifiers
from host.nn.formats import ACTIVATION_TOPS, WEIGHT_TOPS
from host.nn.layers import Architecture
from host.nn.network import QatResult
from host.nn.parameters import Parameters, empty, slots

_SLACK = 0.01
"""By how much of a step a weight may miss a multiple of it: float32's rounding of the product, many times over."""


def save_qat(result: QatResult, group: h5py.Group) -> None:
    for index, (steps, output_step) in enumerate(zip(result.weight_steps, result.output_steps, strict=True)):
        layer = group.create_group(f"layers/{index}")
        layer.attrs["output_step"] = float(output_step)
        for name, array in result.parameters.of(index).items():
            layer.create_dataset(name, data=array.astype(np.float32))
        if steps is not None:
            layer.create_dataset("weight_steps", data=steps.astype(np.float32))


def load_qat(file: h5py.File, fields: Fields, architecture: Architecture) -> tuple[QatResult, ...]:
    """Read all that there is; raise InputError where a field is missing or wrong."""
    found = []
    for fmt in known_formats(file, fields, "qat"):
        tops = {str(top): top for top in ACTIVATION_TOPS.values()}
        names = list(fields.group(file, f"qat/{fmt}"))
        unknown = [name for name in names if name not in tops]
        if unknown:
            raise fields.wrong(f"qat/{fmt}", unknown[0], f"largest activations among {', '.join(tops)}")
        for name, top in tops.items():
            if name in names:
                found.append(load_result(file, fields, architecture, f"qat/{fmt}/{name}", fmt, top))
    return tuple(found)


def known_formats(file: h5py.File, fields: Fields, folder: str) -> list[str]:
    """The names of formats in a folder, which need not be there, in the order of `WEIGHT_TOPS`."""
    if folder not in file:
        return []
    names = list(fields.group(file, folder))
    unknown = [name for name in names if name not in WEIGHT_TOPS]
    if unknown:
        raise fields.wrong(folder, unknown[0], f"formats among {', '.join(WEIGHT_TOPS)}")
    return [fmt for fmt in WEIGHT_TOPS if fmt in names]


def load_parameters(file: h5py.File, fields: Fields, architecture: Architecture, folder: str) -> Parameters:
    """Read the arrays of every layer from groups `folder`/0, 1, …; raise InputError where one is missing or wrong."""
    parameters = empty(architecture)
    for slot in slots(architecture):
        array = fields.array(fields.group(file, f"{folder}/{slot.layer}"), slot.name, np.float32, len(slot.shape))
        if array.shape != slot.shape:
            raise fields.wrong(f"{folder}/{slot.layer}/{slot.name}", array.shape, str(slot.shape))
        parameters.of(slot.layer)[slot.name][...] = array
    return parameters


def load_result(
    file: h5py.File, fields: Fields, architecture: Architecture, where: str, fmt: str, top: int
) -> QatResult:
    """Read what `save_qat` wrote into the group `where`; raise InputError where a field is missing or wrong."""
    try:
        rounded_at = rectifiers(architecture)
    except InputError as error:
        raise fields.wrong(where, f"a net that cannot be trained for it ({error})", "none") from error
    folder = f"{where}/layers"
    for name in (where, folder):
        fields.group(file, name)
    parameters = load_parameters(file, fields, architecture, folder)
    count = len(architecture.layers)
    weight_steps: list[NDArray[np.float32] | None] = [None] * count
    for slot in slots(architecture):
        if slot.name == "weights":
            weight_steps[slot.layer] = _weight_steps(
                file, fields, f"{folder}/{slot.layer}", parameters, slot.layer, fmt
            )
    steps = [_output_step(file, fields, f"{folder}/{index}") for index in range(count)]
    for index, step in enumerate(steps if any(steps) else ()):
        if (step > 0) is not (index in rounded_at):
            raise fields.wrong(f"{folder}/{index}.output_step", step, "one above 0 behind a ReLU, 0 elsewhere")
    return QatResult(fmt, parameters, tuple(weight_steps), tuple(steps), top)


def _weight_steps(
    file: h5py.File, fields: Fields, where: str, parameters: Parameters, index: int, fmt: str
) -> NDArray[np.float32]:
    steps: NDArray[np.float32] = fields.array(fields.group(file, where), "weight_steps", np.float32, 1)
    weights = parameters.of(index)["weights"]
    if steps.shape != weights.shape[:1] or not np.all(steps > 0):
        raise fields.wrong(
            f"{where}/weight_steps", f"{len(steps)}, the least {steps.min(initial=0)}", f"{len(weights)} above 0"
        )
    if index == len(parameters.architecture.layers) - 1 and not np.all(steps == steps[0]):
        raise fields.wrong(f"{where}/weight_steps", "several steps", "one for all rows, whose sums are compared")
    scaled = weights.reshape(len(steps), -1) / steps[:, None].astype(np.float64)
    codes = np.rint(scaled)
    if np.abs(scaled - codes).max(initial=0) > _SLACK or np.abs(codes).max(initial=0) > WEIGHT_TOPS[fmt]:
        need = f"whole multiples of the row's step up to {WEIGHT_TOPS[fmt]}"
        raise fields.wrong(f"{where}/weights", "others", need)
    return steps


def _output_step(file: h5py.File, fields: Fields, where: str) -> float:
    step = float(fields.attribute(fields.group(file, where), "output_step"))
    if not (math.isfinite(step) and step >= 0):
        raise fields.wrong(f"{where}.output_step", step, "a finite number of 0 or more")
    return step
