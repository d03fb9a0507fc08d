"""What a net shall answer: probabilities, one row for each image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def target_rows(
    labels: NDArray[np.int64], classes: int, smoothing: float, dtype: type[np.floating[Any]]
) -> NDArray[Any]:
    """Return (N, C) probabilities: 1 − smoothing at the label and smoothing / C spread over all classes.

    Label smoothing: Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016.
    """
    table = np.eye(classes) * (1 - smoothing) + smoothing / classes
    rows: NDArray[Any] = table.astype(dtype)[labels]
    return rows
