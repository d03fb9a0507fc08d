"""The numbers of a net: one flat vector that optimisers see, and named views into it that layers see.

A second vector holds what is measured rather than trained (running means and variances). Layouts are those of the
model file: convolutions (out, in / groups, row, column), dense layers (out, in).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.layers import Architecture, BatchNorm, weight_shape
from host.nn.shapes import Shape

_STREAM = 10  # the random stream of a seed that starts a net

INITIAL_RULES = ("he", "seed-000", "seed-001")


@dataclass(frozen=True)
class Slot:
    """Where one array lies: in the trained vector, or in the measured one."""

    layer: int
    name: str
    shape: Shape
    start: int
    trained: bool

    @property
    def part(self) -> slice:
        """The elements of the vector that belong to this array."""
        return slice(self.start, self.start + math.prod(self.shape))


def slots(architecture: Architecture) -> tuple[Slot, ...]:
    """Return every array of a net, in the order of the layers."""
    found: list[Slot] = []
    ends = {True: 0, False: 0}
    for index, (layer, inputs) in enumerate(zip(architecture.layers, architecture.shapes, strict=False)):
        shapes: list[tuple[str, Shape, bool]] = []
        if isinstance(layer, BatchNorm):
            channels = inputs[:1]
            shapes = [("scale", channels, True), ("shift", channels, True)]
            shapes += [("mean", channels, False), ("variance", channels, False)]
        elif weight_shape(layer, inputs)[0]:
            shape = weight_shape(layer, inputs)
            shapes = [("weights", shape, True), ("bias", shape[:1], True)]
        for name, shape, trained in shapes:
            found.append(Slot(index, name, shape, ends[trained], trained))
            ends[trained] += math.prod(shape)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Parameters:
    """All numbers of one net; also holds gradients, which have the same layout."""

    architecture: Architecture
    flat: NDArray[Any]  # (trained numbers,)
    measured: NDArray[Any]  # (running means and variances,)

    @cached_property
    def _views(self) -> dict[int, dict[str, NDArray[Any]]]:
        views: dict[int, dict[str, NDArray[Any]]] = {}
        for slot in slots(self.architecture):
            vector = self.flat if slot.trained else self.measured
            views.setdefault(slot.layer, {})[slot.name] = vector[slot.part].reshape(slot.shape)
        return views

    def of(self, layer: int) -> dict[str, NDArray[Any]]:
        """Return the arrays of a layer by name, as views; empty for a layer without numbers."""
        return self._views.get(layer, {})

    @cached_property
    def weighted(self) -> tuple[int, ...]:
        """The indices of the layers that have weights."""
        return tuple(sorted({slot.layer for slot in slots(self.architecture) if slot.name == "weights"}))

    def copy(self) -> "Parameters":
        """Return a copy that shares nothing."""
        return Parameters(self.architecture, self.flat.copy(), self.measured.copy())

    def zeros(self) -> "Parameters":
        """Return a net of the same layout with zeros everywhere."""
        return Parameters(self.architecture, np.zeros_like(self.flat), np.zeros_like(self.measured))

    @cached_property
    def decays(self) -> NDArray[np.bool_]:
        """Which trained numbers are weights, which decay applies to; biases, scales and shifts are not."""
        mask = np.zeros(len(self.flat), np.bool_)
        for slot in slots(self.architecture):
            if slot.name == "weights":
                mask[slot.part] = True
        return mask


def empty(architecture: Architecture, dtype: type[np.floating[Any]] = np.float32) -> Parameters:
    """Return zeros in the layout of a net."""
    sizes = {True: 0, False: 0}
    for slot in slots(architecture):
        sizes[slot.trained] += math.prod(slot.shape)
    return Parameters(architecture, np.zeros(sizes[True], dtype), np.zeros(sizes[False], dtype))


def initial(
    architecture: Architecture, seed: int, rule: str = "he", dtype: type[np.floating[Any]] = np.float32
) -> Parameters:
    """Return a net's first numbers; the same seed gives the same ones to every engine. Biases are zero.

    `he`: normal with deviation √(2 / inputs of one output) (He, Zhang, Ren, Sun: ICCV 2015). `seed-000`: normal × 1e-5.
    `seed-001`: convolutions normal with deviation 1 / √(product of the shape), dense layers normal × 0.01.
    """
    if rule not in INITIAL_RULES:
        raise InputError(f"train: initial: found '{rule}', need one of {', '.join(INITIAL_RULES)}; choose one")
    rng = np.random.default_rng([seed, _STREAM])
    parameters = empty(architecture, dtype)
    for slot in slots(architecture):
        array = parameters.of(slot.layer)[slot.name]
        if slot.name == "weights":
            array[...] = rng.normal(0, _deviation(rule, slot.shape), slot.shape)
        elif slot.name in ("scale", "variance"):
            array[...] = 1
    return parameters


def _deviation(rule: str, shape: Shape) -> float:
    if rule == "he":
        return math.sqrt(2 / math.prod(shape[1:]))
    if rule == "seed-000":
        return 1e-5
    return 0.01 if len(shape) == 2 else 1 / math.sqrt(math.prod(shape))
