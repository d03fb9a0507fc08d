"""Weights that are cheap as AVR code: most of them zero, the others of few magnitudes, trained as they are deployed.

The optimiser keeps moving ordinary float weights; the loss sees them pruned and rounded (straight-through estimator:
Bengio, Léonard, Courville 2013). Pruned weights keep learning and may come back, since the choice is made anew before
every epoch (Lin et al., "Dynamic model pruning with feedback", ICLR 2020). Late in training the steps of the weights
and of the hidden activations are fixed, and the loss sees what the board will compute but for the rounding of biases.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.layers import Architecture, Dense, Flatten, ReLU
from host.nn.network import QatResult, Scaling
from host.nn.parameters import Parameters, empty
from host.train.qat.cycle_prices import column_cycles, prune_to, rest_cycles
from host.train.recipe import CostAware

ACTIVATION_TOP = 63
"""Of the hidden layer once it is rounded: sums then fit 16 bits."""
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


@dataclass(frozen=True, eq=False)
class Settled:
    """Weights that are whole multiples of a step, for codes as they are; and how far hidden activations reach."""

    parameters: Parameters
    result: QatResult
    hidden_max: float


class CostAwareRounding:
    """What the loss sees of a net of two dense layers in training.

    `codes` (N, ...) are those trained on, without augmentation. For checkpoints, `kept` (hidden, inputs) are the first
    layer's weights that are not pruned, and `state` what is decided once: the steps of both layers' weights, that of
    the hidden activations in the float net's unit (0: not rounded yet), and the same as a shift of the sum.
    """

    def __init__(
        self, rules: CostAware, epochs: int, architecture: Architecture, codes: NDArray[Any], scaling: Scaling
    ) -> None:
        kinds = [type(layer) for layer in architecture.layers[architecture.fixed :]]
        if kinds != [Flatten, Dense, ReLU, Dense]:
            found = ", ".join(kind.__name__ for kind in kinds)
            raise InputError(
                f"train: cycles: found layers {found}, need two dense ones alone; choose preset preconv-cheap"
            )
        self._rules, self._epochs, self._scaling = rules, epochs, scaling
        self._places = (architecture.fixed + 1, architecture.fixed + 3)
        flat = codes.reshape(len(codes), -1)
        self._density: NDArray[np.float64] = (flat > 0).mean(axis=0)
        self._variance = np.square(flat - np.asarray(scaling.offset, np.float32)).mean(axis=0)
        self._few_valued = tuple(FewValued(magnitudes) for magnitudes in rules.magnitudes)
        self.kept = np.ones((architecture.shapes[self._places[0] + 1][0], flat.shape[1]), np.bool_)
        self.state = np.array([1.0, 1.0, 0.0, 0.0])

    @property
    def activation_step(self) -> float:
        """What hidden activations are rounded to, or 0."""
        return float(self.state[2])

    @property
    def _rounders(self) -> tuple[FewValued, ...]:
        for rounder, step in zip(self._few_valued, self.state, strict=False):
            rounder.step = float(step)
        return self._few_valued

    def start_epoch(self, epoch: int, net: Parameters, x: NDArray[np.float32]) -> None:
        """Prune as far as the schedule is, and fix the steps when it is time; x (D, N) are inputs of this epoch."""
        rules = self._rules
        done = ((epoch + 1) / self._epochs - rules.prune_from) / (rules.prune_to - rules.prune_from)
        if done > 0:
            self._prune(net, min(1.0, done))
        if epoch == int(rules.quantise_from * self._epochs):
            self._fix_steps(net, x)

    def show(self, net: Parameters, seen: Parameters) -> None:
        """Write into `seen` what the loss shall see of `net`."""
        np.copyto(seen.flat, net.flat)
        if self.activation_step:
            for place, rounder in zip(self._places, self._rounders, strict=True):
                seen.of(place)["weights"][...] = rounder.rounded(net.of(place)["weights"])
        seen.of(self._places[0])["weights"][...] *= self.kept

    def limit(self, net: Parameters) -> None:
        """Keep weights near the magnitudes they can have, in place."""
        if self.activation_step:
            for place, rounder in zip(self._places, self._rounders, strict=True):
                rounder.limit(net.of(place)["weights"])

    def settled(self, net: Parameters) -> Settled | None:
        """Return the net in whole numbers times powers of two, on plain codes; None before steps are fixed."""
        if not self.activation_step:
            return None
        (first, second), shift = self._rounders, float(self.state[3])
        sum_step = first.step / self._scaling.divisor
        numbers = [net.of(place) for place in self._places]
        w1 = first.whole(numbers[0]["weights"]) * self.kept
        w2 = second.whole(numbers[1]["weights"])
        offsets = np.broadcast_to(np.asarray(self._scaling.offset, np.float64), w1.shape[1])
        b1 = np.rint(numbers[0]["bias"] / sum_step) - w1.astype(np.float64) @ offsets
        b2 = np.rint(numbers[1]["bias"] / (second.step * self.activation_step))
        # Another factor of a hidden layer or of all scores changes no class, and powers of two keep floats exact.
        step1 = _power_of_two(sum_step)
        activation = step1 * 2.0**shift
        step2 = _power_of_two(second.step * self.activation_step / activation)
        found = empty(net.architecture)
        rows: list[NDArray[np.float32] | None] = [None] * len(net.architecture.layers)
        for place, whole, bias, step, unit in zip(
            self._places, (w1, w2), (b1, b2), (step1, step2), (step1, step2 * activation), strict=True
        ):
            found.of(place)["weights"][...] = whole * np.float32(step)
            found.of(place)["bias"][...] = bias * unit
            rows[place] = np.full(len(bias), step, np.float32)
        result = QatResult("int8", found, tuple(rows), (0.0,) * len(rows), ACTIVATION_TOP)
        return Settled(found, result, ACTIVATION_TOP * activation)

    def _prune(self, net: Parameters, done: float) -> None:
        """`done` 0..1: how far the pruning has come, from all cycles to those wished for, fast at first."""
        w1, w2 = (net.of(place)["weights"].T for place in self._places)
        wish = self._rules.cycles - rest_cycles(w1.shape[1])
        everything = column_cycles(np.ones(w1.shape, np.bool_), self._density)
        # How much a weight changes the scores: its own size, its input's spread, and what leaves its unit.
        worth = np.square(w1) * self._variance[:, None] * np.square(w2).sum(axis=1)
        wanted = wish + max(0.0, everything - wish) * (1 - done) ** 3
        self.kept[...] = prune_to(worth, self._density, wanted).T

    def _fix_steps(self, net: Parameters, x: NDArray[np.float32]) -> None:
        (first, second), (at1, at2) = self._rounders, (net.of(place) for place in self._places)
        first.fit(at1["weights"][self.kept])
        second.fit(at2["weights"])
        peak = float(((first.rounded(at1["weights"]) * self.kept) @ x + at1["bias"][:, None]).max(initial=0.0))
        sum_step = first.step / self._scaling.divisor
        peak = max(peak / sum_step, 1.0)
        shift = float(np.clip(np.ceil(np.log2(peak / self._rules.activation_top)), 0, _MAX_SHIFT))
        self.state[...] = (first.step, second.step, sum_step * 2.0**shift, shift)


def _power_of_two(value: float) -> float:
    return float(2.0 ** np.rint(np.log2(value)))
