"""What weights that are compiled into AVR code cost in cycles, as far as training needs to know it.

A simple picture of the compiler in host/compile, which is above this package: per block of up to twelve hidden units
and per input with any weight, a load and a test, then an addition for each weight. docs/avr-kernels.md has the full
count; for the few magnitudes that `preconv-cheap` trains, the picture of a column is within 7 % of it.
"""

import numpy as np
from numpy.typing import NDArray

BLOCK_UNITS = 12
_USED, _SKIPPED = 4.0, 5.0  # load and test an input that is not zero, and one that is
_PRODUCTS = 1.5  # shifts and multiplications that a used input shares among the weights of a block
_ADDITION = 2.0
_FIXED, _PER_UNIT = 450.0, 17.0  # the rest, with ten classes: registers, scores; bias, requantising, second layer


def rest_cycles(hidden: int) -> float:
    """Return about what both layers cost beside the columns of the first: no weight there changes it."""
    return _FIXED + _PER_UNIT * hidden


def column_cycles(kept: NDArray[np.bool_], density: NDArray[np.float64]) -> float:
    """Return the mean cycles of the first layer's columns for weights kept (D, H), density (D,) of non-zero inputs."""
    total = 0.0
    for block in _blocks(kept.shape[1]):
        counts = kept[:, block].sum(axis=1)
        total += float(np.where(counts > 0, _overhead(density) + _ADDITION * density * counts, 0.0).sum())
    return total


def prune_to(worth: NDArray[np.float32], density: NDArray[np.float64], cycles: float) -> NDArray[np.bool_]:
    """Return which weights to keep (D, H), so that the columns cost at most `cycles`: those that are worth their price.

    `worth` (D, H) is what each weight is good for, in any unit above 0. Every cycle has one price in that unit, found
    by bisection: a weight stays if it is worth its addition, a column if its weights are worth loading the input too.
    """
    everything = np.ones(worth.shape, np.bool_)
    if column_cycles(everything, density) <= cycles:
        return everything
    unit = float(worth.max(initial=0.0)) or 1.0
    low, high = -15.0, 1.0  # decades of the price
    for _ in range(30):
        middle = (low + high) / 2
        if column_cycles(_worth_it(worth, density, unit * 10.0**middle), density) > cycles:
            low = middle
        else:
            high = middle
    return _worth_it(worth, density, unit * 10.0**high)


def _worth_it(worth: NDArray[np.float32], density: NDArray[np.float64], price: float) -> NDArray[np.bool_]:
    gain = worth - price * _ADDITION * density[:, None]
    kept: NDArray[np.bool_] = gain > 0
    for block in _blocks(worth.shape[1]):
        kept[:, block] &= ((gain * kept)[:, block].sum(axis=1) > price * _overhead(density))[:, None]
    return kept


def _overhead(density: NDArray[np.float64]) -> NDArray[np.float64]:
    return (_USED + _PRODUCTS) * density + _SKIPPED * (1 - density)


def _blocks(hidden: int) -> list[slice]:
    """As few as twelve units a block allow, as even as they go, in order."""
    count = -(-hidden // BLOCK_UNITS)
    return [slice(hidden * k // count, hidden * (k + 1) // count) for k in range(count)]
