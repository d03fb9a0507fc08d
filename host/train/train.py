"""Training of learned kernels from a data set and a recipe to a finished `Network`, by either engine.

Validation images are never trained on, neither by the net nor by its teacher; the test split is only measured.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data import Dataset
from host.errors import InputError, ToolMissing
from host.nn import inference
from host.nn.network import Network, Provenance, Scaling
from host.nn.parameters import Parameters
from host.train.batches import SMALLEST_BATCH
from host.train.checks import check_whole
from host.train.engines import numpy_engine
from host.train.engines.full_batch import check_recipe
from host.train.holdout import holdout_rows
from host.train.optimisers import LbfgsB
from host.train.pipeline import School, Trained
from host.train.progress import Meter, Progress
from host.train.recipe import LearnedRecipe
from host.train.trainer import MakeEngine

ENGINES = ("numpy", "torch")
SCALINGS = ("unit", "standard")


def train_sequential(
    dataset: Dataset,
    recipe: LearnedRecipe,
    *,
    preset: str = "custom",
    seed: int = 0,
    engine: str = numpy_engine.NAME,
    device: str = "cpu",
    progress: Callable[[Progress], None] | None = None,
    checkpoint_path: Path | None = None,
    interrupted: Callable[[Network], None] | None = None,
) -> Network:
    """Train a net; the same arguments give the same arrays, bit for bit, on one machine.

    With `checkpoint_path` the state is saved there after every epoch (a teacher's beside it), and a training that finds
    its own checkpoint goes on from it to the same result; deleting `school.checkpoint_files` is the caller's business.
    `device` is for torch. On KeyboardInterrupt `interrupted` gets the best network so far, if an epoch of the net
    itself has ended, then the interrupt goes on. Raises InputError on an unusable recipe, a foreign checkpoint or a
    loss that is no longer finite, ToolMissing where torch is asked for and not installed.
    """
    kept, held = holdout_rows(dataset.train.labels, recipe.holdout)
    if recipe.patience is not None and len(held) == 0:
        raise InputError("train: patience: found it without validation images, need some; set holdout")
    if len(kept) < SMALLEST_BATCH:
        raise InputError(
            f"train: images: found {len(kept)} to train on, need {SMALLEST_BATCH} or more; give more images"
        )
    check_whole("seed", seed, 0)
    if recipe.teacher is not None:
        check_whole("teachers", recipe.teacher.count, 1)
    make = _maker(engine, device)
    if isinstance(recipe.optimiser, LbfgsB):
        check_recipe(recipe, engine, saves=checkpoint_path is not None)
    scaling = _scaling(recipe.scaling, dataset.train.images[kept])

    def finish(trained: Trained) -> Network:
        source = Provenance(dataset.name, dataset.sha256, preset, seed, engine, trained.history)
        network = _finished(dataset, trained.numbers, scaling, source, kept, held)
        return replace(network, qat=trained.tuned)

    def hand_over(trained: Trained) -> None:
        if interrupted is not None:
            interrupted(finish(trained))

    school = School(dataset, kept, held, scaling, seed, make, (engine, device), hand_over)
    school = replace(school, meter=Meter(progress, school.stages(recipe, "train")))
    return finish(school.train(recipe, "train", checkpoint_path))


def _scaling(rule: str, images: NDArray[np.uint8]) -> Scaling:
    """Return how pixels become inputs; "standard" takes whole numbers, as seed 001 did."""
    if rule not in SCALINGS:
        raise InputError(f"train: scaling: found '{rule}', need one of {', '.join(SCALINGS)}; choose one")
    if rule == "unit":
        return Scaling()
    return Scaling(int(images.mean()), float(max(1, int(images.std()))))


def _maker(engine: str, device: str) -> MakeEngine:
    if engine == numpy_engine.NAME:
        return numpy_engine.NumpyEngine
    if engine not in ENGINES:
        raise InputError(f"train: engine: found '{engine}', need one of {', '.join(ENGINES)}; choose one")
    try:
        from host.train.engines.torch_engine import maker
    except ImportError as error:
        advice = "run `pip install 'digitduino[torch]'` or use --engine numpy"
        raise ToolMissing(f"train: engine: found no torch ({error}), need it for --engine torch; {advice}") from error
    return maker(device)


def _finished(
    dataset: Dataset,
    numbers: Parameters,
    scaling: Scaling,
    source: Provenance,
    kept: NDArray[np.int64],
    held: NDArray[np.int64],
) -> Network:
    """Measure the finished net: activation ranges on the images trained on, accuracies on every part."""
    train, test = dataset.train, dataset.test
    found, ranges = inference.scores_and_ranges(numbers, scaling, train.images[kept])
    metrics = {"train": _share_right(found, train.labels[kept])}
    if len(held):
        metrics["validation"] = _share_right(inference.scores(numbers, scaling, train.images[held]), train.labels[held])
    if len(test.labels):
        metrics["test"] = _share_right(inference.scores(numbers, scaling, test.images), test.labels)
    return Network(numbers, scaling, dataset.labels, replace(source, metrics=metrics), ranges)


def _share_right(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))
