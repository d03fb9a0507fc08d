"""One training from first numbers to last: epochs, validation, early stopping, checkpoints. Knows no data set.

Which arithmetic does the work is the engine's business.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.train import checkpoint, layers, learned
from host.train.checkpoint import Checkpoint
from host.train.learned import Scaling
from host.train.lesson import EpochResult, Lesson, Soft, Tick, batches
from host.train.meter import Meter
from host.train.optimisers import OptimiserSpec
from host.train.parameters import Parameters
from host.train.recipe import LearnedRecipe


class Engine(Protocol):
    """Trains numbers in place."""

    parameters: Parameters  # up to date whenever no epoch runs

    @property
    def moments(self) -> dict[str, NDArray[np.float32]]:
        """The optimiser's memory, to be saved, or written into before the first epoch."""

    def epoch(self, lesson: Lesson, epoch: int, rate: Callable[[int], float], tick: Tick) -> EpochResult:
        """Train for one epoch, counted from 0; `rate` gives the rate of a batch of the epoch, from 0."""


MakeEngine = Callable[[Parameters, Scaling, OptimiserSpec, int], Engine]
"""Makes an engine from numbers, the images' scaling, the optimiser and the seed."""


@dataclass(frozen=True, eq=False)
class Material:
    """What a course works on: an epoch's images (N, H, W), and the teacher's opinion on them."""

    images: Callable[[int], NDArray[np.uint8]]
    soft: Callable[[int], Soft | None]
    labels: NDArray[np.int64]
    held_images: NDArray[np.uint8]  # (M, H, W), M = 0 without validation
    held_labels: NDArray[np.int64]
    scaling: Scaling


class Course:
    """Runs a recipe; `history` grows with every epoch, `best` are the numbers to keep."""

    def __init__(
        self, material: Material, recipe: LearnedRecipe, start: Parameters, seed: int, make: MakeEngine
    ) -> None:
        self._material, self._recipe, self._seed = material, recipe, seed
        self._engine = make(start, material.scaling, recipe.optimiser, seed)
        self._targets = _targets(material.labels, start.architecture.classes, recipe.smoothing)
        self._best = start.copy()
        self._finished = 0
        self.history: dict[str, list[float]] = {"loss": [], "accuracy": [], "batch_loss": []}
        if len(material.held_labels):
            self.history |= {"validation_loss": [], "validation_accuracy": []}

    @property
    def best(self) -> Parameters:
        """With patience the numbers of lowest validation loss so far, else the latest."""
        return self._best if self._recipe.patience is not None else self._engine.parameters

    def run(self, show: Callable[[int], Meter], path: Path | None, mark: str) -> Parameters:
        """Train, from the checkpoint at `path` if there is one, and save one there after each epoch; return `best`.

        `show` makes the meter, given how many epochs are finished already. Raises InputError when the loss is no
        longer finite, or when the checkpoint belongs to another training than `mark`.
        """
        if path is not None:
            self._restore(checkpoint.load(path, mark))
        meter = show(self._finished)
        while self._finished < self._recipe.epochs and not self._patience_is_over():
            self._epoch(meter)
            if path is not None:
                checkpoint.save(path, mark, self._state())
        return self.best

    def _epoch(self, meter: Meter) -> None:
        epoch, recipe, material = self._finished, self._recipe, self._material
        parts = batches(len(material.labels), recipe.batch, self._seed, epoch)
        steps, before = len(parts) * recipe.epochs, len(parts) * epoch
        result = self._engine.epoch(
            Lesson(material.images(epoch), self._targets, parts, material.soft(epoch)),
            epoch,
            lambda index: recipe.schedule.at(before + index, steps),
            lambda index, loss: meter.batch(before + index + 1, loss),
        )
        if not (math.isfinite(result.loss) and np.isfinite(self._engine.parameters.flat).all()):
            raise InputError(f"train: loss: found {result.loss} in epoch {epoch}, need a finite one; lower the rate")
        self._finished += 1
        self.history["loss"].append(result.loss)
        self.history["accuracy"].append(result.accuracy)
        self.history["batch_loss"] += result.losses.tolist()
        meter.epoch(before + len(parts), result.loss, result.accuracy, self._validate())

    def _validate(self) -> float | None:
        """Measure the held-out images, remember the best numbers, return the loss."""
        material = self._material
        if len(material.held_labels) == 0:
            return None
        found = learned.scores(self._engine.parameters, material.scaling, material.held_images)
        hard = _targets(material.held_labels, found.shape[1], 0.0)
        loss = layers.cross_entropy(found.T, hard.T)[0] / len(found)
        if loss < min(self.history["validation_loss"], default=math.inf):
            self._best = self._engine.parameters.copy()
        self.history["validation_loss"].append(loss)
        right = float(np.mean(found.argmax(axis=1) == material.held_labels))
        self.history["validation_accuracy"].append(right)
        return loss

    def _patience_is_over(self) -> bool:
        losses, patience = self.history.get("validation_loss", []), self._recipe.patience
        return bool(losses) and patience is not None and len(losses) - 1 - losses.index(min(losses)) >= patience

    def _state(self) -> Checkpoint:
        """Return everything that the next epoch depends on."""
        now = self._engine.parameters
        arrays = {"now": now.flat, "now.measured": now.measured}
        arrays |= {"best": self._best.flat, "best.measured": self._best.measured}
        arrays |= {f"moment.{name}": moment for name, moment in self._engine.moments.items()}
        return Checkpoint(self._finished, self.history, arrays)

    def _restore(self, state: Checkpoint | None) -> None:
        if state is None:
            return
        for name, array in self._state().arrays.items():
            array[...] = state.arrays[name]
        self._finished = state.epochs
        self.history = state.history


def _targets(labels: NDArray[np.int64], classes: int, smoothing: float) -> NDArray[np.float32]:
    """Return (N, classes) probabilities: 1 − smoothing at the label, and smoothing / classes spread over all."""
    table = np.eye(classes) * (1 - smoothing) + smoothing / classes
    rows: NDArray[np.float32] = table.astype(np.float32)[labels]
    return rows
