"""How a learned net is trained, as frozen data; `learned_presets` holds the ones that have a name."""

from dataclasses import dataclass

from host.nn.layers import Architecture, Dense, LayerSpec
from host.train.optimisers import LbfgsB, OptimiserSpec, Schedule
from host.train.qat.recipe import Tuning


@dataclass(frozen=True)
class Teacher:
    """A larger net, trained first by the same recipe, whose scores on the same augmented images the net imitates.

    `count` such nets from consecutive seeds, the first from the net's own, say together what to imitate: the mean of
    their softened probabilities.
    """

    layers: tuple[LayerSpec, ...]
    temperature: float = 3.0
    hard: float = 0.2  # weight of the labels' cross-entropy; the rest is the teacher's
    epochs: int | None = None  # None: as many as the net itself
    count: int = 1


@dataclass(frozen=True)
class LearnedRecipe:
    """Layers, but for the last (dense, one unit for each class), and everything that decides how they are trained."""

    layers: tuple[LayerSpec, ...]
    epochs: int
    schedule: Schedule
    optimiser: OptimiserSpec | LbfgsB
    batch: int = 128
    smoothing: float = 0.0
    scaling: str = "unit"  # or "standard": integer mean subtracted, divided by the integer deviation
    initial: str = "he"  # a rule of `parameters.initial`
    copies: tuple[tuple[str, int], ...] = ()  # (warp, how many augmented copies); none: the images themselves
    teacher: Teacher | None = None
    holdout: float = 0.0  # share of the training images kept out for validation
    patience: int | None = None  # epochs without a lower validation loss after which training stops; None: never
    averaging: float = 0.0  # decay, for each batch, of the moving average of all numbers that is kept; 0: the last ones
    tuning: tuple[Tuning, ...] = ()  # trainings that follow, at most one for each weight format

    def architecture(self, image_shape: tuple[int, int], classes: int) -> Architecture:
        """Return the whole net for images (H, W). Raises InputError where the layers do not fit."""
        return Architecture((1, *image_shape), (*self.layers, Dense(classes)))
