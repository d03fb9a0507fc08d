"""One net's way through its recipe: teachers first, then the net itself, then its trainings for weight formats."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data import Dataset
from host.nn import inference
from host.nn.fixed import codes
from host.nn.layers import Architecture
from host.nn.network import QatResult, Scaling
from host.nn.parameters import Parameters, initial
from host.train.augment.prefetch import Copies, interleave
from host.train.batches import EpochBatches
from host.train.companion import CompanionNet, mixed
from host.train.engine import MakeEngine
from host.train.engines.full_batch import FullBatchTrainer
from host.train.marks import Marks
from host.train.opinions import Asked, opinions
from host.train.optimisers import LbfgsB, OptimiserSpec
from host.train.phases import batches_of, qat_file, teacher_file, teacher_name, teaching
from host.train.progress import ProgressMeter
from host.train.qat.cost_aware import CostAwareRounding
from host.train.qat.cost_engine import CostAwareEngine
from host.train.qat.narrow import narrowed
from host.train.qat.recipe import QatRecipe
from host.train.qat.train import FloatNet, qat_recipe, top_for, train_for
from host.train.recipe import Recipe
from host.train.scaling import folded, scaling_of
from host.train.targets import target_rows
from host.train.trainer import Trainer, TrainingData, no_mix

_COPIES_STREAM = 13  # a random stream of the seed
History = dict[str, tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class Trained:
    """What a recipe led to, the numbers ready for use; `output_max` where it is decided and not measured, by layer."""

    numbers: Parameters
    scaling: Scaling
    qat: tuple[QatResult, ...]
    history: History
    output_max: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Task:
    """The net of one recipe, and what it is trained on."""

    recipe: Recipe
    architecture: Architecture
    scaling: Scaling
    copies: Copies  # of codes
    data: TrainingData


@dataclass(frozen=True, eq=False)
class Pipeline:
    """What the net and its teachers have in common."""

    dataset: Dataset
    kept: NDArray[np.int64]
    held: NDArray[np.int64]
    seed: int
    make: MakeEngine
    marks: Marks
    hand_over: Callable[[Trained], None]  # called with the best so far when the training is interrupted
    progress: ProgressMeter

    def train(self, recipe: Recipe, phase: str, path: Path | None) -> Trained:
        """Train by one recipe; `path` is where its checkpoint is kept."""
        with ExitStack() as stack:
            task = self._task(recipe, path, stack)
            trainer, companion = self._trainer(task)
            with self._handing_over(lambda: self._reached(trainer, task) if trainer.history["loss"] else None):
                if isinstance(trainer, FullBatchTrainer):
                    trainer.run(self._enter(recipe))
                else:
                    trainer.run(self._enter(recipe), path, self.marks.of(replace(recipe, qat=()), phase))
            trained = self._reached(trainer, task)
            for wanted in recipe.qat:
                trained = self._with_format(trained, wanted, task, companion, path)
        return trained

    def _task(self, recipe: Recipe, path: Path | None, stack: ExitStack) -> _Task:
        """Threads that make augmented copies end with `stack`."""
        train, architecture = self.dataset.train, self._architecture(recipe)
        warps = interleave(recipe.copies, recipe.epochs) if recipe.copies else []
        copies = stack.enter_context(
            Copies(
                train.images[self.kept], warps, (self.seed, _COPIES_STREAM), lambda images: codes(architecture, images)
            )
        )
        scaling = scaling_of(recipe.scaling, copies.plain, architecture.top)
        teachers = [
            self._teacher(recipe, number, path) for number in range(recipe.teacher.count if recipe.teacher else 0)
        ]
        soft = opinions(recipe, architecture, teachers, copies)
        held = codes(architecture, train.images[self.held])
        data = TrainingData(copies.at, soft, train.labels[self.kept], held, train.labels[self.held], scaling)
        return _Task(recipe, architecture, scaling, copies, data)

    def _trainer(self, task: _Task) -> tuple[Trainer | FullBatchTrainer, CompanionNet | None]:
        recipe, data = task.recipe, task.data
        start = initial(task.architecture, self.seed, recipe.initial)
        if isinstance(recipe.optimiser, LbfgsB):
            return FullBatchTrainer(data, recipe, start), None
        companion = self._companion(task)
        mix = companion.learn_and_mix if companion else no_mix
        beside = companion.state() if companion else None
        return Trainer(data, recipe, start, self.seed, self._maker(task), mix, beside), companion

    def _maker(self, task: _Task) -> MakeEngine:
        recipe = task.recipe
        if recipe.cost is None:
            return self.make
        facts = (recipe.cost, recipe.epochs, task.architecture, task.copies.plain, task.scaling)
        rounding = CostAwareRounding(*facts)

        def make(numbers: Parameters, scaling: Scaling, rules: OptimiserSpec, seed: int) -> CostAwareEngine:
            return CostAwareEngine(numbers, scaling, rules, seed, rounding)

        return make

    def _companion(self, task: _Task) -> CompanionNet | None:
        recipe, rules = task.recipe, task.recipe.companion
        if rules is None or isinstance(recipe.optimiser, LbfgsB):
            return None
        wide = self._architecture(replace(recipe, layers=rules.layers))
        engine = self.make(initial(wide, self.seed, recipe.initial), task.scaling, recipe.optimiser, self.seed)
        hard = target_rows(task.data.labels, wide.classes, 0.0, np.float32)
        return CompanionNet(rules, engine, task.scaling, hard, rules.rate / recipe.schedule.rate)

    def _reached(self, trainer: Trainer | FullBatchTrainer, task: _Task) -> Trained:
        history = {name: tuple(values) for name, values in trainer.history.items()}
        engine = trainer.engine if isinstance(trainer, Trainer) else None
        settled = engine.rounding.settled(trainer.best) if isinstance(engine, CostAwareEngine) else None
        if settled is None:
            return Trained(inference.for_use(trainer.best), task.scaling, (), history)
        hidden = task.architecture.fixed + 2
        return Trained(settled.parameters, Scaling(0, 1.0), (settled.result,), history, {hidden: settled.hidden_max})

    def _with_format(
        self, trained: Trained, wanted: QatRecipe, task: _Task, companion: CompanionNet | None, path: Path | None
    ) -> Trained:
        """Train the finished net on for one weight format."""
        further = qat_recipe(task.recipe, wanted)
        own = FloatNet(trained.numbers, task.scaling)
        top = top_for(wanted, trained.numbers)
        net = FloatNet(*narrowed(trained.numbers, task.scaling, top))
        beside = None if path is None else qat_file(path, wanted)
        mark = self.marks.of(further, wanted.name)
        mix = no_mix
        if companion is not None:
            rules, beside_it = companion.rules, narrowed(companion.engine.parameters, task.scaling, top)

            def mix(given: EpochBatches, epoch: int, rate: Callable[[int], float]) -> EpochBatches:
                return mixed(rules, *beside_it, given)

        data, plain = _narrow_data(task, net, self.dataset.train.images[self.held])
        with self._handing_over(lambda: trained):
            result, more = train_for(
                *(wanted, net, own, further, data, plain, self.seed),
                lambda trainer: trainer.run(self._enter(further), beside, mark),
                mix,
            )
        return replace(trained, qat=(*trained.qat, result), history=trained.history | more)

    @contextmanager
    def _handing_over(self, so_far: Callable[[], Trained | None]) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            best = so_far()
            if best is not None:
                self.hand_over(finished(best))
            raise

    def _architecture(self, recipe: Recipe) -> Architecture:
        return recipe.architecture(self.dataset.image_shape, len(self.dataset.labels))

    def _enter(self, recipe: Recipe) -> Callable[[int], ProgressMeter]:
        """Return what begins the next phase, given how many epochs are finished already."""
        return lambda done: self.progress.enter(batches_of(recipe, len(self.kept)) * done)

    def _teacher(self, recipe: Recipe, number: int, path: Path | None) -> Asked:
        """Return a trained teacher, counted from 0."""
        assert recipe.teacher is not None
        beside = None if path is None else teacher_file(path, number)
        pipeline = replace(self, seed=self.seed + number, hand_over=lambda trained: None)
        pipeline = replace(pipeline, marks=replace(self.marks, seed=self.seed + number))
        trained = pipeline.train(teaching(recipe, recipe.teacher), teacher_name(recipe.teacher, number), beside)
        return Asked(trained.numbers, trained.scaling)


def finished(trained: Trained) -> Trained:
    """Return the same with the divisor of codes in the weights, where files and boards have always had it."""
    numbers, scaling, qat = folded(trained.numbers, trained.scaling, trained.qat)
    return replace(trained, numbers=numbers, scaling=scaling, qat=qat)


def _narrow_data(task: _Task, net: FloatNet, held: NDArray[np.uint8]) -> tuple[TrainingData, NDArray[Any]]:
    """Return what `net` is trained on, and the images without augmentation, both in its codes."""
    architecture, known = net.parameters.architecture, task.architecture
    if architecture.layers[: architecture.fixed] == known.layers[: known.fixed]:
        return task.data, task.copies.plain
    made = cache(lambda number: codes(architecture, task.copies.images(number)))
    data = replace(
        task.data,
        codes=lambda epoch: made(task.copies.number(epoch)),
        held_codes=codes(architecture, held),
        scaling=net.scaling,
    )
    return data, codes(architecture, task.copies.originals)
