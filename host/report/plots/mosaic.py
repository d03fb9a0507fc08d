"""Many small images as one, in rows and columns with gaps between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LABELS = 12
"""Ticks on one side at most."""


def columns_for(count: int) -> int:
    """How many columns show `count` tiles about as wide as high, without a rest where that is possible."""
    side = math.ceil(math.sqrt(count))
    return next((columns for columns in range(side, 2 * side + 1) if count % columns == 0), side)


def mosaic(tiles: NDArray[Any], columns: int, gap: int = 1) -> NDArray[np.float64]:
    """(N, h, w) row by row as one image; gaps and places left over are NaN."""
    count, height, width = tiles.shape
    rows = -(-count // columns)
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for index, tile in enumerate(tiles):
        y, x = index // columns * (height + gap), index % columns * (width + gap)
        whole[y : y + height, x : x + width] = tile
    return whole


def ticks(count: int, side: int, gap: int = 1, step: int = 1, first: int = 0) -> tuple[list[float], list[str]]:
    """Where the middles of `count` tiles lie and what stands there: first, first + step, …; not more than fit."""
    every = -(-count // _LABELS)
    chosen = range(0, count, every)
    return [index * (side + gap) + (side - 1) / 2 for index in chosen], [str(first + index * step) for index in chosen]
