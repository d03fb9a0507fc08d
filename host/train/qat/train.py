"""Trains a finished net on for one weight format, with learned step sizes; the float net stays as it is.

See docs/quantisation.md.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn import inference
from host.nn import numpy as layers
from host.nn.activations import rectifiers
from host.nn.formats import WEIGHT_TOPS
from host.nn.network import QatResult, Scaling
from host.nn.parameters import Parameters
from host.train.progress import Meter
from host.train.qat import freeze as rounded
from host.train.qat.engine import LsqEngine
from host.train.qat.recipe import Tuning
from host.train.qat.scales import start
from host.train.recipe import LearnedRecipe
from host.train.trainer import Course, Material

_PERCENTILE = 99.99
_IMAGES = 1000  # evenly spread over the training images: enough for where the steps of activations start


def tuning_recipe(recipe: LearnedRecipe, tuning: Tuning) -> LearnedRecipe:
    """Return the recipe of a tuning that follows the training by `recipe`."""
    changes: dict[str, Any] = {"schedule": tuning.schedule, "optimiser": tuning.optimiser}
    return replace(recipe, epochs=tuning.epochs, patience=None, averaging=0.0, tuning=(tuning,), **changes)


def tune(
    trained: Parameters,
    tuning: Tuning,
    recipe: LearnedRecipe,
    material: Material,
    images: NDArray[np.uint8],
    seed: int,
    show: Callable[[int], Meter],
    path: Path | None,
    mark: str,
) -> tuple[QatResult, dict[str, tuple[float, ...]]]:
    """Return the tuned numbers and the history, its names beginning with the format.

    `trained` is the float net, ready for use; `recipe` is that of `tuning_recipe`; `images` (N, H, W) are those trained
    on, without augmentation. `show`, `path` and `mark` are as in `Course.run`. Raises InputError for a net without ReLU
    where a board rounds.
    """
    numbers = trained.copy()
    tops = output_tops(numbers, material.scaling, images)
    steps = start(numbers, WEIGHT_TOPS[tuning.format], tops, 1 / material.scaling.divisor)
    engine = LsqEngine(numbers, material.scaling, tuning.optimiser, seed, steps, tuning.step_factor)
    course = Course(
        replace(material, scores=lambda latest, scaling, held: rounded.scores(latest, steps, scaling, held)),
        recipe,
        numbers,
        seed,
        lambda *_: engine,
    )
    final = course.run(show, path, mark)
    history = {f"{tuning.format}_{name}": tuple(values) for name, values in course.history.items()}
    return rounded.settled(tuning.format, final, steps), history


def output_tops(parameters: Parameters, scaling: Scaling, images: NDArray[np.uint8]) -> dict[int, float]:
    """Return, for each ReLU behind which a board rounds, what nearly all activations on `images` lie below."""
    rows = np.unique(np.linspace(0, len(images) - 1, min(_IMAGES, len(images))).astype(np.int64))
    found: dict[int, list[NDArray[np.float32]]] = {index: [] for index in rectifiers(parameters.architecture)}
    lock = Lock()

    def see(index: int, values: NDArray[Any]) -> None:
        if index in found:
            kept = values.ravel().copy()
            with lock:
                found[index].append(kept)

    classes = parameters.architecture.classes
    inference.through(lambda size: layers.Sequential(parameters, size), classes, scaling, images[rows], see)
    return {index: float(np.percentile(np.concatenate(parts), _PERCENTILE)) for index, parts in found.items()}
