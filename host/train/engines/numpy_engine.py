"""The default engine: two threads train one net with the layers of `host.nn.numpy`, each on half of every batch."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from host.nn import numpy as layers
from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.nn.workers import Crew
from host.train.batches import EpochResult, Lesson, Tick
from host.train.optimisers import OptimiserSpec, optimiser

NAME = "numpy"
_DROPOUT_STREAM = 12  # a random stream of the seed


class NumpyEngine:
    """Trains `parameters` in place; the same lessons give the same bits whatever the number of cores."""

    def __init__(
        self, parameters: Parameters, scaling: Scaling, spec: OptimiserSpec, seed: int, workers: int = 2
    ) -> None:
        self.parameters, self._scaling, self._seed = parameters, scaling, seed
        self._optimiser = optimiser(spec, parameters.flat, parameters.decays)
        self._crew = Crew(workers)
        self._gradients = [parameters.zeros() for _ in range(workers)]
        self._rngs = [np.random.default_rng(number) for number in range(workers)]
        self._nets = [self._builder(number) for number in range(workers)]
        self._parts = [_share(len(parameters.flat), number, workers) for number in range(workers)]

    @property
    def moments(self) -> dict[str, NDArray[np.float32]]:
        """The optimiser's memory, to be saved, or written into in order to go on."""
        return self._optimiser.moments

    def epoch(self, lesson: Lesson, epoch: int, rate: Callable[[int], float], tick: Tick) -> EpochResult:
        """Train for one epoch, counted from 0; `rate` gives the rate of a batch of the epoch, from 0."""
        first_step = epoch * len(lesson.batches) + 1
        losses = np.zeros((self._crew.size, len(lesson.batches)))
        right = [0] * self._crew.size

        # A loss that grows without limit is reported as such when the epoch ends, not as a warning on the way.
        @np.errstate(over="ignore", invalid="ignore")
        def work(number: int) -> None:
            state = np.random.default_rng([self._seed, _DROPOUT_STREAM, epoch, number]).bit_generator.state
            self._rngs[number].bit_generator.state = state
            for index, rows in enumerate(lesson.batches):
                loss, hits = self._learn(number, lesson, rows)
                losses[number, index] = loss / len(rows)
                right[number] += hits
                self._crew.wait()
                self._update(number, rate(index), first_step + index)
                self._crew.wait()
                if number == 0:
                    tick(index, float(losses[:, index].sum()))

        # One thread for each product: the workers already use the cores, and idle BLAS threads spin.
        with threadpool_limits(limits=1, user_api="blas"):
            self._crew.run(work)
        return EpochResult(losses.sum(axis=0), sum(right), sum(map(len, lesson.batches)))

    def refresh(self) -> None:
        """Nothing to do: after every batch all workers see, and change, the parameters themselves."""

    def _builder(self, number: int) -> Callable[[int], layers.Sequential]:
        """Return what builds, once for each size of a part of a batch, the net of one worker."""

        def gather(values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
            return self._crew.gather(number, values)

        training = layers.Training(self._gradients[number], self._rngs[number], gather, keeps_running=number == 0)
        return cache(lambda size: layers.Sequential(self.parameters, size, training))

    def _learn(self, number: int, lesson: Lesson, batch: NDArray[np.int64]) -> tuple[float, int]:
        """Write a worker's gradients for its part of a batch; return the sum of its losses and what it got right."""
        rows = batch[_share(len(batch), number, self._crew.size)]
        net = self._nets[number](len(rows))
        scores = net.forward(self._scaling.apply(lesson.images[rows]))
        targets = lesson.targets[rows].T
        if lesson.soft is None:
            loss, gradient = layers.cross_entropy(scores, targets)
        else:
            taught = lesson.soft.probabilities[rows].T
            loss, gradient = layers.distillation(scores, targets, taught, lesson.soft.temperature, lesson.soft.hard)
        hits = int(np.count_nonzero(scores.argmax(axis=0) == targets.argmax(axis=0)))
        gradient /= len(batch)
        net.backward(gradient)
        return loss, hits

    def _update(self, number: int, rate: float, step: int) -> None:
        """Add up everybody's gradients in one part of the parameters, always in the same order, and update it."""
        part = self._parts[number]
        total = self._gradients[0].flat
        for other in self._gradients[1:]:
            total[part] += other.flat[part]
        self._optimiser.update(part, total, rate, step)


def _share(count: int, number: int, workers: int) -> slice:
    return slice(count * number // workers, count * (number + 1) // workers)
