"""One training run of a recipe over chosen rows, from features to plain layers; knows no data set name and no file."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from host.nn.dense_chain import DenseNumbers
from host.train.two_layer import net as twolayer
from host.train.two_layer import optimise
from host.train.two_layer.cost_aware import CheapView
from host.train.two_layer.net import Batch, TwoLayer
from host.train.two_layer.optimise import Learner, View
from host.train.two_layer.recipe import AdamRecipe, CheapRecipe, LbfgsRecipe, PreconvRecipe

_STREAM = 1  # the random stream of a seed that starts and shuffles the net

Layers = tuple[DenseNumbers, ...]
OnStep = Callable[[int, float, float], None]
"""Called after each epoch or iteration: how many are finished, loss, accuracy 0..1 on the rows."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What there is to learn: features (N, D) u8 as they are, labels (N,), and the features of an epoch (augmented)."""

    features: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: int
    epoch_features: Callable[[int], NDArray[np.uint8]]


@dataclass
class Run:
    """Trains on `rows` of a lesson. `best` holds the layers of lowest loss so far, for whoever interrupts."""

    lesson: Lesson
    rows: NDArray[np.int64]
    recipe: PreconvRecipe
    seed: int
    on_step: OnStep
    best: Layers | None = None
    history: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _lowest: float = float("inf")

    def train(self) -> Layers:
        """Return the trained layers, without `output_max`; `history` is filled afterwards."""
        recipe = self.recipe
        return self._lbfgs(recipe) if isinstance(recipe, LbfgsRecipe) else self._adam(recipe)

    def _lbfgs(self, recipe: LbfgsRecipe) -> Layers:
        start = twolayer.random_normal(self._rng(), self._shape(), (recipe.init_std, recipe.init_std), np.float64)
        labels = self.lesson.labels[self.rows]
        targets = twolayer.target_rows(labels, self.lesson.classes, 0.0, np.float64)
        batch = Batch(self.lesson.features[self.rows].astype(np.float64), targets, labels)
        curve: list[float] = []

        def report(step: int, loss: float, accuracy: float, net: TwoLayer) -> None:
            curve.append(accuracy)
            self._note(step, loss, accuracy, _layers(net, 1.0, None))

        net, losses = optimise.lbfgs(start, batch, recipe, report)
        self.history = {"loss": tuple(losses), "accuracy": tuple(curve)}
        return _layers(net, 1.0, None)

    def _adam(self, recipe: AdamRecipe) -> Layers:
        inputs, hidden, classes = self._shape()
        rng = self._rng()
        offset = np.rint(self.lesson.features[self.rows].mean(axis=0)).astype(np.int16)
        view = CheapView(recipe, self.lesson.features[self.rows], offset) if isinstance(recipe, CheapRecipe) else None
        learner = _learner(rng, (inputs, hidden, classes), recipe, view)
        wide = recipe.companion_hidden
        companion = _learner(rng, (inputs, wide, classes), recipe) if hidden < wide else None
        hard = twolayer.target_rows(self.lesson.labels, classes, 0.0, np.float32)
        smooth = twolayer.target_rows(self.lesson.labels, classes, recipe.smoothing, np.float32)
        curve: list[tuple[float, float]] = []
        for epoch in range(recipe.epochs):
            order = rng.permutation(self.rows)
            x = np.subtract(self.lesson.epoch_features(epoch)[order], offset, dtype=np.float32)
            x *= np.float32(1 / recipe.input_scale)
            labels, targets = self.lesson.labels[order], smooth[order]
            if companion is not None:
                # Without smoothing: a smoothed teacher has less to tell (Müller, Kornblith, Hinton, NeurIPS 2019).
                companion.epoch(Batch(x, hard[order], labels))
                targets *= np.float32(1 - recipe.companion_share)
                soft = twolayer.soft_rows(companion.net, x, recipe.companion_temperature)
                targets += np.float32(recipe.companion_share) * soft
            if view is not None:
                view.start_epoch(epoch, learner.net, x)
            curve.append(learner.epoch(Batch(x, targets, labels)))
            layers = _layers(learner.net, recipe.input_scale, offset)
            if view is not None:
                layers = view.layers(learner.net) or layers
            self._note(epoch + 1, *curve[-1], layers)
        losses, shares = zip(*curve, strict=True)
        self.history = {"loss": losses, "accuracy": shares}
        return layers

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, _STREAM])

    def _shape(self) -> tuple[int, int, int]:
        return self.lesson.features.shape[1], self.recipe.hidden, self.lesson.classes

    def _note(self, step: int, loss: float, accuracy: float, layers: Layers) -> None:
        if loss <= self._lowest:
            self._lowest, self.best = loss, layers
        self.on_step(step, loss, accuracy)


def _learner(
    rng: np.random.Generator, shape: tuple[int, int, int], recipe: AdamRecipe, view: View | None = None
) -> Learner:
    """Return an optimiser on a fresh net (He initialisation: "Delving deep into rectifiers", ICCV 2015)."""
    inputs, hidden, _ = shape
    net = twolayer.random_normal(rng, shape, ((2 / inputs) ** 0.5, (2 / hidden) ** 0.5), np.float32)
    return Learner(net, recipe.rate_for(hidden), recipe, view)


def _layers(net: TwoLayer, input_scale: float, offset: NDArray[np.int16] | None) -> Layers:
    """Copy parameters into layers that take raw features: the scale of the inputs goes into the first weights."""
    first = np.ascontiguousarray(net.w1.T / input_scale, np.float32)
    second = np.ascontiguousarray(net.w2.T, np.float32)
    return (
        DenseNumbers(first, net.b1.astype(np.float32), offset),
        DenseNumbers(second.copy(), net.b2.astype(np.float32)),
    )
