"""Threads that train one net together, each on its part of every batch.

NumPy releases the interpreter lock in its loops and products, so two threads with single-threaded products beat one
thread with two-threaded ones: everything runs twice, not the products alone. The number of parts is fixed by whoever
trains, never by the machine, because it decides in which order floats are added.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

import numpy as np  # noqa: F401 - its BLAS must be there before it is looked for
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from host.nn.layers import Architecture, Conv2d

Result = TypeVar("Result")


@cache
def _libraries() -> ThreadpoolController:
    """Looking for them takes longer than an epoch of a small net."""
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Hold NumPy's matrix products to one thread: the workers already use the cores, and idle BLAS threads spin."""
    limit: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limit


def worker_count(architecture: Architecture) -> int:
    """Return into how many parts a batch is split: what dense layers take is less than two threads need to meet."""
    return 2 if any(isinstance(layer, Conv2d) for layer in architecture.layers) else 1


class Workers:
    """`size` workers, of which number 0 is the caller's own thread, so that an interrupt reaches it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._barrier = threading.Barrier(size)
        self._slots: tuple[list[Any], list[Any]] = ([None] * size, [None] * size)
        self._calls = [0] * size

    def run(self, work: Callable[[int], Result]) -> list[Result]:
        """Call `work(number)` in every worker and return what they return; raise the first error of any."""
        self._barrier.reset()
        self._calls = [0] * self.size
        results: list[Any] = [None] * self.size
        errors: list[BaseException] = []

        def guarded(number: int) -> None:
            try:
                results[number] = work(number)
            except threading.BrokenBarrierError:
                pass  # another worker failed, and its error is the one to report
            except BaseException as error:
                errors.append(error)
                self._barrier.abort()

        threads = [threading.Thread(target=guarded, args=(number,), daemon=True) for number in range(1, self.size)]
        try:
            for thread in threads:
                thread.start()
            guarded(0)
            for thread in threads:
                thread.join()
        except BaseException:  # an interrupt between the workers' own work: nobody may be left waiting
            self._barrier.abort()
            raise
        if errors:
            raise errors[0]
        return results

    def wait(self) -> None:
        """Return when every worker has come this far."""
        if self.size > 1:
            self._barrier.wait()

    def gather(self, number: int, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Hand in a worker's values and return everybody's in the order of the numbers; all workers must take part."""
        # Two sets of slots take turns: a worker that is ahead writes the other set while slow ones still read this one.
        slots = self._slots[self._calls[number] % 2]
        self._calls[number] += 1
        slots[number] = values
        self.wait()
        return list(slots)
