"""The dense layers that are compiled into code, as integers, what of them the code cannot hold, and how each of their
sums is requantised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.kernels import layouts
from host.compile.kernels.unrolled.requantise import Requantise
from host.errors import InputError
from host.quantise.numerics import sum_bounds

CHEAPEST_SHIFT = 3
"""Below it a multiplication is as quick as the rotations."""
CLASSES_MAX = 255


@dataclass(frozen=True)
class Source:
    """One dense layer as exported: weights (outputs, inputs) of at most 127, bias (outputs,), inputs of 0..levels.

    `multiplier` is one for all outputs or (outputs,), 0 for scores, which come last. Outputs are 0..`output_levels`, by
    default as the inputs. `source` and `target` are arena offsets of its inputs and outputs. `density` (inputs,) is how
    often each input is not zero; it steers choices between equivalent codes and never changes a result.
    """

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    multiplier: int | NDArray[np.int64]
    shift: int
    levels: int
    source: int
    target: int
    density: NDArray[np.float64]
    output_levels: int | None = None

    @property
    def is_scores(self) -> bool:
        return not np.any(self.multiplier)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """The lowest and the highest sum that each output can have, (2, outputs)."""
        return sum_bounds(self.weights, self.bias, self.levels)

    @property
    def multipliers(self) -> list[int]:
        """One for each output."""
        return [int(m) for m in np.broadcast_to(self.multiplier, self.bias.shape)]

    @property
    def sum_bytes(self) -> NDArray[np.int64]:
        """How many bytes hold every sum of each output, (outputs,): 2 or 3, the same for all scores."""
        lowest, highest = self.bounds
        fits = (lowest >= -(2**15)) & (highest < 2**15)
        if self.is_scores:
            fits = np.broadcast_to(fits.all(), fits.shape)
        return np.where(fits, 2, 3)

    def rules(self, outputs: tuple[int, ...]) -> tuple[Requantise, ...]:
        """How the sums of `outputs`, which share a block, become activations; nothing for scores."""
        if self.is_scores:
            return ()
        top = self.levels if self.output_levels is None else self.output_levels
        sums, multipliers = self.bounds[1, list(outputs)], np.array(self.multipliers)[list(outputs)]
        # Those of one multiplier have one rule, made for the largest of their sums.
        may_rotate = bool((self.sum_bytes[list(outputs)] == 2).all())
        return tuple(_rule(int(m), self.shift, top, int(sums[multipliers == m].max()), may_rotate) for m in multipliers)


def check(layer: Source, index: int, sum_bits: int) -> None:
    """Raise InputError for what the code cannot hold, its sums having `sum_bits` at most. Whoever asked for code says
    what to do instead."""
    refusal = layouts.sums_refusal(layer.bounds, sum_bits) or _end_refusal(layer)
    if refusal is not None:
        raise InputError(f"layer {index + 1}: {refusal}")


def _end_refusal(layer: Source) -> str | None:
    if layer.is_scores:
        return f"found {len(layer.bias)} classes, need {CLASSES_MAX} at most" if len(layer.bias) > CLASSES_MAX else None
    if 0 in layer.multipliers:
        return "found multiplier 0, need one above"
    refusals = (layouts.shift_refusal(*_lowest_terms(multiplier, layer.shift)) for multiplier in layer.multipliers)
    return next((refusal for refusal in refusals if refusal), None)


def _lowest_terms(multiplier: int, shift: int) -> tuple[int, int]:
    """The same rule by an odd multiplier."""
    twos = (multiplier & -multiplier).bit_length() - 1
    return multiplier >> twos, shift - twos


def _rule(multiplier: int, shift: int, top: int, highest: int, may_rotate: bool) -> Requantise:
    found = layouts.at_whole_bytes(*_lowest_terms(multiplier, shift))
    assert found is not None
    multiplier, shift = found
    clamp = (highest * multiplier + (1 << (shift - 1))) >> shift > top
    by = shift + 1 - multiplier.bit_length()
    is_power = multiplier & (multiplier - 1) == 0
    rounded = highest + (1 << (by - 1))
    if may_rotate and is_power and by >= CHEAPEST_SHIFT and rounded < 2**15 and rounded >> by <= 0xFF:
        return Requantise(0, by, top, clamp)
    return Requantise(multiplier, shift, top, clamp)
