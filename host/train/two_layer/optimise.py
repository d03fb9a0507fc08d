"""The two optimisers of the pre-convolved net: SciPy's L-BFGS-B on everything, and Adam on mini-batches.

They know no data set, preset table or file.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from host.train.engines.lbfgs import minimise
from host.train.optimisers import Adam, Schedule, optimiser
from host.train.two_layer import net as twolayer
from host.train.two_layer.net import Batch, TwoLayer
from host.train.two_layer.recipe import AdamRecipe, LbfgsRecipe

Report = Callable[[int, float, float, TwoLayer], None]
"""Called with the iterations or epochs finished, the loss, the accuracy 0..1, the parameters (not to be kept)."""


class View(Protocol):
    """What the loss sees instead of the net, when that is not the net itself."""

    @property
    def activation_step(self) -> float:
        """What hidden activations are rounded to, or 0."""

    def seen(self, net: TwoLayer) -> TwoLayer:
        """Return the net as the loss shall see it; its gradient moves `net`."""

    def limit(self, net: TwoLayer) -> None:
        """Correct the parameters in place after an update."""


def lbfgs(net: TwoLayer, batch: Batch, recipe: LbfgsRecipe, report: Report) -> tuple[TwoLayer, list[float]]:
    """Minimise the loss over all rows; return the best parameters and the loss at every evaluation.

    `report` gets the lowest loss so far after each iteration.
    """
    shape = net.shape
    gradient = twolayer.view(np.empty_like(net.flat), *shape)

    def evaluate(flat: NDArray[np.float64]) -> tuple[float, float, NDArray[np.float64]]:
        loss, right = twolayer.loss_and_gradient(twolayer.view(flat, *shape), batch, recipe.reg, gradient)
        return loss, right / len(batch.x), gradient.flat.copy()

    def after_iteration(iteration: int, loss: float, accuracy: float, flat: NDArray[np.float64]) -> None:
        report(iteration, loss, accuracy, twolayer.view(flat, *shape))

    found, losses = minimise(evaluate, net.flat, recipe.epochs, recipe.gtol, after_iteration)
    return twolayer.view(found, *shape), losses


class Learner:
    """One net, changed in place by Adam an epoch at a time; the rate rises, then falls along a cosine to 0."""

    def __init__(self, net: TwoLayer, rate: float, recipe: AdamRecipe, view: View | None = None) -> None:
        self.net, self._view, self._recipe = net, view, recipe
        self._gradient = twolayer.view(np.empty_like(net.flat), *net.shape)
        self._schedule = Schedule(rate, "cosine", recipe.warmup)
        self._optimiser = optimiser(Adam(recipe.beta1, recipe.beta2), net.flat, np.zeros(net.flat.shape, np.bool_))
        self._step = 0

    def epoch(self, rows: Batch) -> tuple[float, float]:
        """Go once over the rows in their order; return the running mean loss and accuracy."""
        recipe = self._recipe
        count = len(rows.x)
        steps = recipe.epochs * math.ceil(count / recipe.batch)
        loss_sum, right_sum = 0.0, 0
        for start in range(0, count, recipe.batch):
            batch = rows.part(start, start + recipe.batch)
            shown, rounding = (
                (self.net, 0.0) if self._view is None else (self._view.seen(self.net), self._view.activation_step)
            )
            loss, right = twolayer.loss_and_gradient(shown, batch, recipe.reg, self._gradient, rounding)
            loss_sum += loss * len(batch.x)
            right_sum += right
            rate = self._schedule.at(self._step, steps)
            self._step += 1
            self._optimiser.update(slice(None), self._gradient.flat, rate, self._step)
            if self._view is not None:
                self._view.limit(self.net)
        return loss_sum / count, right_sum / count
