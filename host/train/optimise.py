"""The two optimisers of the pre-convolved net: SciPy's L-BFGS-B on everything, and Adam on mini-batches.

Both change parameters in place of a `TwoLayer` and tell a callback after each step what was reached. They know no data
set, preset table or file.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from host.train import twolayer
from host.train.presets import AdamRecipe, LbfgsRecipe
from host.train.twolayer import TwoLayer

Report = Callable[[int, float, float, TwoLayer], None]
"""Called with the steps finished (iterations or epochs), the loss, the accuracy 0..1 and the parameters, not to be kept."""

Batches = Callable[[int], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Gives, for an epoch from 0, the inputs (N, D) and targets (N, C) in the order in which to take them."""


def lbfgs(
    net: TwoLayer, x: NDArray[np.float64], targets: NDArray[np.float64], recipe: LbfgsRecipe, report: Report
) -> tuple[TwoLayer, list[float]]:
    """Minimise the loss over all rows; return the best parameters and the loss at every evaluation.

    `report` gets the lowest loss so far after each iteration.
    """
    shape = (*net.w1.shape, len(net.b2))
    gradient = twolayer.view(np.empty_like(net.flat), *shape)
    losses: list[float] = []
    best = (math.inf, 0.0, net.flat.copy())
    iteration = 0

    def objective(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        nonlocal best
        loss, right = twolayer.loss_and_gradient(twolayer.view(flat, *shape), x, targets, recipe.reg, gradient)
        losses.append(loss)
        if loss < best[0]:
            best = (loss, right / len(x), flat.copy())
        return loss, gradient.flat.copy()

    def after_iteration(_: NDArray[np.float64]) -> None:
        nonlocal iteration
        iteration += 1
        report(iteration, best[0], best[1], twolayer.view(best[2], *shape))

    options = {"maxiter": recipe.epochs, "gtol": recipe.gtol}
    result = minimize(
        objective, net.flat, method="L-BFGS-B", jac=True, callback=after_iteration, options=options
    )
    return twolayer.view(np.asarray(result.x), *shape), losses


def adam(net: TwoLayer, batches: Batches, rate: float, recipe: AdamRecipe, report: Report) -> None:
    """Train `net` in place for `recipe.epochs` epochs; `report` gets the running means of each epoch.

    Adam of Kingma and Ba with its bias corrections and ε = 1e-8; the rate rises linearly, then falls along a cosine.
    """
    gradient = twolayer.view(np.empty_like(net.flat), *net.w1.shape, len(net.b2))
    mean, square, work = np.zeros_like(net.flat), np.zeros_like(net.flat), np.empty_like(net.flat)
    step = 0
    for epoch in range(recipe.epochs):
        x, targets = batches(epoch)
        steps = recipe.epochs * math.ceil(len(x) / recipe.batch)
        loss_sum, right_sum = 0.0, 0
        for start in range(0, len(x), recipe.batch):
            part = slice(start, start + recipe.batch)
            loss, right = twolayer.loss_and_gradient(net, x[part], targets[part], recipe.reg, gradient)
            loss_sum += loss * len(x[part])
            right_sum += right
            step += 1
            mean *= recipe.beta1
            mean += np.multiply(gradient.flat, 1 - recipe.beta1, out=work)
            square *= recipe.beta2
            np.multiply(gradient.flat, gradient.flat, out=work)
            work *= 1 - recipe.beta2
            square += work
            correction = math.sqrt(1 - recipe.beta2**step)
            np.sqrt(square, out=work)
            work += 1e-8 * correction
            np.divide(mean, work, out=work)
            work *= scheduled(rate, step - 1, steps, recipe.warmup) * correction / (1 - recipe.beta1**step)
            net.flat[:] -= work
        report(epoch + 1, loss_sum / len(x), right_sum / len(x), net)


def scheduled(rate: float, step: int, steps: int, warmup: float) -> float:
    """Return the rate of a step from 0: a linear rise over the share `warmup` of all steps, then a cosine to 0."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return rate * (step + 1) / rise
    return rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
