"""Training from a data set and a recipe to a finished `Network`, by either engine; the entry point of this package.

Validation images are never trained on, neither by the net nor by its teacher, except where a recipe has a validation
run: then the net learns from all images, and a second one, without those, shows what the first is worth. The test split
is only measured.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data import Dataset
from host.errors import InputError, ToolMissing
from host.nn import inference
from host.nn.fixed import codes
from host.nn.layers import Architecture
from host.nn.network import Network, Provenance
from host.train.batches import SMALLEST_BATCH
from host.train.checks import check_whole
from host.train.engine import MakeEngine
from host.train.engines import numpy_engine
from host.train.engines.full_batch import check_recipe
from host.train.holdout import holdout_rows
from host.train.marks import Marks
from host.train.optimisers import LbfgsB
from host.train.phases import VALIDATION, phases, validating, validation_file
from host.train.pipeline import Pipeline, Trained, finished
from host.train.progress import Progress, ProgressMeter
from host.train.qat.train import check_bits
from host.train.recipe import Recipe

FRONT_END_SIDE = 4
"""The smallest side of images that a fixed front end takes, on boards too."""
ENGINES = ("numpy", "torch")


def train(
    dataset: Dataset,
    recipe: Recipe,
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
    its own checkpoint goes on from it to the same result; deleting `phases.checkpoint_files` is the caller's business.
    L-BFGS-B keeps no state. `device` is for torch. On KeyboardInterrupt `interrupted` gets the best network so far, if
    an epoch of the net itself has ended, then the interrupt goes on. Raises InputError on an unusable recipe, a foreign
    checkpoint or a loss that is no longer finite, ToolMissing where torch is asked for and not installed.
    """
    kept, held = holdout_rows(dataset.train.labels, recipe.holdout)
    runs_again = recipe.validation_run and len(held) > 0
    rows = np.arange(len(dataset.train.labels)) if recipe.validation_run else kept
    _check(recipe, seed, engine, len(rows), has_validation=len(held) > 0 and not recipe.validation_run)
    architecture = recipe.architecture(dataset.image_shape, len(dataset.labels))
    _check_front_end(architecture)
    check_bits(recipe.qat, architecture)
    parts = phases(recipe, "train", len(rows), dataset)
    if runs_again:
        parts += phases(validating(recipe), VALIDATION, len(kept), dataset)
    finish = _Finish(dataset, rows, np.empty(0, np.int64) if recipe.validation_run else held, preset, seed, engine)
    pipeline = Pipeline(
        *(dataset, rows, finish.held, seed, _maker(engine, device)),
        Marks(seed, dataset.sha256, len(rows), engine, device),
        lambda trained: None if interrupted is None else interrupted(finish.network(trained)),
        ProgressMeter(progress, parts),
    )
    network = finish.network(finished(pipeline.train(recipe, "train", checkpoint_path)))
    if not runs_again:
        return network
    hand_over = replace(pipeline, hand_over=lambda trained: None if interrupted is None else interrupted(network))
    trial = _validation_run(hand_over, recipe, kept, checkpoint_path)
    return _with_validation(network, trial, dataset, held)


def _validation_run(pipeline: Pipeline, recipe: Recipe, kept: NDArray[np.int64], path: Path | None) -> Trained:
    """Train the same net on the images `kept` alone."""
    second = replace(pipeline, kept=kept, marks=replace(pipeline.marks, rows=len(kept)))
    return second.train(validating(recipe), VALIDATION, None if path is None else validation_file(path))


def _check(recipe: Recipe, seed: int, engine: str, rows: int, has_validation: bool) -> None:
    """Raise InputError for what cannot be trained."""
    if recipe.patience is not None and not has_validation:
        raise InputError("train: patience: found it without validation images, need some; set holdout")
    if rows < SMALLEST_BATCH:
        raise InputError(f"train: images: found {rows} to train on, need {SMALLEST_BATCH} or more; give more images")
    check_whole("seed", seed, 0)
    if recipe.teacher is not None:
        check_whole("teachers", recipe.teacher.count, 1)
    if isinstance(recipe.optimiser, LbfgsB):
        check_recipe(recipe, engine)
    if recipe.cost is not None and engine != numpy_engine.NAME:
        raise InputError(
            f"train: engine: found {engine} with an aim for cycles, need {numpy_engine.NAME} for it; choose that"
        )


def _check_front_end(architecture: Architecture) -> None:
    """Raise InputError for images of which a front end that pools and normalises would leave next to nothing."""
    height, width = architecture.input_shape[1:]
    if architecture.front_end_top is not None and min(height, width) < FRONT_END_SIDE:
        found, need = f"{height}x{width} pixels", f"sides of {FRONT_END_SIDE} or more for the fixed front end"
        raise InputError(f"train: images: found {found}, need {need}; choose a preset without, such as scratch-cnn")


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


@dataclass(frozen=True, eq=False)
class _Finish:
    """Measures a finished net: ranges on the images trained on, accuracies on every part."""

    dataset: Dataset
    kept: NDArray[np.int64]
    held: NDArray[np.int64]
    preset: str
    seed: int
    engine: str

    def network(self, trained: Trained) -> Network:
        dataset, numbers, scaling = self.dataset, trained.numbers, trained.scaling
        train, test = dataset.train, dataset.test
        given = codes(numbers.architecture, train.images[self.kept])
        found, ranges = inference.scores_and_ranges(numbers, scaling, given)
        metrics = {"train": _share_right(found, train.labels[self.kept])}
        for name, images, labels in (
            ("validation", train.images[self.held], train.labels[self.held]),
            ("test", test.images, test.labels),
        ):
            if len(labels):
                said = inference.scores(numbers, scaling, codes(numbers.architecture, images))
                metrics[name] = _share_right(said, labels)
        source = Provenance(
            *(dataset.name, dataset.sha256, self.preset, self.seed, self.engine), trained.history, metrics
        )
        tops = tuple(trained.output_max.get(index, top) for index, top in enumerate(ranges))
        return Network(numbers, scaling, dataset.labels, source, tops, qat=trained.qat)


def _with_validation(network: Network, trial: Trained, dataset: Dataset, held: NDArray[np.int64]) -> Network:
    """Return the network with what the run without the held-out images says of them."""
    given = codes(trial.numbers.architecture, dataset.train.images[held])
    said = inference.scores(trial.numbers, trial.scaling, given)
    source = network.provenance
    metrics = {**source.metrics, VALIDATION: _share_right(said, dataset.train.labels[held])}
    return replace(network, provenance=replace(source, metrics=metrics))


def _share_right(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))
