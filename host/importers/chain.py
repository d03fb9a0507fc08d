"""The steps of a net of floats. What is linear is folded where that changes no number: batch normalisation and
constants into the layer before or behind, constants at the beginning else into the scaling of the input, a layer
without activation into a pointwise or dense one behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.base import Piece, network_of, refused
from host.importers.steps import Floats, Step, Steps, float32
from host.nn import fold, shapes
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.nn.limits import MAX_OFFSET
from host.nn.network import Network
from host.nn.scaling import Scaling
from host.nn.shapes import Pads

_ONE_OF_MANY = (
    "one score behind a dense layer, or Softmax",
    "train the net to choose one class, with Softmax, and ReLU between its layers",
)


@dataclass(frozen=True, eq=False)
class Waiting:
    """Of x · factor + shift, (channels,) or (inputs,): what the next layer with weights takes in."""

    place: str
    factor: Floats
    shift: Floats


class Chain(Steps):
    """A net of floats so far."""

    def __init__(self, path: Path, input_shape: tuple[int, int, int], scaling: Scaling) -> None:
        super().__init__(path, input_shape)
        self.scaling = scaling
        self._waiting: Waiting | None = None

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
        if not self._put_before(factors, shifts):
            self._waiting = Waiting(place, factors, shifts)

    def relu(self, place: str, limit: float | None = None) -> None:
        """Put in max(x, 0), held to a limit if there is one. One behind a flattening goes before it."""
        if limit is not None and not 0 < limit < math.inf:
            raise refused(self.path, place, f"a limit of {limit}", "one above 0", "train the net with a plain ReLU")
        self._settle(place)
        flat = self._steps.pop() if self._steps and isinstance(self._steps[-1].spec, Flatten) else None
        before = self._steps[-1].spec if self._steps else None
        if isinstance(before, ReLU):
            limits = [each for each in (before.limit, limit) if each is not None]
            self._steps[-1] = replace(self._steps[-1], spec=ReLU(min(limits) if limits else None))
        else:
            super()._put(Step(place, ReLU(limit), self.shape))
        if flat is not None:
            self._steps.append(flat)

    def pad(self, place: str, pads: Pads) -> None:
        if any(pads):
            self._settle(place)
        super().pad(place, pads)

    def two_classes(self, place: str) -> None:
        """One score z, behind which a sigmoid is, to the scores (0, z) of two classes."""
        self._settle(place)
        self._end_dense()
        last = self._steps[-1] if self._steps else None
        if last is None or last.spec != Dense(1) or last.weights is None or last.bias is None:
            raise refused(self.path, place, f"a sigmoid over {shapes.text(self.shape)}", *_ONE_OF_MANY)
        weights, bias = np.concatenate([last.weights * 0, last.weights]), np.concatenate([last.bias * 0, last.bias])
        self._steps[-1] = replace(last, spec=Dense(2), shape=(2,), weights=weights, bias=bias)
        self.notes.append(f"{place} over one score: two classes with the scores 0 and that one")

    def finish(self, engine: str, labels: Sequence[str] | None, content: bytes | None = None) -> Network:
        """The net. Raises InputError where something is left that no layer took in, or no dense layer is last."""
        self._settle("end")
        self._end_dense()
        if self._steps and isinstance(self._steps[-1].spec, ReLU):
            need, do = "scores as they are", "leave it out there"
            raise refused(self.path, self._steps[-1].place, "it behind the last layer", need, do)
        self._check_last()
        if not (abs(self._offset) <= MAX_OFFSET and 0 < self.scaling.divisor < math.inf):
            found = f"an offset of {self._offset} and a divisor of {self.scaling.divisor}"
            raise refused(self.path, "input", found, f"an offset up to {MAX_OFFSET}", "give another --input-range")
        with np.errstate(all="ignore"):
            pieces = [Piece(each.spec, float32(each.weights), float32(each.bias)) for each in self._steps]
        return network_of(self.path, engine, self.input_shape, pieces, self.scaling, labels, content=content)

    @property
    def _offset(self) -> float:
        assert not isinstance(self.scaling.offset, np.ndarray)
        return float(self.scaling.offset)

    def _put(self, step: Step) -> None:
        if isinstance(step.spec, Conv2d | Dense):
            self._put_weighted(self._with_waiting(step))
            return
        if self._waiting is not None and isinstance(step.spec, Flatten):
            each = math.prod(self.shape[1:])
            factor, shift = np.repeat(self._waiting.factor, each), np.repeat(self._waiting.shift, each)
            self._waiting = replace(self._waiting, factor=factor, shift=shift)
        elif self._waiting is not None and isinstance(step.spec, MaxPool2d) and (self._waiting.factor < 0).any():
            self._settle(step.place)
        super()._put(step)

    def _put_weighted(self, step: Step) -> None:
        """A layer with weights, made one with the layer before where nothing is between that keeps them two."""
        before = self._steps[-1] if self._steps else None
        if before is not None and isinstance(before.spec, Dense):
            self._steps.pop()
            super()._put(self._joined(before, step))
        elif before is not None and isinstance(before.spec, Conv2d) and _is_pointwise(step.spec):
            self._steps.pop()
            super()._put(self._joined_convs(before, step))
        else:
            self._check_rectified()
            super()._put(step)

    def _with_waiting(self, step: Step) -> Step:
        if self._waiting is None:
            return step
        assert step.weights is not None and step.bias is not None
        spec, waiting = step.spec, self._waiting
        if isinstance(spec, Conv2d) and any(spec.pads) and waiting.shift.any():
            self._settle(f"{step.place} with padding")  # zeros are put around what is behind the shift
            return step
        self._waiting = None
        groups = spec.groups if isinstance(spec, Conv2d) else 1
        weights, bias = fold.denormalised(step.weights, step.bias, waiting.factor, waiting.shift, groups)
        return replace(step, weights=weights, bias=bias)

    def _joined(self, first: Step, then: Step) -> Step:
        """Two dense layers as one."""
        assert first.weights is not None and first.bias is not None
        assert then.weights is not None and then.bias is not None
        self._check_size(then.place, len(then.weights) * first.weights.shape[1])
        weights, bias = fold.chained(first.weights, first.bias, then.weights, then.bias)
        self.notes.append(f"{first.place} and {then.place} with nothing between them are one layer")
        return replace(then, weights=weights, bias=bias)

    def _joined_convs(self, first: Step, then: Step) -> Step:
        """A convolution and a pointwise one as one."""
        spec, pointwise = first.spec, then.spec
        assert isinstance(spec, Conv2d) and isinstance(pointwise, Conv2d)
        assert first.weights is not None and first.bias is not None
        assert then.weights is not None and then.bias is not None
        self._check_size(then.place, first.weights.size * spec.groups)
        self._check_size(then.place, then.weights.size * pointwise.groups)
        self._check_size(then.place, pointwise.channels * first.weights[0].size * spec.groups)
        last = fold.ungrouped(then.weights, pointwise.groups)[:, :, 0, 0]
        weights, bias = fold.chained(fold.ungrouped(first.weights, spec.groups), first.bias, last, then.bias)
        self.notes.append(
            f"{first.place} and {then.place} with nothing between them are one convolution"
            + (", of more multiplications: train with a ReLU between them to keep two" if spec.groups > 1 else "")
        )
        return replace(then, spec=replace(spec, channels=pointwise.channels, groups=1), weights=weights, bias=bias)

    def _put_into_scaling(self, waiting: Waiting) -> bool:
        """One positive factor and one shift for all, before any weights: part of how codes become inputs."""
        is_first = all(isinstance(each.spec, Flatten | MaxPool2d | AveragePool2d) for each in self._steps)
        factor, shift = float(waiting.factor[0]), float(waiting.shift[0])
        is_one = (waiting.factor == factor).all() and (waiting.shift == shift).all()
        if not (is_first and is_one and factor > 0):
            return False
        divisor = self.scaling.divisor / factor
        offset = self._offset - shift * divisor
        self.scaling = Scaling(int(offset) if offset.is_integer() else offset, divisor)
        self.notes.append(f"{waiting.place} is part of the input's scaling: floats are given as they are behind it")
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
        moves_on = pool is not None and (spec.strides != (1, 1) or pool.shape[1:] != (1, 1))
        if spec.groups > 1 or any(spec.pads) or spec.kernel_size != covered or moves_on:
            return
        if pool is not None:
            steps.append(Step(pool.place, pool.spec, (inputs[0], 1, 1)))
        weights = conv.weights.reshape(spec.channels, -1)
        steps.append(Step(conv.place, Flatten(), (weights.shape[1],)))
        self._steps = [*steps, Step(conv.place, Dense(spec.channels), (spec.channels,), weights, conv.bias)]

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

    def _settle(self, place: str) -> None:
        """Before what nothing can be taken through: put what waits into the scaling, or raise InputError."""
        if self._waiting is None:
            return
        if not self._put_into_scaling(self._waiting):
            found, need = f"{self._waiting.place} before it", "that right behind a layer with weights"
            raise refused(self.path, place, found, need, "move it there, and train again")
        self._waiting = None


def _is_pointwise(spec: object) -> bool:
    return isinstance(spec, Conv2d) and (spec.kernel, spec.stride, spec.padding) == (1, 1, 0)
