"""One net's way through its recipe: the teacher first, then the net itself, then its tunings for weight formats."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data import Dataset
from host.nn import inference
from host.nn.layers import Architecture
from host.nn.network import QatResult, Scaling
from host.nn.numpy import softmax
from host.nn.parameters import Parameters, initial
from host.train import checkpoint
from host.train.augment.prefetch import Copies, interleave
from host.train.batches import Soft, batch_count
from host.train.engines.full_batch import FullBatchCourse
from host.train.optimisers import LbfgsB
from host.train.progress import Meter, Stage
from host.train.qat.recipe import Tuning
from host.train.qat.train import tune, tuning_recipe
from host.train.recipe import LearnedRecipe, Teacher
from host.train.trainer import Course, MakeEngine, Material

_COPIES_STREAM = 13  # a random stream of the seed


@dataclass(frozen=True, eq=False)
class Trained:
    """What a recipe led to, the numbers ready for use."""

    numbers: Parameters
    tuned: tuple[QatResult, ...]
    history: dict[str, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class School:
    """What the net and its teachers have in common."""

    dataset: Dataset
    kept: NDArray[np.int64]
    held: NDArray[np.int64]
    scaling: Scaling
    seed: int
    make: MakeEngine
    engine: tuple[str, str]  # its name and device: others give other bits
    hand_over: Callable[[Trained], None]  # called with the best so far when the training is interrupted
    meter: Meter = field(default_factory=lambda: Meter(None, ()))

    def stages(self, recipe: LearnedRecipe, name: str) -> list[Stage]:
        """Return what `train` goes through, in its order; the cost of a step is about in proportion to the net's."""
        found: list[Stage] = []
        if recipe.teacher is not None:
            for number in range(recipe.teacher.count):
                found += self.stages(_teaching(recipe, recipe.teacher), _teacher_name(recipe.teacher, number))
        cost = self._architecture(recipe).macs
        parts = [(name, recipe), *((tuning.format, tuning_recipe(recipe, tuning)) for tuning in recipe.tuning)]
        return found + [Stage(word, self._steps(part) * part.epochs, cost) for word, part in parts]

    def train(self, recipe: LearnedRecipe, stage: str, path: Path | None) -> Trained:
        """Train by one recipe; `path` is where its checkpoint is kept."""
        data = self.dataset.train
        with ExitStack() as stack:
            warps = interleave(recipe.copies, recipe.epochs) if recipe.copies else []
            copies = stack.enter_context(Copies(data.images[self.kept], warps, (self.seed, _COPIES_STREAM)))
            soft = self._opinions(recipe, copies, path)
            held_images, held_labels = data.images[self.held], data.labels[self.held]
            material = Material(copies.at, soft, data.labels[self.kept], held_images, held_labels, self.scaling)
            trained = self._float(recipe, stage, path, material)
            for tuning in recipe.tuning:
                trained = self._tuned(trained, tuning, recipe, path, material)
        return trained

    def _float(self, recipe: LearnedRecipe, stage: str, path: Path | None, material: Material) -> Trained:
        """Train without any rounding."""
        start = initial(self._architecture(recipe), self.seed, recipe.initial)
        course = (
            FullBatchCourse(material, recipe, start)
            if isinstance(recipe.optimiser, LbfgsB)
            else Course(material, recipe, start, self.seed, self.make)
        )
        with self._handing_over(lambda: _reached(course) if course.history["loss"] else None):
            course.run(self._enter(recipe), path, self._mark(replace(recipe, tuning=()), stage))
        return _reached(course)

    def _tuned(
        self, trained: Trained, tuning: Tuning, recipe: LearnedRecipe, path: Path | None, material: Material
    ) -> Trained:
        """Train the finished net on for one weight format."""
        further = tuning_recipe(recipe, tuning)
        beside = None if path is None else _tuning_file(path, tuning)
        mark, images = self._mark(further, tuning.format), self.dataset.train.images[self.kept]
        enter = self._enter(further)
        with self._handing_over(lambda: trained):
            result, more = tune(trained.numbers, tuning, further, material, images, self.seed, enter, beside, mark)
        return Trained(trained.numbers, (*trained.tuned, result), trained.history | more)

    @contextmanager
    def _handing_over(self, so_far: Callable[[], Trained | None]) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            best = so_far()
            if best is not None:
                self.hand_over(best)
            raise

    def _architecture(self, recipe: LearnedRecipe) -> Architecture:
        return recipe.architecture(self.dataset.image_shape, len(self.dataset.labels))

    def _steps(self, recipe: LearnedRecipe) -> int:
        """Return the meter's steps in an epoch."""
        return 1 if isinstance(recipe.optimiser, LbfgsB) else batch_count(len(self.kept), recipe.batch)

    def _enter(self, recipe: LearnedRecipe) -> Callable[[int], Meter]:
        """Return what begins the meter's next stage, given how many epochs are finished already."""
        return lambda done: self.meter.enter(self._steps(recipe) * done)

    def _mark(self, recipe: LearnedRecipe, stage: str) -> str:
        """Return what a checkpoint must have in common with the training that goes on from it."""
        facts = {known.name: getattr(recipe, known.name) for known in fields(recipe)}
        facts |= {"rate": recipe.schedule.rate, "schedule": replace(recipe.schedule, rate=1.0)}
        engine, device = self.engine
        others = {"seed": self.seed, "data": self.dataset.sha256, "stage": stage, "engine": engine, "device": device}
        return checkpoint.mark_of(facts | others)

    def _opinions(self, recipe: LearnedRecipe, copies: Copies, path: Path | None) -> Callable[[int], Soft | None]:
        """Return what gives the teacher's opinion on an epoch's images; each copy is asked about once."""
        teacher = recipe.teacher
        if teacher is None:
            return lambda epoch: None
        nets = [self._teacher(recipe, teacher, number, path) for number in range(teacher.count)]

        @cache
        def ask(number: int) -> Soft:
            said = [inference.scores(net, self.scaling, copies.at(number)) for net in nets]
            softened = [softmax(found.T / teacher.temperature).T for found in said]
            return Soft(np.mean(softened, axis=0, dtype=np.float32), teacher.temperature, teacher.hard)

        return lambda epoch: ask(copies.number(epoch))

    def _teacher(self, recipe: LearnedRecipe, teacher: Teacher, number: int, path: Path | None) -> Parameters:
        """Return the trained numbers of a teacher, counted from 0."""
        beside = None if path is None else _teacher_file(path, number)
        school = replace(self, seed=self.seed + number, hand_over=lambda trained: None)
        return school.train(_teaching(recipe, teacher), _teacher_name(teacher, number), beside).numbers


def checkpoint_files(path: Path, recipe: LearnedRecipe) -> list[Path]:
    """Return every file in which a training with this `path` keeps its state."""
    teachers = range(recipe.teacher.count if recipe.teacher else 0)
    beside = [_tuning_file(path, tuning) for tuning in recipe.tuning]
    return [path, *(_teacher_file(path, number) for number in teachers), *beside]


def _reached(course: Course | FullBatchCourse) -> Trained:
    history = {name: tuple(values) for name, values in course.history.items()}
    return Trained(inference.for_use(course.best), (), history)


def _teaching(recipe: LearnedRecipe, teacher: Teacher) -> LearnedRecipe:
    """Return the recipe by which the teacher itself is trained."""
    epochs = teacher.epochs or recipe.epochs
    return replace(recipe, layers=teacher.layers, epochs=epochs, teacher=None, patience=None, tuning=())


def _teacher_name(teacher: Teacher, number: int) -> str:
    return "teacher" if teacher.count == 1 else f"teacher {number + 1}/{teacher.count}"


def _teacher_file(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.teacher{number + 1 if number else ''}")


def _tuning_file(path: Path, tuning: Tuning) -> Path:
    return path.with_name(f"{path.name}.{tuning.format}")
