"""Augmented copies of the training images, made ahead by a thread while the net trains.

Every copy has its own random stream, named by the seed and its number. Without any copies each epoch gets the images.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from host.train.augment import warp_images

_STREAM = 13  # a random stream of the seed


class ImageCopies:
    """u8 images (N, H, W), one copy for each name of a warp; a context manager, so that the thread ends."""

    def __init__(self, images: NDArray[np.uint8], warps: Sequence[str], seed: int) -> None:
        self._images, self._seed = images, seed
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="augment")
        self._copies: list[Future[NDArray[np.uint8]]] = [
            self._pool.submit(self._make, number, warp) for number, warp in enumerate(warps)
        ]

    def number(self, epoch: int) -> int:
        """Return which copy an epoch, from 0, uses: they take turns."""
        return epoch % max(1, len(self._copies))

    def images(self, epoch: int) -> NDArray[np.uint8]:
        """Return an epoch's images, waiting for them where needed."""
        return self._copies[self.number(epoch)].result() if self._copies else self._images

    def _make(self, number: int, warp: str) -> NDArray[np.uint8]:
        return warp_images(self._images, warp, np.random.default_rng([self._seed, _STREAM, number]))

    def __enter__(self) -> "ImageCopies":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
