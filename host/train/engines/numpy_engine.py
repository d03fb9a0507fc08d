"""The default engine: threads train one net with the layers of `host.nn.numpy`, each on a part of every batch."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn import numpy as layers
from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.nn.workers import Workers, one_blas_thread, worker_count
from host.train.batches import EpochBatches, EpochResult, Tick
from host.train.optimisers import OptimiserSpec, optimiser

NAME = "numpy"
_DROPOUT_STREAM = 12  # a random stream of the seed

Inputs = Callable[[int, NDArray[np.int64]], NDArray[Any]]
"""What the net is given of a batch, (C, H, W, n): by the batch's number and the rows that one worker takes of it."""


class NumpyEngine:
    """Trains `parameters` in place; the same batches give the same bits whatever the number of cores."""

    def __init__(
        self, parameters: Parameters, scaling: Scaling, spec: OptimiserSpec, seed: int, workers: int | None = None
    ) -> None:
        count = workers or worker_count(parameters.architecture)
        self.parameters, self._scaling, self._seed = parameters, scaling, seed
        self._optimiser = optimiser(spec, parameters.flat, parameters.decays)
        self._workers = Workers(count)
        self._gradients = [parameters.zeros() for _ in range(count)]
        self._rngs = [np.random.default_rng(number) for number in range(count)]
        self._nets = [self._builder(number) for number in range(count)]
        self._parts = [_share(len(parameters.flat), number, count) for number in range(count)]

    @property
    def moments(self) -> dict[str, NDArray[Any]]:
        """The optimiser's memory, to be saved, or written into in order to go on."""
        return self._optimiser.moments

    def epoch(self, given: EpochBatches, epoch: int, rate: Callable[[int], float], tick: Tick) -> EpochResult:
        """Train for one epoch, counted from 0; `rate` gives the rate of a batch of the epoch, from 0."""
        first_step = epoch * len(given.batches) + 1
        losses = np.zeros((self._workers.size, len(given.batches)))
        hits = [0] * self._workers.size
        inputs, right = self._inputs(given), given.right

        # A loss that grows without limit is reported as such when the epoch ends, not as a warning on the way.
        @np.errstate(over="ignore", invalid="ignore")
        def work(number: int) -> None:
            state = np.random.default_rng([self._seed, _DROPOUT_STREAM, epoch, number]).bit_generator.state
            self._rngs[number].bit_generator.state = state
            for index, batch in enumerate(given.batches):
                rows = batch[_share(len(batch), number, self._workers.size)]
                loss, answers = self._learn(number, inputs(index, rows), given, rows, len(batch))
                losses[number, index] = loss / len(batch)
                hits[number] += int(np.count_nonzero(answers == right[rows]))
                self._workers.wait()
                self._update(number, rate(index), first_step + index)
                self._workers.wait()
                if number == 0:
                    tick(index, float(losses[:, index].sum()))

        with one_blas_thread():
            self._workers.run(work)
        return EpochResult(losses.sum(axis=0), sum(hits), sum(map(len, given.batches)))

    def refresh(self) -> None:
        """Nothing to do: after every batch all workers see, and change, the parameters themselves."""

    def _inputs(self, given: EpochBatches) -> Inputs:
        """Where nothing is split, an epoch's codes are scaled and put in order at once: small nets gain most."""
        if self._workers.size > 1:
            return lambda index, rows: self._scaling.apply(given.codes[rows])
        order = np.concatenate(given.batches)
        ends = np.cumsum([0, *map(len, given.batches)])
        scaled = self._scaling.apply(given.codes[order])
        return lambda index, rows: scaled[..., ends[index] : ends[index + 1]]

    def _builder(self, number: int) -> Callable[[int], layers.Sequential]:
        """Return what builds, once for each size of a part of a batch, the net of one worker."""

        def gather(values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
            return self._workers.gather(number, values)

        training = layers.Training(self._gradients[number], self._rngs[number], gather, keeps_running=number == 0)
        return cache(lambda size: layers.Sequential(self.parameters, size, training))

    def _learn(
        self, number: int, x: NDArray[Any], given: EpochBatches, rows: NDArray[np.int64], batch: int
    ) -> tuple[float, NDArray[np.int64]]:
        """Write a worker's gradients for its rows of a batch of so many; return its losses' sum and its answers."""
        net = self._nets[number](len(rows))
        scores = net.forward(x)
        targets = given.targets[rows].T
        if given.soft is None:
            loss, gradient = layers.cross_entropy(scores, targets)
        else:
            taught = given.soft.probabilities[rows].T
            loss, gradient = layers.distillation(scores, targets, taught, given.soft.temperature, given.soft.hard)
        answers: NDArray[np.int64] = scores.argmax(axis=0)
        gradient /= batch
        net.backward(gradient)
        return loss, answers

    def _update(self, number: int, rate: float, step: int) -> None:
        """Add up everybody's gradients in one part of the parameters, always in the same order, and update it."""
        part = self._parts[number]
        total = self._gradients[0].flat
        for other in self._gradients[1:]:
            total[part] += other.flat[part]
        self._optimiser.update(part, total, rate, step)


def _share(count: int, number: int, workers: int) -> slice:
    return slice(count * number // workers, count * (number + 1) // workers)
