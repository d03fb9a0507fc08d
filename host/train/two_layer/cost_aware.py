"""Weights that are cheap as AVR code: most of them zero, the others of few magnitudes, trained as they are deployed.

The optimiser keeps moving ordinary float weights; the loss sees them pruned and rounded (straight-through estimator:
Bengio, Léonard, Courville 2013). Pruned weights keep learning and may come back, since the choice is made anew before
every epoch (Lin et al., "Dynamic model pruning with feedback", ICLR 2020). Late in training the steps of the weights
and of the hidden activations are fixed, and the loss sees what the board will compute but for the rounding of biases.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from host.nn.dense_chain import DenseNumbers
from host.train.two_layer import net as twolayer
from host.train.two_layer.cycle_prices import column_cycles, prune_to, rest_cycles
from host.train.two_layer.net import TwoLayer
from host.train.two_layer.recipe import CheapRecipe

_MAX_SHIFT = 9  # a shift of 16 with a multiplier of 128, the least that exporters use


class FewValued:
    """Rounds weights to the nearest of 0 and ± some whole magnitudes, times a step that is chosen by `fit`."""

    def __init__(self, magnitudes: tuple[int, ...]) -> None:
        self._values = np.array((0, *magnitudes), np.float32)
        self._bounds = (self._values[1:] + self._values[:-1]) / 2
        self.step = 1.0

    def whole(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the whole numbers nearest to weights / step."""
        scaled = weights / np.float32(self.step)
        whole: NDArray[np.float32] = np.copysign(self._values[np.searchsorted(self._bounds, np.abs(scaled))], scaled)
        return whole

    def rounded(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the nearest weights that the board can have."""
        rounded: NDArray[np.float32] = self.whole(weights) * np.float32(self.step)
        return rounded

    def fit(self, weights: NDArray[np.float32]) -> None:
        """Choose the step of least squared rounding error."""
        top = float(np.abs(weights).max(initial=0.0)) or 1.0
        errors = []
        steps = top / float(self._values[-1]) * np.geomspace(0.25, 1.2, 60)
        for self.step in steps:
            errors.append(float(np.square(self.rounded(weights) - weights).sum()))
        self.step = float(steps[int(np.argmin(errors))])

    def limit(self, weights: NDArray[np.float32]) -> None:
        """Hold weights, in place, where a few updates can still bring them to another magnitude."""
        top = np.float32((self._values[-1] + 1) * self.step)
        np.clip(weights, -top, top, out=weights)


@dataclass(eq=False)
class CheapView:
    """What the loss sees of a net in training; `offset` (D,) was taken from the features (N, D) of 0..levels."""

    recipe: CheapRecipe
    features: NDArray[np.uint8]
    offset: NDArray[np.int16]
    activation_step: float = 0.0  # of the hidden activations once they are rounded, in the float net's unit
    _shift: int = 0  # the same: activation = sum / 2^shift
    _kept: NDArray[np.bool_] | None = None
    _rounders: tuple[FewValued, FewValued] = field(init=False)
    _seen: TwoLayer | None = None

    def __post_init__(self) -> None:
        self._rounders = (FewValued(self.recipe.magnitudes[0]), FewValued(self.recipe.magnitudes[1]))
        self._density: NDArray[np.float64] = (self.features > 0).mean(axis=0)
        self._variance = np.square(self.features - self.offset.astype(np.float32)).mean(axis=0)

    def start_epoch(self, epoch: int, net: TwoLayer, x: NDArray[np.float32]) -> None:
        """Prune as far as the schedule is, and fix the steps when it is time; x (N, D) are rows of this epoch."""
        recipe = self.recipe
        done = ((epoch + 1) / recipe.epochs - recipe.prune_from) / (recipe.prune_to - recipe.prune_from)
        if done > 0:
            self._prune(net, min(1.0, done))
        if epoch == int(recipe.quantise_from * recipe.epochs):
            self._fix_steps(net, x)

    def seen(self, net: TwoLayer) -> TwoLayer:
        """Return the net as the loss shall see it; valid until the next call."""
        if self._seen is None:
            self._seen = twolayer.view(np.empty_like(net.flat), *net.shape)
        shown = self._seen
        shown.flat[:] = net.flat
        if self.activation_step:
            shown.w1[:], shown.w2[:] = self._rounders[0].rounded(net.w1), self._rounders[1].rounded(net.w2)
        if self._kept is not None:
            shown.w1[:] *= self._kept
        return shown

    def limit(self, net: TwoLayer) -> None:
        """Keep weights near the magnitudes they can have, in place."""
        if self.activation_step:
            self._rounders[0].limit(net.w1)
            self._rounders[1].limit(net.w2)

    def layers(self, net: TwoLayer) -> tuple[DenseNumbers, ...] | None:
        """Return the layers in whole numbers times powers of two, on raw features; None before steps are fixed."""
        if not self.activation_step:
            return None
        first, second = self._rounders
        kept = np.ones(net.w1.shape, np.bool_) if self._kept is None else self._kept
        w1, w2 = (first.whole(net.w1) * kept).T, second.whole(net.w2).T
        sum_step = first.step / self.recipe.input_scale
        b1 = np.rint(net.b1 / sum_step) - w1.astype(np.float64) @ self.offset
        b2 = np.rint(net.b2 / (second.step * self.activation_step))
        # Another factor of a hidden layer or of all scores changes no class, and powers of two keep floats exact.
        step1 = _power_of_two(sum_step)
        activation = step1 * 2.0**self._shift
        step2 = _power_of_two(second.step * self.activation_step / activation)
        return (
            _dense(w1, b1, step1, step1, self.recipe.levels * activation),
            _dense(w2, b2, step2, step2 * activation, 0.0),
        )

    def _prune(self, net: TwoLayer, done: float) -> None:
        """`done` 0..1: how far the pruning has come, from all cycles to those wished for, fast at first."""
        wish = self.recipe.cycles - rest_cycles(self.recipe.hidden)
        everything = column_cycles(np.ones(net.w1.shape, np.bool_), self._density)
        # How much a weight changes the scores: its own size, its input's spread, and what leaves its unit.
        worth = np.square(net.w1) * self._variance[:, None] * np.square(net.w2).sum(axis=1)
        self._kept = prune_to(worth, self._density, wish + max(0.0, everything - wish) * (1 - done) ** 3)

    def _fix_steps(self, net: TwoLayer, x: NDArray[np.float32]) -> None:
        first, second = self._rounders
        kept = np.ones(net.w1.shape, np.bool_) if self._kept is None else self._kept
        first.fit(net.w1[kept])
        second.fit(net.w2)
        peak = float((x @ (first.rounded(net.w1) * kept) + net.b1).max(initial=0.0))
        sum_step = first.step / self.recipe.input_scale
        peak = max(peak / sum_step, 1.0)
        self._shift = int(np.clip(np.ceil(np.log2(peak / self.recipe.activation_top)), 0, _MAX_SHIFT))
        self.activation_step = sum_step * 2.0**self._shift


def _dense(
    whole: NDArray[np.float32], bias: NDArray[np.float64], step: float, bias_step: float, output_max: float
) -> DenseNumbers:
    weights = np.ascontiguousarray(whole * np.float32(step), np.float32)
    return DenseNumbers(weights, (bias * bias_step).astype(np.float32), None, output_max, step)


def _power_of_two(value: float) -> float:
    return float(2.0 ** np.rint(np.log2(value)))
