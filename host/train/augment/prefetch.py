"""Augmented copies of the training images, or features of them, made ahead by threads while the net trains.

NumPy releases the interpreter lock in the large loops of a warp, so the threads help. Every copy has its own random
stream, whose name ends with the copy's number: the order in which threads finish changes nothing.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.train.augment.warp import warp_images

Transform = Callable[[NDArray[np.uint8]], NDArray[Any]]


class Copies:
    """One copy for each name of a warp, of u8 images (N, H, W) or what `transform` makes of them.

    Without warps every epoch gets the images as they are. `stream` are numbers that name the random streams; see above.
    A context manager, so that the threads end.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        warps: Sequence[str],
        stream: Sequence[int],
        transform: Transform = lambda images: images,
    ) -> None:
        self.originals, self._warps, self._stream, self._transform = images, tuple(warps), stream, transform
        self._pool = ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1), thread_name_prefix="augment")
        self._copies: list[Future[NDArray[Any]]] = [
            self._pool.submit(self._make, number) for number in range(len(self._warps))
        ]

    def number(self, epoch: int) -> int:
        """Return which copy an epoch, from 0, uses: they take turns."""
        return epoch % max(1, len(self._copies))

    @cached_property
    def plain(self) -> NDArray[Any]:
        """What the transform makes of the images as they are."""
        return self._transform(self.originals)

    def at(self, epoch: int) -> NDArray[Any]:
        """Return the copy for an epoch, from 0, waiting for it where needed."""
        return self._copies[self.number(epoch)].result() if self._copies else self.plain

    def images(self, number: int) -> NDArray[np.uint8]:
        """Return a copy before the transform, made anew: for whoever looks at images and not at what is kept."""
        if not self._warps:
            return self.originals
        return warp_images(self.originals, self._warps[number], np.random.default_rng([*self._stream, number]))

    def _make(self, number: int) -> NDArray[Any]:
        return self._transform(self.images(number))

    def __enter__(self) -> "Copies":
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
