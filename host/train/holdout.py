"""A fixed stratified split of the training images, for validation; knows labels only."""

import numpy as np
from numpy.typing import NDArray

_SEED = 1989  # not the user's seed: models of several seeds must be measured on the same images


def holdout_rows(labels: NDArray[np.int64], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (kept, held out) row numbers, both ascending; each class gives its share and keeps at least one row."""
    rng = np.random.default_rng(_SEED)
    held = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held.append(rows[: min(round(share * len(rows)), len(rows) - 1)])
    out = np.sort(np.concatenate(held)) if held else np.empty(0, np.int64)
    return np.setdiff1d(np.arange(len(labels)), out), out
