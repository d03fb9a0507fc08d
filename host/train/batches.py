"""What an engine is given for each epoch: codes of images, targets, the teacher's opinion, and the order of taking
them.

Everything random here is named by the seed and the epoch, so that a resumed training goes on exactly as if it had not
been interrupted, and every engine sees the same batches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ORDER_STREAM = 11  # a random stream of the seed
SMALLEST_BATCH = 2  # a single image left over at an epoch's end is skipped: it could not be split or normalised


@dataclass(frozen=True, eq=False)
class SoftTargets:
    """A teacher's opinion on every image: softmax of its scores divided by the temperature, (N, classes)."""

    probabilities: NDArray[np.float32]
    temperature: float
    hard: float


@dataclass(frozen=True, eq=False)
class EpochBatches:
    """One epoch: codes (N, H, W) or (N, C, H, W), targets (N, classes), batches of row numbers in the order to take
    them. Without `labels` (N,) the largest target is what counts as right."""

    codes: NDArray[Any]
    targets: NDArray[np.float32]
    batches: tuple[NDArray[np.int64], ...]
    soft: SoftTargets | None = None
    labels: NDArray[np.int64] | None = None

    @property
    def right(self) -> NDArray[np.int64]:
        """(N,): the class that is right for each image."""
        return self.targets.argmax(axis=1) if self.labels is None else self.labels


@dataclass(frozen=True, eq=False)
class EpochResult:
    """What an epoch showed while the net was changing: the loss of each batch, and how many images were right."""

    losses: NDArray[np.float64]  # mean over the images of each batch
    right: int
    images: int

    @property
    def loss(self) -> float:
        """Mean over the batches."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """Share 0..1 of images that were right."""
        return self.right / self.images


Tick = Callable[[int, float], None]
"""Called after each batch with its number from 0 and its loss."""


def batches(rows: int, size: int, seed: int, epoch: int) -> tuple[NDArray[np.int64], ...]:
    """Return all row numbers, shuffled, in batches of `size`; the last may be smaller, a single row is left out."""
    order = np.random.default_rng([seed, _ORDER_STREAM, epoch]).permutation(rows)
    cut = [order[start : start + size] for start in range(0, rows, size)]
    return tuple(part for part in cut if len(part) >= SMALLEST_BATCH)


def batch_count(rows: int, size: int) -> int:
    """Return how many `batches` there are in an epoch."""
    whole, rest = divmod(rows, size)
    return whole + (rest >= SMALLEST_BATCH)
