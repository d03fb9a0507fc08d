"""The steps of a net that another tool quantised by putting QuantizeLinear and DequantizeLinear around its layers: its
own whole numbers, which nothing is folded into.

The codes that travel are u8, int8 ones plus 128. A layer is open until it is known in which codes its outputs count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.base import Piece, network_of, refused
from host.importers.multipliers import quantised_multipliers
from host.importers.steps import Floats, Step, Steps, float32
from host.nn.formats import FULL_TOP
from host.nn.given import EXPONENTS, Given, GivenRows
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.nn.network import Network
from host.nn.scaling import Scaling
from host.nn.shapes import Pads

_WEIGHTS = np.iinfo(np.int8)
_BIASES = np.iinfo(np.int32)
_MOST_WEIGHT_BITS = 6
"""64 is the largest power of two that int8 holds."""
_AGAIN = "quantise it again: quant_pre_process, then quantize_static with weight_type QInt8"


class Codes(Steps):
    """A quantised net so far."""

    def __init__(self, path: Path, input_shape: tuple[int, int, int]) -> None:
        super().__init__(path, input_shape)
        self._rows: list[GivenRows | None] = []
        self._now: tuple[float, int] | None = None
        """Scale and zero code of what travels, None before the first and where a layer is open."""
        self._input: tuple[float, int] | None = None
        self._open: int | None = None
        self._sources: tuple[float, int] = (1.0, 0)
        """Scale and zero code of what the open layer was given."""

    def quantise(self, place: str, scale: float, zero: int) -> None:
        """From here on count in codes of `scale`, of which `zero` stands for 0."""
        if not 0 < scale < math.inf or not 0 <= zero <= FULL_TOP:
            raise refused(self.path, place, f"scale {scale}, zero {zero}", "a scale above 0 and a code", _AGAIN)
        if self._input is None:
            self._input = self._now = scale, zero
        elif self._open is not None:
            self._close(self._open, scale, zero)
        elif self._now != (scale, zero):
            found = f"codes of {self._now} made codes of {(scale, zero)}"
            raise refused(self.path, place, found, "the same (scale, zero) on both sides of what computes none", _AGAIN)

    def affine(self, place: str, factor: NDArray[Any], shift: NDArray[Any]) -> None:
        """A bias alone, of the layer before."""
        step = self._steps[-1] if self._open == len(self._steps) - 1 else None
        if step is None or step.bias is None or (factor != 1).any() or shift.size not in (1, len(step.bias)):
            found = "arithmetic between quantised layers"
            raise refused(self.path, place, found, "a bias behind a convolution or dense layer", _AGAIN)
        self._steps[-1] = replace(step, bias=step.bias + self._numbers(place, shift).reshape(-1))

    def relu(self, place: str, limit: float | None = None) -> None:
        """Of an open layer, or what holds the codes of the layer before."""
        if limit is not None and not 0 < limit < math.inf:
            raise refused(self.path, place, f"a limit of {limit}", "one above 0", "train the net with a plain ReLU")
        if self._open is None:
            self._hold(place, limit)
        self._put(Step(place, ReLU(limit), self.shape))

    def pad(self, place: str, pads: Pads) -> None:
        if any(pads) and self._open is not None:
            raise refused(self.path, place, "it behind a layer without QuantizeLinear", "one between", _AGAIN)
        super().pad(place, pads)

    def two_classes(self, place: str) -> None:
        found, need = "a sigmoid over quantised scores", "a score for each class"
        do = "train the net with two outputs and softmax, and ReLU between its layers"
        raise refused(self.path, place, found, need, do)

    def finish(self, engine: str, labels: Sequence[str] | None) -> Network:
        """The net with its numbers. Raises InputError where a layer is still open, or no dense layer is last."""
        if self._open is not None:
            need = "QuantizeLinear behind every layer"
            raise refused(self.path, self._steps[self._open].place, "none behind it", need, _AGAIN)
        if self._steps and isinstance(self._steps[-1].spec, ReLU) and isinstance(self._steps[-2].spec, Dense):
            self._steps.pop()  # its codes are held all the same
            self._rows.pop()
        self._check_last()
        assert self._input is not None
        pieces, reach = [], 0.0
        for step, rows in zip(self._steps, self._rows, strict=True):
            reach = reach if rows is None else rows.reach
            pieces.append(Piece(step.spec, float32(step.weights), float32(step.bias), reach))
        scaling = Scaling(self._input[1], 1 / self._input[0])
        given = Given(engine, tuple(self._rows))
        return network_of(self.path, engine, self.input_shape, pieces, scaling, labels, given)

    @property
    def computed(self) -> int:
        """How many layers have numbers of their own."""
        return sum(rows is not None for rows in self._rows)

    def _put(self, step: Step) -> None:
        if isinstance(step.spec, Conv2d | Dense | AveragePool2d):
            if self._now is None:
                behind = "the input" if self._open is None else self._steps[self._open].place
                raise refused(self.path, step.place, f"it behind {behind}", "QuantizeLinear between", _AGAIN)
            if step.weights is not None and step.scales is None:
                need = "int8 weights behind DequantizeLinear"
                raise refused(self.path, step.place, "float weights in a quantised net", need, _AGAIN)
            self._sources, self._now = self._now, None
            self._open = len(self._steps)
        elif not isinstance(step.spec, ReLU | MaxPool2d | Flatten):
            raise AssertionError(step)
        super()._put(step)
        self._rows.append(None)

    def _close(self, at: int, scale: float, zero: int) -> None:
        """Say in which codes the outputs of the open layer count."""
        step, limits = self._steps[at], [each.spec for each in self._steps[at:] if isinstance(each.spec, ReLU)]
        if isinstance(step.spec, AveragePool2d) and limits:
            raise refused(
                self.path, step.place, "ReLU behind an average pool", "it behind a layer with weights", _AGAIN
            )
        low, high = zero if limits else 0, FULL_TOP
        for each in limits:
            high = high if each.limit is None else min(high, zero + math.floor(min(each.limit / scale, 256.0) + 0.5))
        if isinstance(step.spec, AveragePool2d):
            if (scale, zero) != self._sources or zero:
                self._rows[at] = self._mean_rows(step, step.spec, scale, zero)
        else:
            self._rows[at] = replace(self._rows_of(step, scale, zero), low=low, high=high)
            if low == zero and not limits:  # what is below zero has no code: a ReLU that was left out
                self._steps.insert(at + 1, Step(step.place, ReLU(), step.shape))
                self._rows.insert(at + 1, None)
        self._open, self._now = None, (scale, zero)

    def _rows_of(self, step: Step, scale: float, zero: int) -> GivenRows:
        assert step.weights is not None and step.bias is not None and step.scales is not None
        product = self._sources[0] * np.broadcast_to(step.scales, (len(step.bias),))
        column = step.scales.reshape(-1, *(1,) * (step.weights.ndim - 1))
        weights, bias = np.rint(step.weights / column), np.rint(step.bias / product)
        for what, numbers, kind in (("weights", weights, _WEIGHTS), ("biases", bias, _BIASES)):
            if not ((numbers >= kind.min) & (numbers <= kind.max)).all():
                found = f"{what} of {numbers.min():.0f}..{numbers.max():.0f} steps"
                raise refused(self.path, step.place, found, f"{kind.min}..{kind.max}", _AGAIN)
        multipliers, exponents = self._multipliers(step.place, product / scale)
        return GivenRows(weights.astype(np.int8), bias.astype(np.int32), multipliers, exponents, scale, zero)

    def _mean_rows(self, step: Step, pool: AveragePool2d, scale: float, zero: int) -> GivenRows:
        """A factor below a half is rounded twice: where it is little below, the second rounding meets halves that the
        first made, in up to one of four means. Weights above 1 bring it down to where hardly any is."""
        channels, count = step.shape[0], math.prod(pool.window)
        multipliers, exponents = self._multipliers(step.place, np.full(channels, self._sources[0] / (scale * count)))
        shift, weights = _weight_bits(count, int(exponents[0])), None
        if shift:
            weights = np.full((channels, 1, *pool.window), 1 << shift, np.int8)
        bias = np.zeros(channels, np.int32)
        return GivenRows(weights, bias, multipliers, exponents - np.int32(shift), scale, zero)

    def _multipliers(self, place: str, factors: Floats) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        try:
            return quantised_multipliers(factors)
        except OverflowError as error:
            raise refused(self.path, place, str(error), "less than 2^30 in one of the output", _AGAIN) from error

    def _hold(self, place: str, limit: float | None) -> None:
        """A ReLU over codes: exact through what keeps their order."""
        if self._now is None:
            raise refused(self.path, place, "it before QuantizeLinear", "it behind a layer with weights", _AGAIN)
        scale, zero = self._now
        high = FULL_TOP if limit is None else zero + math.floor(min(limit / scale, 256.0) + 0.5)
        at = next((at for at in reversed(range(len(self._rows))) if self._rows[at] is not None), None)
        between = [step.spec for step in self._steps[0 if at is None else at + 1 :]]
        rows = None if at is None else self._rows[at]
        if rows is None or any(isinstance(spec, AveragePool2d) for spec in between):
            if zero or high < FULL_TOP:
                raise refused(self.path, place, "ReLU behind a pool", "it right behind a layer with weights", _AGAIN)
            return
        assert at is not None
        low, high = max(rows.low, zero), min(rows.high, high)
        if low > high:
            raise refused(self.path, place, "no code that it lets through", "one or more", _AGAIN)
        self._rows[at] = replace(rows, low=low, high=high)


def _weight_bits(count: int, exponent: int) -> int:
    """By how many bits the weights of a mean of `count` codes are above 1: as many as 32-bit sums and exponents leave
    room for, none where the factor is rounded once."""
    if exponent >= 0:
        return 0
    room = (np.iinfo(np.int32).max // (FULL_TOP * count)).bit_length() - 1
    return max(0, min(_MOST_WEIGHT_BITS, room, exponent - EXPONENTS[0]))


def code_of(place: str, path: Path, zero: NDArray[Any]) -> int:
    """The u8 code of a zero point, which may be int8 or uint8."""
    if zero.size != 1 or zero.dtype not in (np.dtype(np.int8), np.dtype(np.uint8)):
        found = f"activations of {zero.dtype} with {zero.size} zero points"
        raise refused(path, place, found, "int8 or uint8, and one for a map", _AGAIN)
    return int(zero.reshape(-1)[0]) + (128 if zero.dtype == np.int8 else 0)
