"""The dense layers that are compiled into code, as integers, what of them the code cannot hold, and how each of their
sums is requantised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.kernels.unrolled.requantise import Requantise
from host.errors import InputError
from host.quantise.numerics import MULTIPLIER_MAX

CHEAPEST_SHIFT = 3
"""Below it a multiplication is as quick as the rotations."""
CLASSES_MAX = 255
SHIFTS = (16, 24)
"""Whole bytes; every other shift is brought to one of these, the first that will do."""


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
    def lowest(self) -> NDArray[np.int64]:
        """The lowest sum that each output can have, (outputs,)."""
        found: NDArray[np.int64] = self.bias + self.levels * np.minimum(self.weights, 0).sum(axis=1)
        return found

    @property
    def highest(self) -> NDArray[np.int64]:
        """The highest sum that each output can have, (outputs,)."""
        found: NDArray[np.int64] = self.bias + self.levels * np.maximum(self.weights, 0).sum(axis=1)
        return found

    @property
    def multipliers(self) -> list[int]:
        """One for each output."""
        return [int(m) for m in np.broadcast_to(self.multiplier, self.bias.shape)]

    @property
    def sum_bytes(self) -> NDArray[np.int64]:
        """How many bytes hold every sum of each output, (outputs,): 2 or 3, the same for all scores."""
        fits = (self.lowest >= -(2**15)) & (self.highest < 2**15)
        if self.is_scores:
            fits = np.broadcast_to(fits.all(), fits.shape)
        return np.where(fits, 2, 3)

    def rules(self, outputs: tuple[int, ...]) -> tuple[Requantise, ...]:
        """How the sums of `outputs`, which share a block, become activations; nothing for scores."""
        if self.is_scores:
            return ()
        top = self.levels if self.output_levels is None else self.output_levels
        sums, multipliers = self.highest[list(outputs)], np.array(self.multipliers)[list(outputs)]
        # Those of one multiplier have one rule, made for the largest of their sums.
        may_rotate = bool((self.sum_bytes[list(outputs)] == 2).all())
        return tuple(_rule(int(m), self.shift, top, int(sums[multipliers == m].max()), may_rotate) for m in multipliers)


def check(layer: Source, index: int, sum_bits: int) -> None:
    """Raise InputError for what the code cannot hold, its sums having `sum_bits` at most. Whoever asked for code says
    what to do instead."""
    subject = f"layer {index + 1}"
    low, high = int(layer.lowest.min()), int(layer.highest.max())
    if low < -(1 << sum_bits - 1) or high >= 1 << sum_bits - 1:
        raise InputError(f"{subject}: sums: found {low}..{high}, need {sum_bits} bits")
    if layer.is_scores:
        if len(layer.bias) > CLASSES_MAX:
            raise InputError(f"{subject}: classes: found {len(layer.bias)}, need {CLASSES_MAX} at most")
        return
    for multiplier in layer.multipliers:
        if _at_whole_bytes(multiplier, layer.shift) is None:
            raise InputError(
                f"{subject}: requantising: found multiplier {multiplier}, shift {layer.shift}, need one of "
                f"1..{MULTIPLIER_MAX} at shift 16 or 24"
            )


def _at_whole_bytes(multiplier: int, shift: int) -> tuple[int, int] | None:
    """The same rule at one of SHIFTS, where its multiplier then fits 16 bits."""
    for whole in SHIFTS:
        wide = multiplier << max(0, whole - shift)
        scaled, left = divmod(wide, 1 << max(0, shift - whole))
        if left == 0 and 0 < scaled <= MULTIPLIER_MAX:
            return scaled, whole
    return None


def _rule(multiplier: int, shift: int, top: int, highest: int, may_rotate: bool) -> Requantise:
    found = _at_whole_bytes(multiplier, shift)
    assert found is not None
    multiplier, shift = found
    clamp = (highest * multiplier + (1 << (shift - 1))) >> shift > top
    by = shift + 1 - multiplier.bit_length()
    is_power = multiplier & (multiplier - 1) == 0
    rounded = highest + (1 << (by - 1))
    if may_rotate and is_power and by >= CHEAPEST_SHIFT and rounded < 2**15 and rounded >> by <= 0xFF:
        return Requantise(0, by, top, clamp)
    return Requantise(multiplier, shift, top, clamp)
