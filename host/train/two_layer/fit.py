"""Training from a data set and a preset to a finished `Network`; the entry point of this package.

The final network is trained on every training image. Its validation figure comes from a rehearsal afterwards: the same
recipe and seed without a held-out part of the training images, measured on that part. The test split is only measured.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from host.data import Dataset
from host.errors import InputError
from host.nn.dense_chain import join
from host.nn.network import Network, Provenance
from host.nn.preconv import preconv_features
from host.train import presets
from host.train.augment.prefetch import Copies, interleave
from host.train.checks import check_whole
from host.train.holdout import holdout_rows
from host.train.preconv_presets import PRECONV_PRESETS
from host.train.progress import Meter, Progress, Stage
from host.train.recipe import LearnedRecipe
from host.train.two_layer.cycle_prices import rest_cycles
from host.train.two_layer.measure import accuracy, output_ranges
from host.train.two_layer.recipe import AdamRecipe, CheapRecipe, PreconvRecipe
from host.train.two_layer.runs import Layers, Lesson, Run

ENGINE = "numpy"
_COPIES_STREAM = 2  # a random stream of the seed
MAX_HIDDEN = 255  # boards count a layer's rows in one byte
MIN_COLUMN_CYCLES = 100  # that a wish for cycles must leave to the first layer's weights


def train(
    dataset: Dataset,
    preset_name: str,
    *,
    seed: int = 0,
    hidden: int | None = None,
    epochs: int | None = None,
    reg: float | None = None,
    cycles: int | None = None,
    rehearse: bool = True,
    progress: Callable[[Progress], None] | None = None,
    checkpoint: Callable[[Network], None] | None = None,
) -> Network:
    """Train a network; the same arguments give the same arrays, bit for bit, on one machine.

    `hidden`, `epochs` (iterations for `preconv-seed`), `reg` and `cycles` (`preconv-cheap`) replace the preset's
    values. `rehearse=False` leaves the validation figure out and takes half the time. On KeyboardInterrupt `checkpoint`
    gets the network of lowest loss so far (the finished one, if only the rehearsal was cut short), then the interrupt
    goes on; before the first epoch ends there is none and `checkpoint` is not called. Raises InputError on an unknown
    preset or a bad value.
    """
    preset = presets.find(preset_name)
    found = preset.recipe_for(dataset.image_shape, len(dataset.train.labels))
    if isinstance(found, LearnedRecipe):
        need = f"a pre-convolved one: {', '.join(PRECONV_PRESETS)}"
        raise InputError(f"train: preset: found '{preset_name}', need {need}; use learned_fit.train_sequential")
    recipe = _customised(found, hidden, epochs, reg, cycles)
    check_whole("seed", seed, 0)
    features = preconv_features(dataset.train.images, recipe.levels)
    kept, held = holdout_rows(dataset.train.labels, recipe.holdout)
    rehearse = rehearse and len(held) > 0
    meter = Meter(progress, [Stage(name, recipe.epochs) for name in ("train", "rehearsal")[: 1 + rehearse]])
    finish = _Finisher(dataset, preset.name, seed, recipe.levels, features)
    with ExitStack() as stack, np.errstate(over="ignore", invalid="ignore"):
        # Matrices of this size gain nothing from BLAS threads, and on a busy machine their spinning costs a factor of
        # ten; one thread also gives the same bits whatever the number of cores.
        stack.enter_context(threadpool_limits(limits=1, user_api="blas"))
        lesson = _lesson(dataset, recipe, seed, features, stack)
        run = Run(lesson, np.arange(len(features)), recipe, seed, meter.enter().epoch)
        network = None
        try:
            network = finish.network(run.train(), run.history)
            if rehearse:
                layers = Run(lesson, kept, recipe, seed, meter.enter().epoch).train()
                measured = accuracy(layers, features[held], dataset.train.labels[held])
                network = _with_metrics(network, validation=measured)
        except KeyboardInterrupt:
            if network is None and run.best is not None:
                network = finish.network(run.best, {})
            if network is not None and checkpoint is not None:
                checkpoint(network)
            raise
    return network


def _lesson(
    dataset: Dataset, recipe: PreconvRecipe, seed: int, features: NDArray[np.uint8], stack: ExitStack
) -> Lesson:
    """Return what the runs learn from; threads that make augmented copies end with `stack`."""
    labels, classes = dataset.train.labels, len(dataset.labels)
    if not isinstance(recipe, AdamRecipe):
        return Lesson(features, labels, classes, lambda epoch: features)
    warps = interleave(recipe.copies, recipe.epochs)
    copies = Copies(
        dataset.train.images, warps, (seed, _COPIES_STREAM), lambda images: preconv_features(images, recipe.levels)
    )
    return Lesson(features, labels, classes, stack.enter_context(copies).at)


@dataclass(frozen=True, eq=False)
class _Finisher:
    """Turns layers into a network with measured ranges, accuracies and provenance."""

    dataset: Dataset
    preset: str
    seed: int
    levels: int
    features: NDArray[np.uint8]  # of the training images

    def network(self, layers: Layers, history: Mapping[str, tuple[float, ...]]) -> Network:
        if not all(np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all() for layer in layers):
            raise InputError("train: weights: found values that are not finite, need finite ones; lower reg")
        data = self.dataset
        source = Provenance(data.name, data.sha256, self.preset, self.seed, ENGINE, dict(history))
        ranges = output_ranges(layers, self.features)
        measured = tuple(
            replace(layer, output_max=layer.output_max or top) for layer, top in zip(layers, ranges, strict=True)
        )
        metrics = {"train": accuracy(layers, self.features, data.train.labels)}
        if len(data.test.labels):
            test = preconv_features(data.test.images, self.levels)
            metrics["test"] = accuracy(layers, test, data.test.labels)
        return join(data.image_shape, self.levels, measured, data.labels, replace(source, metrics=metrics))


def _with_metrics(network: Network, **values: float) -> Network:
    source = network.provenance
    return replace(network, provenance=replace(source, metrics={**source.metrics, **values}))


def _customised(
    recipe: PreconvRecipe, hidden: int | None, epochs: int | None, reg: float | None, cycles: int | None
) -> PreconvRecipe:
    """Return the recipe with the caller's values in place. Raises InputError on an unusable one."""
    if hidden is not None:
        check_whole("hidden", hidden, 1, MAX_HIDDEN)
        recipe = replace(recipe, hidden=hidden)
    if epochs is not None:
        check_whole("epochs", epochs, 1)
        recipe = replace(recipe, epochs=epochs)
    if reg is not None:
        if not math.isfinite(reg) or reg < 0:
            raise InputError(f"train: reg: found {reg}, need a finite number from 0; give for example 0.02")
        recipe = replace(recipe, reg=reg)
    if cycles is not None:
        if not isinstance(recipe, CheapRecipe):
            raise InputError(
                f"train: cycles: found {cycles}, need preset preconv-cheap for it; choose that or leave it out"
            )
        recipe = replace(recipe, cycles=cycles)
    if isinstance(recipe, CheapRecipe):
        check_whole("cycles", recipe.cycles, math.ceil(rest_cycles(recipe.hidden)) + MIN_COLUMN_CYCLES)
    return recipe
