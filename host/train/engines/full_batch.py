"""Training of a net on all images at once by L-BFGS-B, with the gradients of the NumPy layers.

Works in float64, which its line search needs, through the images in chunks that two threads share.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn import numpy as layers
from host.nn.layers import BatchNorm, Dropout
from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.nn.workers import Workers, worker_count
from host.train.engines import numpy_engine
from host.train.engines.lbfgs import minimise
from host.train.optimisers import LbfgsB
from host.train.progress import ProgressMeter
from host.train.recipe import Recipe
from host.train.targets import target_rows
from host.train.trainer import TrainingData, empty_history

_CHUNK = 64  # images through the layers at once: their buffers should stay in the cache
_DENSE_CHUNK = 1024  # the same where there are dense layers alone, whose buffers are small
_WORKERS = 2

Vector = NDArray[np.float64]


class FullBatchTrainer:
    """Like `Trainer`, with iterations for epochs and evaluations of the loss for batches; see `check_recipe`."""

    def __init__(self, data: TrainingData, recipe: Recipe, start: Parameters) -> None:
        assert isinstance(recipe.optimiser, LbfgsB)
        self._data, self._recipe, self._rules = data, recipe, recipe.optimiser
        self._numbers = Parameters(start.architecture, start.flat.astype(np.float64), start.measured)
        self._targets = target_rows(data.labels, start.architecture.classes, recipe.smoothing, np.float64)
        self.best = start.copy()
        self.history = empty_history(data)

    def run(self, show: Callable[[int], ProgressMeter]) -> Parameters:
        """Train and return `best`; see Trainer.run. SciPy's state cannot be saved.

        Raises InputError when the numbers are no longer finite.
        """
        progress = show(0)
        loss_of = Loss(self._numbers, self._data.scaling, self._rules.reg, self._data.codes(0), self._targets)

        def evaluate(flat: Vector) -> tuple[float, float, Vector]:
            loss, accuracy, gradient = loss_of(flat)
            self.history["batch_loss"].append(loss)
            return loss, accuracy, gradient

        def report(iteration: int, loss: float, accuracy: float, flat: Vector) -> None:
            self.best.flat[...] = flat
            self.history["loss"].append(loss)
            self.history["accuracy"].append(accuracy)
            found = self._data.validation(self.best)
            if found is not None:
                self.history["validation_loss"].append(found[0])
                self.history["validation_accuracy"].append(found[1])
            progress.epoch(iteration, loss, accuracy, None if found is None else found[0])

        minimise(evaluate, self._numbers.flat.copy(), self._recipe.epochs, self._rules.gtol, report)
        if not np.isfinite(self.best.flat).all():
            raise InputError("train: weights: found values that are not finite, need finite ones; raise reg")
        return self.best


class Loss:
    """Mean cross-entropy over all codes (N, ...) plus reg · Σ weights², as a function of a net's flat vector."""

    def __init__(self, numbers: Parameters, scaling: Scaling, reg: float, codes: NDArray[Any], targets: Vector) -> None:
        self._numbers, self._scaling, self._reg, self._codes, self._targets = numbers, scaling, reg, codes, targets
        self._chunk = _CHUNK if worker_count(numbers.architecture) > 1 else _DENSE_CHUNK
        self._workers = Workers(_WORKERS)
        self._gradients = [numbers.zeros() for _ in range(_WORKERS)]
        self._nets = [self._builder(number) for number in range(_WORKERS)]
        self._weights = numbers.decays

    def __call__(self, flat: Vector) -> tuple[float, float, Vector]:
        """Return the loss, the accuracy 0..1 and the gradient."""
        count = len(self._codes)
        self._numbers.flat[...] = flat
        parts = self._workers.run(self._part)
        gradient: Vector = np.sum([part[2] for part in parts], axis=0) / count
        weights = flat * self._weights
        gradient += 2 * self._reg * weights
        loss = sum(part[0] for part in parts) / count + self._reg * float(weights @ weights)
        return loss, sum(part[1] for part in parts) / count, gradient

    def _part(self, number: int) -> tuple[float, int, Vector]:
        """Return the sums of a worker's losses, of what it got right, and of its gradients."""
        total, loss, right = np.zeros_like(self._numbers.flat), 0.0, 0
        for start in range(number * self._chunk, len(self._codes), _WORKERS * self._chunk):
            part = slice(start, start + self._chunk)
            codes, targets = self._codes[part], self._targets[part].T
            net = self._nets[number](len(codes))
            scores = net.forward(self._scaling.apply(codes, np.float64))
            right += int(np.count_nonzero(scores.argmax(axis=0) == targets.argmax(axis=0)))
            share, gradient = layers.cross_entropy(scores, targets)
            loss += share
            net.backward(gradient)
            total += self._gradients[number].flat
        return loss, right, total

    def _builder(self, number: int) -> Callable[[int], layers.Sequential]:
        training = layers.Training(self._gradients[number], np.random.default_rng(0))  # nothing here is drawn
        return cache(lambda size: layers.Sequential(self._numbers, size, training))


def check_recipe(recipe: Recipe, engine: str) -> None:
    """Raise InputError where the loss would change from one evaluation to the next, or what is wanted is not there."""
    kinds = [type(layer).__name__ for layer in recipe.layers if isinstance(layer, BatchNorm | Dropout)]
    if kinds:
        raise InputError(_refusal(kinds[0], "layers without it", "choose another preset, or leave --optimiser out"))
    fields = {
        "augmented copies": recipe.copies,
        "a teacher": recipe.teacher,
        "a companion": recipe.companion,
        "averaging": recipe.averaging,
        "an aim for cycles": recipe.cost,
    }
    for found, value in fields.items():
        if value:
            raise InputError(_refusal(found, "none", "choose another preset, or leave --optimiser out"))
    if recipe.patience is not None:
        raise InputError(_refusal("patience", "none", "leave it out; it ends by itself"))
    if engine != numpy_engine.NAME:
        raise InputError(_refusal(f"engine {engine}", f"engine {numpy_engine.NAME}", "choose that"))


def _refusal(found: str, need: str, advice: str) -> str:
    return f"train: optimiser: found l-bfgs-b with {found}, need {need} for it; {advice}"
