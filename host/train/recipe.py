"""How a net is trained, as frozen data; `presets` holds the ones that have a name."""

from collections.abc import Mapping
from dataclasses import dataclass

from host.nn.layers import Architecture, Dense, LayerSpec
from host.train.optimisers import LbfgsB, OptimiserSpec, Schedule
from host.train.qat.recipe import QatRecipe


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
class Companion:
    """A wider net that learns at the same time and is thrown away: what it says is mixed into the targets.

    Distillation: Hinton, Vinyals, Dean 2015; at the same time: Zhang et al., "Deep mutual learning", CVPR 2018. A net
    with a hidden layer at least as wide learns without.
    """

    layers: tuple[LayerSpec, ...]
    rate: float  # highest of its schedule, which is otherwise the net's
    share: float = 0.9  # of its answer in the targets; the smoothed label is the rest
    temperature: float = 2.0


@dataclass(frozen=True)
class CostAware:
    """Towards weights of two dense layers that cost few cycles once they are compiled into code; see qat/cost_aware.py.

    First as usual; pruned between two points of time, and on the way rounded. All shares are of the epochs.
    """

    cycles: int = 4000  # wish for both layers, about; see qat/cycle_prices.py
    magnitudes: tuple[tuple[int, ...], tuple[int, ...]] = ((1, 2, 3, 4), (1, 2, 3, 4, 6, 8))  # per layer, beside 0
    prune_from: float = 0.7
    prune_to: float = 0.9
    quantise_from: float = 0.85
    activation_top: float = 32.0  # largest hidden activation aimed at, of 63: what is above costs a cycle more


@dataclass(frozen=True)
class Recipe:
    """Layers, but for the last (dense, one unit for each class), and everything that decides how they are trained."""

    layers: tuple[LayerSpec, ...]
    epochs: int
    schedule: Schedule
    optimiser: OptimiserSpec | LbfgsB
    batch: int = 128
    smoothing: float = 0.0
    scaling: str = "unit"  # a rule of `scaling.SCALINGS`
    initial: str = "he"  # a rule of `parameters.initial`
    copies: tuple[tuple[str, int], ...] = ()  # (warp, how many augmented copies); none: the images themselves
    teacher: Teacher | None = None
    companion: Companion | None = None
    wide_rate: float | None = None  # the highest rate where more than WIDE hidden units are asked for
    holdout: float = 0.0  # share of the training images kept out for validation
    validation_run: bool = (
        False  # the net learns from all images, and a second one without those shows what it is worth
    )
    patience: int | None = None  # epochs without a lower validation loss after which training stops; None: never
    averaging: float = 0.0  # decay, for each batch, of the moving average of all numbers that is kept; 0: the last ones
    cost: CostAware | None = None
    qat: tuple[QatRecipe, ...] = ()  # trainings that follow, at most one for each weight format and activation top

    def architecture(self, image_shape: tuple[int, int], classes: int) -> Architecture:
        """Return the whole net for images (H, W). Raises InputError where the layers do not fit."""
        return Architecture((1, *image_shape), (*self.layers, Dense(classes)))

    @property
    def hidden(self) -> tuple[int, ...]:
        """Where in `layers` the dense ones are."""
        return tuple(index for index, layer in enumerate(self.layers) if isinstance(layer, Dense))

    @property
    def refused(self) -> Mapping[str, str]:
        """The options that this recipe has no field for, with what is missing; it accepts all others."""
        found = {}
        if len(self.hidden) != 1:
            found["hidden"] = f"{len(self.hidden)} hidden dense layers, need one for it"
        if self.cost is None:
            found["cycles"] = "no aim for cycles, need one as preconv-cheap has"
        else:
            rounded = "weights that are rounded while they are trained"
            found["qat"] = f"{rounded}, need others for it"
            found["patience"] = f"{rounded}, need all epochs for it"
        if not self.validation_run:
            found["validation_run"] = "no validation run, need one to leave out"
        if isinstance(self.optimiser, LbfgsB):
            found |= dict.fromkeys(("rate", "batch"), "optimiser l-bfgs-b, need sgd or adam for it")
        return found


WIDE = 64
