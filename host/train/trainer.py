"""One training from first numbers to last: epochs, validation, early stopping, checkpoints. Knows no data set.

Which arithmetic does the work is the engine's business.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn import inference
from host.nn import numpy as layers
from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.train import checkpoint
from host.train.batches import EpochBatches, SoftTargets, batches
from host.train.checkpoint import Checkpoint
from host.train.engine import MakeEngine
from host.train.moving_average import Average
from host.train.optimisers import LbfgsB
from host.train.progress import ProgressMeter
from host.train.recipe import Recipe
from host.train.targets import target_rows

Mix = Callable[[EpochBatches, int, Callable[[int], float]], EpochBatches]
"""Changes what an epoch's engine is given: by the number of the epoch, and the rate of each of its batches."""


def no_mix(given: EpochBatches, epoch: int, rate: Callable[[int], float]) -> EpochBatches:
    """Change nothing."""
    return given


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a trainer works on: an epoch's codes (N, ...), and the teacher's opinion on the images that they are of."""

    codes: Callable[[int], NDArray[Any]]
    soft: Callable[[int], SoftTargets | None]
    labels: NDArray[np.int64]
    held_codes: NDArray[Any]  # (M, ...), M = 0 without validation
    held_labels: NDArray[np.int64]
    scaling: Scaling
    scores: Callable[[Parameters, Scaling, NDArray[Any]], NDArray[np.float32]] = inference.scores  # for validation

    def validation(self, numbers: Parameters) -> tuple[float, float] | None:
        """Return mean loss and accuracy 0..1 on the held-out images, where there are any."""
        if len(self.held_labels) == 0:
            return None
        found = self.scores(numbers, self.scaling, self.held_codes)
        hard = target_rows(self.held_labels, found.shape[1], 0.0, np.float32)
        loss = layers.cross_entropy(found.T, hard.T)[0] / len(found)
        return loss, float(np.mean(found.argmax(axis=1) == self.held_labels))


class Trainer:
    """Runs a recipe; `history` grows with every epoch.

    `best` are the numbers to keep if training ended now: with patience those of lowest validation loss so far, else
    those after the last finished epoch.
    """

    def __init__(
        self,
        data: TrainingData,
        recipe: Recipe,
        start: Parameters,
        seed: int,
        make: MakeEngine,
        mix: Mix | None = None,
        beside: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """`beside` are arrays, by name, that `mix` depends on: they are saved and restored with the net's own."""
        self._data, self._recipe, self._seed, self._mix = data, recipe, seed, mix or no_mix
        self._beside = dict(beside or {})
        assert not isinstance(recipe.optimiser, LbfgsB)  # see full_batch.py
        self.engine = make(start, data.scaling, recipe.optimiser, seed)
        self._targets = target_rows(data.labels, start.architecture.classes, recipe.smoothing, np.float32)
        self.best = start.copy()
        self._average = Average(start, recipe.averaging) if recipe.averaging else None
        self._finished = 0
        self.history = empty_history(data)

    @property
    def _latest(self) -> Parameters:
        """The averaged numbers, where the recipe averages."""
        return self.engine.parameters if self._average is None else self._average.parameters

    def run(self, show: Callable[[int], ProgressMeter], path: Path | None, mark: str) -> Parameters:
        """Train, from the checkpoint at `path` if there is one, and save one there after each epoch; return `best`.

        `show` begins to tell of it, given how many epochs are finished already. Raises InputError when the loss is no
        longer finite, or when the checkpoint belongs to another training than `mark`.
        """
        if path is not None:
            self._restore(checkpoint.load(path, mark))
        progress = show(self._finished)
        while self._finished < self._recipe.epochs and not self._patience_is_over():
            self._epoch(progress)
            if path is not None:
                checkpoint.save(path, mark, self._state())
        return self.best

    def _epoch(self, progress: ProgressMeter) -> None:
        epoch, recipe, data = self._finished, self._recipe, self._data
        parts = batches(len(data.labels), recipe.batch, self._seed, epoch)
        steps, before = len(parts) * recipe.epochs, len(parts) * epoch

        def rate(index: int) -> float:
            return recipe.schedule.at(before + index, steps)

        given = EpochBatches(data.codes(epoch), self._targets, parts, data.soft(epoch), data.labels)
        mixed = self._mix(given, epoch, rate)
        result = self.engine.epoch(
            mixed, epoch, rate, lambda index, loss: self._batch(progress, before + index + 1, loss)
        )
        arrays = (self.engine.parameters.flat, *self.engine.moments.values())
        if not (math.isfinite(result.loss) and all(np.isfinite(array).all() for array in arrays)):
            # A loss of before the last step may be finite still.
            found = "weights that are not finite" if math.isfinite(result.loss) else str(result.loss)
            raise InputError(
                f"train: loss: found {found} in epoch {epoch + 1}, need a finite one; "
                f"lower the learning rate, such as --rate {recipe.schedule.rate / 10:g}"
            )
        self._finished += 1
        self.history["loss"].append(result.loss)
        self.history["accuracy"].append(result.accuracy)
        self.history["batch_loss"] += result.losses.tolist()
        progress.epoch(before + len(parts), result.loss, result.accuracy, self._validated())

    def _batch(self, progress: ProgressMeter, done: int, loss: float) -> None:
        if self._average is not None:
            self.engine.refresh()
            self._average.add(self.engine.parameters, done)
        progress.batch(done, loss)

    def _validated(self) -> float | None:
        """Measure the held-out images, remember the best numbers, return the loss."""
        found = self._data.validation(self._latest)
        lowest = min(self.history.get("validation_loss", ()), default=math.inf)
        if self._recipe.patience is None or (found is not None and found[0] < lowest):
            self.best = self._latest.copy()
        if found is None:
            return None
        self.history["validation_loss"].append(found[0])
        self.history["validation_accuracy"].append(found[1])
        return found[0]

    def _patience_is_over(self) -> bool:
        losses, patience = self.history.get("validation_loss", []), self._recipe.patience
        return bool(losses) and patience is not None and len(losses) - 1 - losses.index(min(losses)) >= patience

    def _state(self) -> Checkpoint:
        """Return everything that the next epoch depends on."""
        nets = {"now": self.engine.parameters, "best": self.best}
        if self._average is not None:
            nets["average"] = self._average.parameters
        arrays = {name: net.flat for name, net in nets.items()}
        arrays |= {f"{name}.measured": net.measured for name, net in nets.items()}
        arrays |= {f"moment.{name}": moment for name, moment in self.engine.moments.items()}
        return Checkpoint(self._finished, self.history, arrays | self._beside)

    def _restore(self, state: Checkpoint | None) -> None:
        if state is None:
            return
        for name, array in self._state().arrays.items():
            array[...] = state.arrays[name]
        self._finished = state.epochs
        self.history = state.history


def empty_history(data: TrainingData) -> dict[str, list[float]]:
    """Return the curves of a training before its first epoch."""
    names = ["loss", "accuracy", "batch_loss"]
    return {name: [] for name in names + ["validation_loss", "validation_accuracy"] * (len(data.held_labels) > 0)}
