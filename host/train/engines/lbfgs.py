"""SciPy's L-BFGS-B (Byrd, Lu, Nocedal, Zhu 1995) over one flat vector; knows no net."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Vector = NDArray[Any]
Evaluate = Callable[[Vector], tuple[float, float, Vector]]
"""Returns the loss, the accuracy 0..1 and a gradient of its own (not overwritten later)."""
Report = Callable[[int, float, float, Vector], None]
"""Called after each iteration: how many are finished; the lowest loss so far with its accuracy and vector."""


def minimise(
    evaluate: Evaluate, start: Vector, iterations: int, gtol: float, report: Report
) -> tuple[NDArray[np.float64], list[float]]:
    """Return the vector found and the loss at every evaluation.

    Ends after `iterations`, or when no element of the gradient is larger than `gtol`.
    """
    from scipy.optimize import minimize  # half a second, and most commands train nothing

    losses: list[float] = []
    best = (math.inf, 0.0, start.copy())
    iteration = 0

    def objective(flat: Vector) -> tuple[float, Vector]:
        nonlocal best
        loss, accuracy, gradient = evaluate(flat)
        losses.append(loss)
        if loss < best[0]:
            best = (loss, accuracy, flat.copy())
        return loss, gradient

    def after_iteration(_: Vector) -> None:
        nonlocal iteration
        iteration += 1
        report(iteration, *best)

    options = {"maxiter": iterations, "gtol": gtol}
    with threadpool_limits(limits=1, user_api="blas"):  # SciPy's too, which is there by now
        result = minimize(objective, start, method="L-BFGS-B", jac=True, callback=after_iteration, options=options)
    return np.asarray(result.x), losses
