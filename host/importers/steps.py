"""The layers of a net as a reader of any format puts them together, one after the other, in the order of the data.

Here is what fits on what: shapes, padding, the order in which a map was flattened, how much there may be. What becomes
of the numbers is said by the two kinds of steps: `chain` for nets of floats, `codes` for quantised ones. Arrays are
float64 until the net is finished. Maps are (channels, height, width); `place` says where in the file a step stands, and
begins every refusal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.importers.base import refused
from host.nn import shapes
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, LayerSpec, MaxPool2d
from host.nn.limits import MAX_ALL_ELEMENTS, MAX_ELEMENTS, MAX_LAYERS
from host.nn.shapes import Pads, Pair, Shape, Sides

Floats = NDArray[np.float64]
NO_PADS = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Step:
    """A layer with the place that it comes from, and the shape behind it. `scales` (outputs,): of what steps the
    weights are whole numbers, where they are."""

    place: str
    spec: LayerSpec
    shape: Shape
    weights: Floats | None = None
    bias: Floats | None = None
    scales: Floats | None = None


class Steps:
    """Steps so far. Every method raises InputError for what a Network cannot hold."""

    def __init__(self, path: Path, input_shape: tuple[int, int, int]) -> None:
        self.path = path
        self.input_shape = input_shape
        self.notes: list[str] = []
        self._steps: list[Step] = []
        self._pads: tuple[str, Pads] | None = None
        self._order: NDArray[np.intp] | None = None
        self._elements = 0
        if min(input_shape) < 1:
            need = "sides from 1"
            raise refused(path, "input", f"shape {input_shape}", need, "export the net with a fixed shape")
        self._check_size("input", math.prod(input_shape))

    @property
    def shape(self) -> Shape:
        """What the next step is given."""
        return self._steps[-1].shape if self._steps else self.input_shape

    def sides(self, place: str) -> Pair:
        """(height, width) of the map that a convolution would go over, with the zeros that were put around it."""
        self._check_map(place)
        top, left, bottom, right = NO_PADS if self._pads is None else self._pads[1]
        return self.shape[1] + top + bottom, self.shape[2] + left + right

    def conv(
        self,
        place: str,
        weights: NDArray[Any],
        bias: NDArray[Any] | None = None,
        strides: Pair = (1, 1),
        pads: Pads = NO_PADS,
        groups: int = 1,
        scales: Floats | None = None,
    ) -> None:
        """Weights (outputs, channels of a group, row, column), bias (outputs,)."""
        self._check_map(place)
        if self._pads is not None:
            top, left, bottom, right = (a + b for a, b in zip(pads, self._pads[1], strict=True))
            pads, self._pads = (top, left, bottom, right), None
        if weights.ndim != 4 or groups < 1 or weights.shape[1] * groups != self.shape[0]:
            found = f"weights {weights.shape} in {groups} groups for {self.shape[0]} channels"
            raise refused(self.path, place, found, "weights that fit", "export the net again")
        sides = Sides((weights.shape[2], weights.shape[3]), strides, pads)
        shape = self._fitting(place, lambda where: shapes.convolved(len(weights), groups, sides, self.shape, where))
        spec = Conv2d(len(weights), sides.kernel, strides, pads, groups)
        numbers, biases = self._numbers(place, weights), self._bias(place, bias, len(weights))
        self._put(Step(place, spec, shape, numbers, biases, scales))

    def dense(
        self, place: str, weights: NDArray[Any], bias: NDArray[Any] | None = None, scales: Floats | None = None
    ) -> None:
        """Weights (outputs, inputs), the inputs in the order that `flatten` was told."""
        self._check_no_pads(place)
        if len(self.shape) == 3 and self.shape[1:] == (1, 1):
            self.flatten(place)
        if len(self.shape) != 1 or weights.ndim != 2 or weights.shape[1] != self.shape[0] or not len(weights):
            found = f"weights {weights.shape} for an input of {shapes.text(self.shape)}"
            raise refused(self.path, place, found, "weights that fit", "flatten the map first, or export the net again")
        numbers, biases = self._numbers(place, weights), self._bias(place, bias, len(weights))
        if self._order is not None:
            numbers, self._order = numbers[:, np.argsort(self._order)], None
        self._put(Step(place, Dense(len(numbers)), (len(numbers),), numbers, biases, scales))

    def max_pool(self, place: str, window: Pair, strides: Pair) -> None:
        self._check_map(place)
        self._check_no_pads(place)
        shape = self._fitting(place, lambda where: shapes.pooled(window, strides, self.shape, where))
        self._put(Step(place, MaxPool2d(window, strides), shape))

    def average_pool(self, place: str, window: Pair, strides: Pair) -> None:
        self._check_map(place)
        self._check_no_pads(place)
        shape = self._fitting(place, lambda where: shapes.pooled(window, strides, self.shape, where))
        if window != strides and shape[1:] != (1, 1):
            found, need = f"windows of {window} every {strides}", "windows that lie side by side"
            raise refused(self.path, place, found, need, "train with strides as large as the windows, or a max-pool")
        self._put(Step(place, AveragePool2d(window), shape))

    def global_average_pool(self, place: str) -> None:
        self._check_map(place)
        self.average_pool(place, *[(self.shape[1], self.shape[2])] * 2)

    def global_max_pool(self, place: str) -> None:
        self._check_map(place)
        self.max_pool(place, *[(self.shape[1], self.shape[2])] * 2)

    def pad(self, place: str, pads: Pads) -> None:
        """Zeros (top, left, bottom, right) around a map, for the convolution behind."""
        self._check_map(place)
        self._check_no_pads(place)
        if min(pads) < 0:
            raise refused(self.path, place, f"padding {pads}", "none below 0", "crop the images before the net")
        if any(pads):
            self._pads = place, pads

    def flatten(self, place: str, *, channels_last: bool = False) -> None:
        """A map to a vector, by channel, row, column, or as the layers behind count it: by row, column, channel."""
        self._check_no_pads(place)
        if len(self.shape) == 1:
            return
        size = self.shape
        if channels_last and size[0] > 1 and math.prod(size[1:]) > 1:
            self._order = np.arange(math.prod(size), dtype=np.intp).reshape(size).transpose(1, 2, 0).reshape(-1)
        self._put(Step(place, Flatten(), (math.prod(size),)))

    def _put(self, step: Step) -> None:
        """Add a step, with all that a kind of steps does then."""
        self._check_size(step.place, math.prod(step.shape))
        self._steps.append(step)
        if len(self._steps) > MAX_LAYERS:
            raise refused(self.path, step.place, f"layer {len(self._steps)}", f"at most {MAX_LAYERS}", "use fewer")

    def _last_weighted(self) -> Step | None:
        return next((each for each in reversed(self._steps) if each.weights is not None), None)

    def _numbers(self, place: str, array: NDArray[Any]) -> Floats:
        self._check_size(place, array.size)
        self._elements += array.size
        if self._elements > MAX_ALL_ELEMENTS:
            found = f"{self._elements:,} numbers up to here"
            raise refused(self.path, place, found, f"at most {MAX_ALL_ELEMENTS:,}", "give a smaller net")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            found = "NaN or infinity" if array.dtype.kind == "f" else f"numbers of type {array.dtype}"
            raise refused(self.path, place, found, "finite numbers", "export the net again")
        return array.astype(np.float64)

    def _bias(self, place: str, bias: NDArray[Any] | None, outputs: int) -> Floats:
        if bias is None:
            return np.zeros(outputs)
        if bias.shape != (outputs,):
            found = f"a bias {bias.shape}"
            raise refused(self.path, place, found, f"one of {outputs} numbers", "export the net again")
        return self._numbers(place, bias)

    def _check_last(self, place: str = "end") -> None:
        """Raise InputError unless a dense layer is last."""
        self._check_no_pads(place)
        last = self._steps[-1] if self._steps else None
        if last is None or not isinstance(last.spec, Dense):
            found, need = "nothing" if last is None else last.place, "a dense layer, whose outputs are the scores"
            raise refused(self.path, place, found, need, "end the net with one")

    def _check_map(self, place: str) -> None:
        if len(self.shape) != 3:
            found = f"a vector of {self.shape[0]}"
            raise refused(self.path, place, found, "maps (channels, height, width)", "put it before the flattening")

    def _check_no_pads(self, place: str) -> None:
        if self._pads is not None:
            found = f"it before {place}"
            raise refused(self.path, self._pads[0], found, "a convolution behind padding", "leave the padding out")

    def _check_size(self, place: str, size: int) -> None:
        if size > MAX_ELEMENTS:
            raise refused(self.path, place, f"{size:,} numbers", f"at most {MAX_ELEMENTS:,}", "give a smaller net")

    def _fitting(self, place: str, shape_of: Callable[[str], Shape]) -> Shape:
        try:
            return shape_of(place)
        except InputError as error:
            raise InputError(f"{self.path.name}: {error}") from error


def same_pads(sides: Pair, kernel: Pair, strides: Pair, *, more_at_end: bool = True) -> Pads:
    """The zeros (top, left, bottom, right) with which as many windows fit as steps go into `sides`, (height, width)."""
    totals = [
        max((-(-side // step) - 1) * step + size - side, 0)
        for side, size, step in zip(sides, kernel, strides, strict=True)
    ]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    begin, end = (less, more) if more_at_end else (more, less)
    return begin[0], begin[1], end[0], end[1]


def float32(array: Floats | None) -> NDArray[np.float32] | None:
    """As a model file has it; beyond its range is infinite."""
    return None if array is None else array.astype(np.float32)
