"""Features of augmented copies of the training images, made ahead by two threads while the net trains.

NumPy releases the interpreter lock in the large loops of a warp, so the threads help. Every copy has its own random
stream, named by the seed and its number: the order in which threads finish changes nothing.
"""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from host.train.augment import warp_images
from host.train.frontend import preconv_features

_STREAM = 2  # the second random stream of a seed; the first starts and shuffles the net


class FeatureCopies:
    """`count` u8 feature tables (N, D) of warped images; use as a context manager, so that the threads end."""

    def __init__(self, images: NDArray[np.uint8], warps: Sequence[str], levels: int, seed: int) -> None:
        self._images, self._levels, self._seed = images, levels, seed
        self._pool = ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1), thread_name_prefix="augment")
        self._tables: list[Future[NDArray[np.uint8]]] = [
            self._pool.submit(self._make, number, warp) for number, warp in enumerate(warps)
        ]

    def _make(self, number: int, warp: str) -> NDArray[np.uint8]:
        rng = np.random.default_rng([self._seed, _STREAM, number])
        return preconv_features(warp_images(self._images, warp, rng), self._levels)

    def features(self, epoch: int) -> NDArray[np.uint8]:
        """Return the copy for an epoch from 0, waiting for it where needed; epochs cycle over the copies."""
        return self._tables[epoch % len(self._tables)].result()

    def __enter__(self) -> "FeatureCopies":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def interleave(copies: Sequence[tuple[str, int]], limit: int) -> list[str]:
    """Return the names of at most `limit` copies, the kinds taking turns: (a, 2), (b, 1) gives a b a.

    >>> interleave([("a", 2), ("b", 1)], 9)
    ['a', 'b', 'a']
    """
    turns = max(count for _, count in copies)
    return [name for turn in range(turns) for name, count in copies if turn < count][:limit]
