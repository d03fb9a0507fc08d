"""The two optimisers of the pre-convolved net: SciPy's L-BFGS-B on everything, and Adam on mini-batches.

They know no data set, preset table or file.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from host.train import twolayer
from host.train.presets import AdamRecipe, LbfgsRecipe
from host.train.twolayer import Batch, TwoLayer

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
    losses: list[float] = []
    best = (math.inf, 0.0, net.flat.copy())
    iteration = 0

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal best
        loss, right = twolayer.loss_and_gradient(twolayer.view(flat, *shape), batch, recipe.reg, gradient)
        losses.append(loss)
        if loss < best[0]:
            best = (loss, right / len(batch.x), flat.copy())
        return loss, gradient.flat.copy()

    def after_iteration(_: NDArray[np.float64]) -> None:
        nonlocal iteration
        iteration += 1
        report(iteration, best[0], best[1], twolayer.view(best[2], *shape))

    options = {"maxiter": recipe.epochs, "gtol": recipe.gtol}
    result = minimize(objective, net.flat, method="L-BFGS-B", jac=True, callback=after_iteration, options=options)
    return twolayer.view(np.asarray(result.x), *shape), losses


class Adam:
    """Adam of Kingma and Ba (ICLR 2015) on one net, changed in place, an epoch at a time.

    With their bias corrections and ε = 1e-8; the rate rises linearly, then falls along a cosine to 0 at the last epoch.
    """

    def __init__(self, net: TwoLayer, rate: float, recipe: AdamRecipe, view: View | None = None) -> None:
        self.net, self._view = net, view
        self._rate, self._recipe = rate, recipe
        self._gradient = twolayer.view(np.empty_like(net.flat), *net.shape)
        self._mean, self._square, self._work = np.zeros_like(net.flat), np.zeros_like(net.flat), np.empty_like(net.flat)
        self._step = 0

    def epoch(self, rows: Batch) -> tuple[float, float]:
        """Go once over the rows in their order; return the running mean loss and accuracy."""
        recipe = self._recipe
        count = len(rows.x)
        steps = recipe.epochs * math.ceil(count / recipe.batch)
        loss_sum, right_sum = 0.0, 0
        for start in range(0, count, recipe.batch):
            batch = rows.part(start, start + recipe.batch)
            shown, step = (
                (self.net, 0.0) if self._view is None else (self._view.seen(self.net), self._view.activation_step)
            )
            loss, right = twolayer.loss_and_gradient(shown, batch, recipe.reg, self._gradient, step)
            loss_sum += loss * len(batch.x)
            right_sum += right
            self._descend(scheduled(self._rate, self._step, steps, recipe.warmup))
            if self._view is not None:
                self._view.limit(self.net)
        return loss_sum / count, right_sum / count

    def _descend(self, rate: float) -> None:
        beta1, beta2 = self._recipe.beta1, self._recipe.beta2
        gradient, work = self._gradient.flat, self._work
        self._step += 1
        self._mean *= beta1
        self._mean += np.multiply(gradient, 1 - beta1, out=work)
        self._square *= beta2
        np.multiply(gradient, gradient, out=work)
        work *= 1 - beta2
        self._square += work
        correction = math.sqrt(1 - beta2**self._step)
        np.sqrt(self._square, out=work)
        work += 1e-8 * correction
        np.divide(self._mean, work, out=work)
        work *= rate * correction / (1 - beta1**self._step)
        self.net.flat[:] -= work


def scheduled(rate: float, step: int, steps: int, warmup: float) -> float:
    """Return the rate of a step from 0: a linear rise over the share `warmup` of all steps, then a cosine to 0."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return rate * (step + 1) / rise
    return rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
