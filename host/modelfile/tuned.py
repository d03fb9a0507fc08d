"""What a learned model file holds of numbers that were trained for one weight format; see `model_learned`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import h5py
import numpy as np
from numpy.typing import NDArray

from host.deploy.nets import little_endian
from host.errors import InputError
from host.modelfile.fields import Fields
from host.nn.layers import Architecture
from host.nn.learned import Tuned
from host.nn.parameters import Parameters, empty, slots
from host.train.qat.recipe import WEIGHT_TOPS
from host.train.qat.scales import rectifiers

if TYPE_CHECKING:
    from hashlib import _Hash

_SLACK = 0.01
"""By how much of a step a weight may miss a multiple of it: float32's rounding of the product, many times over."""


def update_hash(digest: _Hash, tuned: Tuned) -> None:
    """Let `digest` take in everything that determines the scores."""
    digest.update(tuned.format.encode())
    for steps in tuned.weight_steps:
        if steps is not None:
            digest.update(little_endian(steps.astype(np.float32)))
    digest.update(little_endian(np.asarray(tuned.output_steps, np.float64)))
    digest.update(little_endian(tuned.parameters.flat.astype(np.float32)))


def save_tuned(tuned: Tuned, group: h5py.Group) -> None:
    for index, (steps, output_step) in enumerate(zip(tuned.weight_steps, tuned.output_steps, strict=True)):
        layer = group.create_group(f"layers/{index}")
        layer.attrs["output_step"] = float(output_step)
        for name, array in tuned.parameters.of(index).items():
            layer.create_dataset(name, data=array.astype(np.float32))
        if steps is not None:
            layer.create_dataset("weight_steps", data=steps.astype(np.float32))


def load_tuned(file: h5py.File, fields: Fields, architecture: Architecture) -> tuple[Tuned, ...]:
    """Raise InputError where a field is missing or wrong."""
    if "tuned" not in file:
        return ()
    names = list(fields.group(file, "tuned"))
    unknown = [name for name in names if name not in WEIGHT_TOPS]
    if unknown:
        raise fields.wrong("tuned", unknown[0], f"formats among {', '.join(WEIGHT_TOPS)}")
    return tuple(_tuned(file, fields, architecture, fmt) for fmt in WEIGHT_TOPS if fmt in names)


def load_parameters(file: h5py.File, fields: Fields, architecture: Architecture, folder: str) -> Parameters:
    """Read the arrays of every layer from groups `folder`/0, 1, …; raise InputError where one is missing or wrong."""
    parameters = empty(architecture)
    for slot in slots(architecture):
        array = fields.array(fields.group(file, f"{folder}/{slot.layer}"), slot.name, np.float32, len(slot.shape))
        if array.shape != slot.shape:
            raise fields.wrong(f"{folder}/{slot.layer}/{slot.name}", array.shape, str(slot.shape))
        parameters.of(slot.layer)[slot.name][...] = array
    return parameters


def _tuned(file: h5py.File, fields: Fields, architecture: Architecture, fmt: str) -> Tuned:
    try:
        rounded_at = rectifiers(architecture)
    except InputError as error:
        raise fields.wrong(f"tuned/{fmt}", f"a net that cannot be tuned ({error})", "none") from error
    folder = f"tuned/{fmt}/layers"
    for name in (f"tuned/{fmt}", folder):
        fields.group(file, name)
    parameters = load_parameters(file, fields, architecture, folder)
    count = len(architecture.layers)
    weight_steps: list[NDArray[np.float32] | None] = [None] * count
    for slot in slots(architecture):
        if slot.name == "weights":
            weight_steps[slot.layer] = _weight_steps(
                file, fields, f"{folder}/{slot.layer}", parameters, slot.layer, fmt
            )
    output_steps = tuple(_output_step(file, fields, f"{folder}/{index}", index in rounded_at) for index in range(count))
    return Tuned(fmt, parameters, tuple(weight_steps), output_steps)


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


def _output_step(file: h5py.File, fields: Fields, where: str, is_rounded: bool) -> float:
    step = float(fields.attribute(fields.group(file, where), "output_step"))
    if not (math.isfinite(step) and (step > 0 if is_rounded else step == 0)):
        raise fields.wrong(f"{where}.output_step", step, "a finite number above 0" if is_rounded else "0")
    return step
