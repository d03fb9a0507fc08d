"""Training of learned kernels from a data set and a recipe to a finished `LearnedNetwork`, by either engine.

Validation images are never trained on, neither by the net nor by its teacher; the test split is only measured.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data import Dataset
from host.errors import InputError, ToolMissing
from host.train import checkpoint, learned, numpy_engine
from host.train.copies import interleave
from host.train.course import Course, MakeEngine, Material
from host.train.image_copies import ImageCopies
from host.train.layers import softmax
from host.train.learned import LearnedNetwork, Scaling
from host.train.lesson import Soft
from host.train.meter import Meter, Progress
from host.train.network import Provenance
from host.train.parameters import Parameters, initial
from host.train.recipe import LearnedRecipe, Teacher
from host.train.split import holdout_rows

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
) -> LearnedNetwork:
    """Train a net; the same arguments give the same arrays, bit for bit, on one machine.

    With `checkpoint_path` the state is saved there after every epoch (a teacher's beside it), and a training that finds
    its own checkpoint goes on from it to the same result; deleting it is the caller's business. `device` is for torch.
    Raises InputError on an unusable recipe, a foreign checkpoint or a loss that is no longer finite, ToolMissing where
    torch is asked for and not installed.
    """
    kept, held = holdout_rows(dataset.train.labels, recipe.holdout)
    if recipe.patience is not None and len(held) == 0:
        raise InputError("train: patience: found it without validation images, need some; set holdout")
    scaling = _scaling(recipe.scaling, dataset.train.images[kept])
    school = _School(dataset, kept, held, scaling, preset, seed, _maker(engine, device), progress)
    trained, history = school.train(recipe, "train", checkpoint_path)
    source = Provenance(dataset.name, dataset.sha256, preset, seed, engine, history)
    return _finished(dataset, learned.for_use(trained), scaling, source, kept, held)


@dataclass(frozen=True, eq=False)
class _School:
    """What the net and its teacher have in common."""

    dataset: Dataset
    kept: NDArray[np.int64]
    held: NDArray[np.int64]
    scaling: Scaling
    preset: str
    seed: int
    make: MakeEngine
    progress: Callable[[Progress], None] | None

    def train(
        self, recipe: LearnedRecipe, stage: str, path: Path | None
    ) -> tuple[Parameters, dict[str, tuple[float, ...]]]:
        """Return the trained numbers and the history of one recipe, after training its teacher."""
        data = self.dataset.train
        with ExitStack() as stack:
            warps = interleave(recipe.copies, recipe.epochs) if recipe.copies else []
            copies = stack.enter_context(ImageCopies(data.images[self.kept], warps, self.seed))
            soft = self._opinions(recipe, copies, path)
            held_images, held_labels = data.images[self.held], data.labels[self.held]
            material = Material(copies.images, soft, data.labels[self.kept], held_images, held_labels, self.scaling)
            architecture = recipe.architecture(self.dataset.image_shape, len(self.dataset.labels))
            start = initial(architecture, self.seed, recipe.initial)
            course = Course(material, recipe, start, self.seed, self.make)
            steps = -(-len(self.kept) // recipe.batch)
            trained = course.run(
                lambda done: Meter(self.progress, steps * recipe.epochs, steps * done, stage),
                path,
                checkpoint.fingerprint(recipe, self.seed, self.dataset.sha256, stage),
            )
        return trained, {name: tuple(values) for name, values in course.history.items()}

    def _opinions(self, recipe: LearnedRecipe, copies: ImageCopies, path: Path | None) -> Callable[[int], Soft | None]:
        """Return what gives the teacher's opinion on an epoch's images; each copy is asked about once."""
        teacher = recipe.teacher
        if teacher is None:
            return lambda epoch: None
        beside = None if path is None else path.with_name(f"{path.name}.teacher")
        numbers = learned.for_use(self.train(_teaching(recipe, teacher), "teacher", beside)[0])

        @cache
        def ask(number: int) -> Soft:
            found = learned.scores(numbers, self.scaling, copies.images(number))
            return Soft(softmax(found.T / teacher.temperature).T, teacher.temperature, teacher.hard)

        return lambda epoch: ask(copies.number(epoch))


def _teaching(recipe: LearnedRecipe, teacher: Teacher) -> LearnedRecipe:
    """Return the recipe by which the teacher itself is trained."""
    return replace(recipe, layers=teacher.layers, epochs=teacher.epochs or recipe.epochs, teacher=None, patience=None)


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
        from host.train.torch_engine import maker
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
) -> LearnedNetwork:
    """Measure the finished net: activation ranges on the images trained on, accuracies on every part."""
    train, test = dataset.train, dataset.test
    found, ranges = learned.scores_and_ranges(numbers, scaling, train.images[kept])
    metrics = {"train": _share_right(found, train.labels[kept])}
    if len(held):
        metrics["validation"] = _share_right(learned.scores(numbers, scaling, train.images[held]), train.labels[held])
    if len(test.labels):
        metrics["test"] = _share_right(learned.scores(numbers, scaling, test.images), test.labels)
    return LearnedNetwork(numbers, scaling, dataset.labels, replace(source, metrics=metrics), ranges)


def _share_right(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))
