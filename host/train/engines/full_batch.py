"""Training of a learned net on all images at once by L-BFGS-B, with the gradients of the NumPy layers.

Works in float64, which its line search needs, through the images in chunks that two threads share.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from host.errors import InputError
from host.nn import numpy as layers
from host.nn.layers import BatchNorm, Dropout
from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.nn.workers import Crew
from host.train.engines import numpy_engine
from host.train.engines.lbfgs import minimise
from host.train.optimisers import LbfgsB
from host.train.progress import Meter
from host.train.recipe import LearnedRecipe
from host.train.trainer import Material, empty_history
from host.train.two_layer.net import target_rows

_CHUNK = 64  # images through the layers at once: their buffers should stay in the cache
_WORKERS = 2

Vector = NDArray[np.float64]


class FullBatchCourse:
    """Like `course.Course`, with iterations for epochs and evaluations of the loss for batches; see `check_recipe`."""

    def __init__(self, material: Material, recipe: LearnedRecipe, start: Parameters) -> None:
        assert isinstance(recipe.optimiser, LbfgsB)
        self._material, self._recipe, self._rules = material, recipe, recipe.optimiser
        self._numbers = Parameters(start.architecture, start.flat.astype(np.float64), start.measured)
        self._targets = target_rows(material.labels, start.architecture.classes, recipe.smoothing, np.float64)
        self.best = start.copy()
        self.history = empty_history(material)

    def run(self, show: Callable[[int], Meter], path: Path | None, mark: str) -> Parameters:
        """Train and return `best`; see Course.run. `path` must be None: SciPy's state cannot be saved.

        Raises InputError when the numbers are no longer finite.
        """
        assert path is None
        meter = show(0)
        loss_of = Loss(self._numbers, self._material.scaling, self._rules.reg, self._material.images(0), self._targets)

        def evaluate(flat: Vector) -> tuple[float, float, Vector]:
            loss, accuracy, gradient = loss_of(flat)
            self.history["batch_loss"].append(loss)
            return loss, accuracy, gradient

        def report(iteration: int, loss: float, accuracy: float, flat: Vector) -> None:
            self.best.flat[...] = flat
            self.history["loss"].append(loss)
            self.history["accuracy"].append(accuracy)
            found = self._material.validation(self.best)
            if found is not None:
                self.history["validation_loss"].append(found[0])
                self.history["validation_accuracy"].append(found[1])
            meter.epoch(iteration, loss, accuracy, None if found is None else found[0])

        with threadpool_limits(limits=1, user_api="blas"):
            minimise(evaluate, self._numbers.flat.copy(), self._recipe.epochs, self._rules.gtol, report)
        if not np.isfinite(self.best.flat).all():
            raise InputError("train: weights: found values that are not finite, need finite ones; raise reg")
        return self.best


class Loss:
    """Mean cross-entropy over all images (N, H, W) plus reg · Σ weights², as a function of a net's flat vector."""

    def __init__(
        self, numbers: Parameters, scaling: Scaling, reg: float, images: NDArray[np.uint8], targets: Vector
    ) -> None:
        self._numbers, self._scaling, self._reg, self._images, self._targets = numbers, scaling, reg, images, targets
        self._crew = Crew(_WORKERS)
        self._gradients = [numbers.zeros() for _ in range(_WORKERS)]
        self._nets = [self._builder(number) for number in range(_WORKERS)]
        self._weights = numbers.decays

    def __call__(self, flat: Vector) -> tuple[float, float, Vector]:
        """Return the loss, the accuracy 0..1 and the gradient."""
        count = len(self._images)
        self._numbers.flat[...] = flat
        parts = self._crew.run(self._part)
        gradient: Vector = np.sum([part[2] for part in parts], axis=0) / count
        weights = flat * self._weights
        gradient += 2 * self._reg * weights
        loss = sum(part[0] for part in parts) / count + self._reg * float(weights @ weights)
        return loss, sum(part[1] for part in parts) / count, gradient

    def _part(self, number: int) -> tuple[float, int, Vector]:
        """Return the sums of a worker's losses, of what it got right, and of its gradients."""
        total, loss, right = np.zeros_like(self._numbers.flat), 0.0, 0
        for start in range(number * _CHUNK, len(self._images), _WORKERS * _CHUNK):
            images, targets = self._images[start : start + _CHUNK], self._targets[start : start + _CHUNK].T
            net = self._nets[number](len(images))
            scores = net.forward(self._scaling.apply(images, np.float64))
            right += int(np.count_nonzero(scores.argmax(axis=0) == targets.argmax(axis=0)))
            part, gradient = layers.cross_entropy(scores, targets)
            loss += part
            net.backward(gradient)
            total += self._gradients[number].flat
        return loss, right, total

    def _builder(self, number: int) -> Callable[[int], layers.Sequential]:
        training = layers.Training(self._gradients[number], np.random.default_rng(0))  # nothing here is drawn
        return cache(lambda size: layers.Sequential(self._numbers, size, training))


def check_recipe(recipe: LearnedRecipe, engine: str, *, saves: bool) -> None:
    """Raise InputError where the loss would change from one evaluation to the next, or what is wanted is not there."""
    kinds = [type(layer).__name__ for layer in recipe.layers if isinstance(layer, BatchNorm | Dropout)]
    if kinds:
        raise InputError(_refusal(kinds[0], "layers without it", "choose another preset, or leave --optimiser out"))
    fields = {"augmented copies": recipe.copies, "a teacher": recipe.teacher, "averaging": recipe.averaging}
    for found, value in fields.items():
        if value:
            raise InputError(_refusal(found, "none", "choose another preset, or leave --optimiser out"))
    if recipe.patience is not None:
        raise InputError(_refusal("patience", "none", "leave it out; it ends by itself"))
    if saves:  # SciPy's state cannot be had
        raise InputError(_refusal("a checkpoint", "none", "leave it out"))
    if engine != numpy_engine.NAME:
        raise InputError(_refusal(f"engine {engine}", f"engine {numpy_engine.NAME}", "choose that"))


def _refusal(found: str, need: str, advice: str) -> str:
    return f"train: optimiser: found l-bfgs-b with {found}, need {need} for it; {advice}"
