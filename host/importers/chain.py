"""A net of floats as a reader of any format puts it together, one step after the other, in the order of the data.

What is linear is folded where that changes no number: batch normalisation and constants into the layer before or
behind, constants at the beginning into the scaling of the input, a layer without activation into a pointwise or dense
one behind it. Arrays are float64 until the net is finished. Maps are (channels, height, width); `place` says where in
the file a step stands, and begins every refusal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.base import Piece, network_of, refused
from host.nn import fold, shapes
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, LayerSpec, MaxPool2d, ReLU
from host.nn.limits import MAX_ALL_ELEMENTS, MAX_ELEMENTS, MAX_LAYERS, MAX_OFFSET
from host.nn.network import Network
from host.nn.scaling import Scaling
from host.nn.shapes import Pads, Pair, Shape, Sides

Floats = NDArray[np.float64]
NO_PADS = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Step:
    """A layer with the place that it comes from, and the shape behind it."""

    place: str
    spec: LayerSpec
    shape: Shape
    weights: Floats | None = None
    bias: Floats | None = None


@dataclass(frozen=True, eq=False)
class Waiting:
    """x · factor + shift, (channels,) or (inputs,), that the next layer with weights takes in."""

    place: str
    factor: Floats
    shift: Floats


class Chain:
    """Steps so far. Every method raises InputError for what a Network cannot hold."""

    def __init__(self, path: Path, input_shape: tuple[int, int, int], scaling: Scaling) -> None:
        self.path = path
        self.scaling = scaling
        self.input_shape = input_shape
        self.notes: list[str] = []
        self._steps: list[Step] = []
        self._waiting: Waiting | None = None
        self._pads: tuple[str, Pads] | None = None
        self._order: NDArray[np.intp] | None = None
        self._elements = 0
        if min(input_shape) < 1:
            raise refused(path, "input", f"shape {input_shape}", "sides from 1", "export the net with a fixed shape")
        self._check_size("input", math.prod(input_shape))

    @property
    def shape(self) -> Shape:
        """What the next step is given."""
        return self._steps[-1].shape if self._steps else self.input_shape

    def conv(
        self,
        place: str,
        weights: NDArray[Any],
        bias: NDArray[Any] | None = None,
        strides: Pair = (1, 1),
        pads: Pads = NO_PADS,
        groups: int = 1,
    ) -> None:
        """Weights (outputs, channels of a group, row, column), bias (outputs,)."""
        if self._pads is not None:
            pads = (*(a + b for a, b in zip(pads, self._pads[1], strict=True)),)  # type: ignore[assignment]
            self._pads = None
        self._check_map(place)
        if weights.ndim != 4 or groups < 1 or weights.shape[1] * groups != self.shape[0]:
            found = f"weights {weights.shape} in {groups} groups for {self.shape[0]} channels"
            raise refused(self.path, place, found, "weights that fit", "export the net again")
        sides = Sides((weights.shape[2], weights.shape[3]), strides, pads)
        shape = self._fitting(place, lambda where: shapes.convolved(len(weights), groups, sides, self.shape, where))
        numbers, biases = self._numbers(place, weights), self._bias(place, bias, len(weights))
        numbers, biases = self._taken_in(place, numbers, biases, groups, is_padded=any(pads))
        spec = Conv2d(len(weights), sides.kernel, strides, pads, groups)
        is_pointwise = (sides.kernel, strides, pads) == ((1, 1), (1, 1), NO_PADS)
        if is_pointwise and self._steps and isinstance(self._steps[-1].spec, Conv2d):
            self._put_behind_conv(place, spec, numbers, biases)
            return
        self._check_rectified()
        self._add(Step(place, spec, shape, numbers, biases))

    def dense(self, place: str, weights: NDArray[Any], bias: NDArray[Any] | None = None) -> None:
        """Weights (outputs, inputs), the inputs in the order that `flatten` was told."""
        if len(self.shape) == 3 and self.shape[1:] == (1, 1):
            self.flatten(place)
        if len(self.shape) != 1 or weights.ndim != 2 or weights.shape[1] != self.shape[0]:
            found = f"weights {weights.shape} for an input of {shapes.text(self.shape)}"
            raise refused(self.path, place, found, "weights that fit", "flatten the map first, or export the net again")
        self._check_no_pads(place)
        if not len(weights):
            raise refused(self.path, place, "no outputs", "one or more", "export the net again")
        numbers, biases = self._numbers(place, weights), self._bias(place, bias, len(weights))
        if self._order is not None:
            numbers, self._order = numbers[:, np.argsort(self._order)], None
        numbers, biases = self._taken_in(place, numbers, biases, 1, is_padded=False)
        before = self._steps[-1] if self._steps else None
        if before is not None and isinstance(before.spec, Dense):
            assert before.weights is not None and before.bias is not None
            self._steps.pop()
            self._check_size(place, len(numbers) * before.weights.shape[1])
            numbers, biases = fold.chained(before.weights, before.bias, numbers, biases)
            self.notes.append(f"{before.place} and {place} with nothing between them are one layer")
        else:
            self._check_rectified()
        self._add(Step(place, Dense(len(numbers)), (len(numbers),), numbers, biases))

    def affine(self, place: str, factor: NDArray[Any], shift: NDArray[Any]) -> None:
        """Put in x · factor + shift: numbers for all, (channels,), or of a vector (inputs,) in its own order."""
        self._check_no_pads(place)
        count = self.shape[0]
        factors, shifts = (self._numbers(place, each).reshape(-1) for each in (factor, shift))
        if not {len(factors), len(shifts)} <= {1, count}:
            found = f"{max(len(factors), len(shifts))} numbers for {shapes.text(self.shape)}"
            raise refused(self.path, place, found, "one for all, or one a channel", "export the net again")
        factors, shifts = (np.broadcast_to(each, (count,)) for each in (factors, shifts))
        if self._order is not None:
            at = np.argsort(self._order)
            factors, shifts = factors[at], shifts[at]
        if self._waiting is not None:
            factors, shifts = factors * self._waiting.factor, self._waiting.shift * factors + shifts
            self._waiting = None
        if not (self._put_into_scaling(factors, shifts) or self._put_before(factors, shifts)):
            self._waiting = Waiting(place, factors, shifts)

    def relu(self, place: str, limit: float | None = None) -> None:
        """max(x, 0), held to a limit if there is one. One behind a flattening goes before it."""
        if limit is not None and not 0 < limit < math.inf:
            raise refused(self.path, place, f"a limit of {limit}", "one above 0", "train the net with a plain ReLU")
        self._check_nothing_waits(place)
        flat = self._steps.pop() if self._steps and isinstance(self._steps[-1].spec, Flatten) else None
        before = self._steps[-1].spec if self._steps else None
        if isinstance(before, ReLU):
            limits = [each for each in (before.limit, limit) if each is not None]
            self._steps[-1] = replace(self._steps[-1], spec=ReLU(min(limits) if limits else None))
        else:
            self._add(Step(place, ReLU(limit), self.shape))
        if flat is not None:
            self._steps.append(flat)

    def max_pool(self, place: str, window: Pair, strides: Pair) -> None:
        self._check_map(place)
        self._check_no_pads(place)
        if self._waiting is not None and (self._waiting.factor < 0).any():
            self._check_nothing_waits(place)
        shape = self._fitting(place, lambda where: shapes.pooled(window, strides, self.shape, where))
        self._add(Step(place, MaxPool2d(window, strides), shape))

    def average_pool(self, place: str, window: Pair, strides: Pair) -> None:
        self._check_map(place)
        self._check_no_pads(place)
        shape = self._fitting(place, lambda where: shapes.pooled(window, strides, self.shape, where))
        if window != strides and shape[1:] != (1, 1):
            found, need = f"windows of {window} every {strides}", "windows that lie side by side"
            raise refused(self.path, place, found, need, "train with strides as large as the windows, or a max-pool")
        self._add(Step(place, AveragePool2d(window), shape))

    def global_average_pool(self, place: str) -> None:
        self._check_map(place)
        self.average_pool(place, self._map_size, self._map_size)

    def global_max_pool(self, place: str) -> None:
        self._check_map(place)
        self.max_pool(place, self._map_size, self._map_size)

    def pad(self, place: str, pads: Pads) -> None:
        """Zeros (top, left, bottom, right) around a map, for the convolution behind."""
        self._check_map(place)
        self._check_no_pads(place)
        if min(pads) < 0:
            raise refused(self.path, place, f"padding {pads}", "none below 0", "crop the images before the net")
        if any(pads):
            self._check_nothing_waits(place)
            self._pads = place, pads

    def flatten(self, place: str, *, channels_last: bool = False) -> None:
        """A map to a vector, by channel, row, column, or as the layers behind count it: by row, column, channel."""
        self._check_no_pads(place)
        if len(self.shape) == 1:
            return
        size = self.shape
        if self._waiting is not None:
            factor, shift = (
                np.repeat(each, math.prod(size[1:])) for each in (self._waiting.factor, self._waiting.shift)
            )
            self._waiting = replace(self._waiting, factor=factor, shift=shift)
        if channels_last and size[0] > 1 and math.prod(size[1:]) > 1:
            self._order = np.arange(math.prod(size), dtype=np.intp).reshape(size).transpose(1, 2, 0).reshape(-1)
        self._add(Step(place, Flatten(), (math.prod(size),)))

    def two_classes(self, place: str) -> None:
        """One score z, behind which a sigmoid is, to the scores (0, z) of two classes."""
        self._check_nothing_waits(place)
        self._end_dense()
        last = self._steps[-1] if self._steps else None
        if last is None or last.spec != Dense(1) or last.weights is None:
            raise refused(self.path, place, f"a sigmoid over {shapes.text(self.shape)}", *_ONE_OF_MANY)
        assert last.bias is not None
        weights, bias = np.concatenate([last.weights * 0, last.weights]), np.concatenate([last.bias * 0, last.bias])
        self._steps[-1] = replace(last, spec=Dense(2), shape=(2,), weights=weights, bias=bias)
        self.notes.append(f"{place} over one score: two classes with the scores 0 and that one")

    def finish(self, source: str, labels: Sequence[str] | None) -> Network:
        """The net. Raises InputError where something is left that no layer took in, or no dense layer is last."""
        self._check_no_pads("end")
        self._check_nothing_waits("end")
        self._end_dense()
        last = self._steps[-1] if self._steps else None
        if last is not None and isinstance(last.spec, ReLU):
            raise refused(self.path, last.place, "it behind the last layer", "scores as they are", "leave it out there")
        if last is None or not isinstance(last.spec, Dense):
            found = "nothing" if last is None else last.place
            raise refused(
                self.path, "end", found, "a dense layer, whose outputs are the scores", "end the net with one"
            )
        if not (abs(self._offset) <= MAX_OFFSET and 0 < self.scaling.divisor < math.inf):
            found = f"an offset of {self._offset} and a divisor of {self.scaling.divisor}"
            raise refused(self.path, "input", found, f"an offset up to {MAX_OFFSET}", "give another --input-range")
        with np.errstate(all="ignore"):
            pieces = [Piece(each.spec, _float32(each.weights), _float32(each.bias)) for each in self._steps]
        return network_of(self.path, source, self.input_shape, pieces, self.scaling, labels)

    @property
    def _offset(self) -> float:
        assert not isinstance(self.scaling.offset, np.ndarray)
        return float(self.scaling.offset)

    @property
    def _map_size(self) -> Pair:
        return self.shape[1], self.shape[2]

    def _add(self, step: Step) -> None:
        self._check_size(step.place, math.prod(step.shape))
        self._steps.append(step)
        if len(self._steps) > MAX_LAYERS:
            raise refused(self.path, step.place, f"layer {len(self._steps)}", f"at most {MAX_LAYERS}", "use fewer")

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

    def _taken_in(
        self, place: str, weights: Floats, bias: Floats, groups: int, *, is_padded: bool
    ) -> tuple[Floats, Floats]:
        """With what waits before this layer."""
        if self._waiting is None:
            return weights, bias
        if is_padded and self._waiting.shift.any():
            found = f"{self._waiting.place} before a convolution with padding"
            raise refused(self.path, place, found, "it right behind a layer with weights", "move it, or pad nothing")
        waiting, self._waiting = self._waiting, None
        return fold.denormalised(weights, bias, waiting.factor, waiting.shift, groups)

    def _put_into_scaling(self, factors: Floats, shifts: Floats) -> bool:
        """One positive factor and one shift for all, before any weights: part of how codes become inputs."""
        is_first = all(isinstance(each.spec, Flatten | MaxPool2d | AveragePool2d) for each in self._steps)
        factor, shift = float(factors[0]), float(shifts[0])
        if not is_first or factor <= 0 or (factors != factor).any() or (shifts != shift).any():
            return False
        divisor = self.scaling.divisor / factor
        offset = self._offset - shift * divisor
        self.scaling = Scaling(int(offset) if offset.is_integer() else offset, divisor)
        return True

    def _put_before(self, factors: Floats, shifts: Floats) -> bool:
        """Into the layer with weights before, over whose outputs at most the maximum was taken."""
        at = len(self._steps) - 1
        while at >= 0 and isinstance(self._steps[at].spec, MaxPool2d) and (factors >= 0).all():
            at -= 1
        step = self._steps[at] if at >= 0 else None
        if step is None or step.weights is None or step.bias is None:
            return False
        weights, bias = fold.normalised(step.weights, step.bias, factors, 0.0, shifts)
        self._steps[at] = replace(step, weights=weights, bias=bias)
        return True

    def _put_behind_conv(self, place: str, spec: Conv2d, weights: Floats, bias: Floats) -> None:
        """A pointwise convolution and the one before it, with nothing between, are one."""
        before = self._steps.pop()
        first = before.spec
        assert isinstance(first, Conv2d) and before.weights is not None and before.bias is not None
        self._check_size(place, before.weights.size * first.groups)
        self._check_size(place, weights.size * spec.groups)
        self._check_size(place, spec.channels * before.weights[0].size * first.groups)
        then = fold.ungrouped(weights, spec.groups)[:, :, 0, 0]
        numbers, biases = fold.chained(fold.ungrouped(before.weights, first.groups), before.bias, then, bias)
        joined = replace(first, channels=spec.channels, groups=1)
        self.notes.append(
            f"{before.place} and {place} with nothing between them are one convolution, of more multiplications: "
            "train with a ReLU between them to keep two"
        )
        self._add(Step(place, joined, (spec.channels, *before.shape[1:]), numbers, biases))

    def _end_dense(self) -> None:
        """A last convolution that sees its whole map at once, or single pixels whose mean is then taken, as Dense."""
        steps = [each for each in self._steps if not isinstance(each.spec, Flatten)]
        pool = steps.pop() if len(steps) > 1 and isinstance(steps[-1].spec, AveragePool2d) else None
        if not steps or not isinstance(steps[-1].spec, Conv2d) or self._steps[-1].shape[1:] not in ((), (1, 1)):
            return
        conv = steps.pop()
        spec, inputs = conv.spec, steps[-1].shape if steps else self.input_shape
        assert isinstance(spec, Conv2d) and conv.weights is not None
        covered = inputs[1:] if pool is None else (1, 1)
        if spec.groups > 1 or any(spec.pads) or spec.kernel_size != covered or (pool and spec.strides != (1, 1)):
            return
        if pool is not None:
            steps.append(Step(pool.place, pool.spec, (inputs[0], *pool.shape[-2:])))
        weights = conv.weights.reshape(spec.channels, -1)
        steps.append(Step(conv.place, Flatten(), (weights.shape[1],)))
        self._steps = [*steps, Step(conv.place, Dense(spec.channels), (spec.channels,), weights, conv.bias)]

    def _last_weighted(self) -> Step | None:
        return next((each for each in reversed(self._steps) if each.weights is not None), None)

    def _check_rectified(self) -> None:
        """Raise InputError unless a ReLU is right behind the last layer with weights, or behind its max-pool."""
        last = self._last_weighted()
        if last is None:
            return
        behind = [each.spec for each in self._steps[self._steps.index(last) + 1 :]][:2]
        if behind and isinstance(behind[0], MaxPool2d):
            behind.pop(0)
        if not behind or not isinstance(behind[0], ReLU):
            need = "one right behind it, or behind its max-pool"
            raise refused(self.path, last.place, "it without ReLU", need, "train the net with one")

    def _check_map(self, place: str) -> None:
        if len(self.shape) != 3:
            found = f"a vector of {self.shape[0]}"
            raise refused(self.path, place, found, "maps (channels, height, width)", "put it before the flattening")

    def _check_no_pads(self, place: str) -> None:
        if self._pads is not None:
            found = f"{self._pads[0]} before {place}"
            raise refused(self.path, self._pads[0], found, "a convolution behind padding", "leave the padding out")

    def _check_nothing_waits(self, place: str) -> None:
        if self._waiting is not None:
            found, need = f"{self._waiting.place} before it", "that right behind a layer with weights"
            raise refused(self.path, place, found, need, "move it there, and train again")

    def _check_size(self, place: str, size: int) -> None:
        if size > MAX_ELEMENTS:
            raise refused(self.path, place, f"{size:,} numbers", f"at most {MAX_ELEMENTS:,}", "give a smaller net")

    def _fitting(self, place: str, shape_of: Callable[[str], Shape]) -> Shape:
        return shape_of(f"{self.path.name}: {place}")


_ONE_OF_MANY = ("one score behind a dense layer, or Softmax", "train the net to choose one class, with Softmax")


def _float32(array: Floats | None) -> NDArray[np.float32] | None:
    return None if array is None else array.astype(np.float32)


def same_pads(inputs: Sequence[int], kernel: Pair, strides: Pair, *, more_at_end: bool = True) -> Pads:
    """The zeros (top, left, bottom, right) with which as many windows fit as steps go into the map (height, width)."""
    totals = [
        max((-(-side // step) - 1) * step + size - side, 0)
        for side, size, step in zip(inputs, kernel, strides, strict=True)
    ]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    begin, end = (less, more) if more_at_end else (more, less)
    return begin[0], begin[1], end[0], end[1]
