"""The training presets: the one place where hyperparameters stand.

A preset holds one recipe per size of training set, since the right number of epochs and copies depends on it. Values
were chosen on held-out training images of USPS and MNIST, never on a test set.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from host.errors import InputError


@dataclass(frozen=True)
class LbfgsRecipe:
    """Full-batch training by SciPy's L-BFGS-B (Byrd, Lu, Nocedal, Zhu 1995) on the raw features."""

    hidden: int = 40
    epochs: int = 200  # iterations at most; it stops earlier when the gradient is below gtol
    reg: float = 0.02  # factor of ΣW1² + ΣW2²
    gtol: float = 1e-3
    init_std: float = 1e-5
    levels: int = 255
    holdout: float = 0.2  # share of the training images for the rehearsal


@dataclass(frozen=True)
class AdamRecipe:
    """Mini-batches by Adam over augmented copies, one copy an epoch, with a cosine rate and a wider companion.

    The companion is a teacher that learns at the same time and is thrown away (distillation: Hinton, Vinyals, Dean
    2015; at the same time: Zhang et al., "Deep mutual learning", CVPR 2018). The net for the board stays as small.
    """

    epochs: int
    copies: tuple[tuple[str, int], ...]  # (name of a warp, how many copies); epochs cycle over them, interleaved
    hidden: int = 40
    reg: float = 0.0
    rate: float = 0.01
    wide_rate: float = 0.005  # for more than `wide_above` hidden units
    wide_above: int = 64
    beta1: float = 0.9
    beta2: float = 0.99
    batch: int = 128
    warmup: float = 0.05  # share of all steps over which the rate rises from 0
    smoothing: float = 0.1
    companion_hidden: int = 128  # a wider net learns alongside; nets at least as wide as it do without
    companion_share: float = 0.9  # of the companion's answer in the targets; the smoothed label is the rest
    companion_temperature: float = 2.0
    input_scale: float = 64.0  # x is (feature − offset) / input_scale; folded into the weights afterwards
    levels: int = 255
    holdout: float = 0.2

    def rate_for(self, hidden: int) -> float:
        """Return the highest rate of the schedule for a net of this width."""
        return self.rate if hidden <= self.wide_above else self.wide_rate


@dataclass(frozen=True)
class CheapRecipe(AdamRecipe):
    """The same towards weights that cost few cycles once they are compiled into code; see cheap.py.

    First as usual; pruned between two points of time, and on the way rounded. All shares are of the epochs.
    """

    hidden: int = 36  # whole blocks of twelve waste nothing
    cycles: int = 3150  # wish for both layers, about; see cycle_prices.py
    magnitudes: tuple[tuple[int, ...], tuple[int, ...]] = ((1, 2, 3, 4), (1, 2, 3, 4, 6, 8))  # per layer, beside 0
    prune_from: float = 0.7
    prune_to: float = 0.9
    quantise_from: float = 0.85
    activation_top: float = 32.0  # largest hidden activation aimed at, of 63: what is above costs a cycle more
    input_scale: float = 16.0
    levels: int = 63


Recipe = LbfgsRecipe | AdamRecipe


@dataclass(frozen=True)
class Preset:
    """A named way to train; `recipes` are (largest number of training images, recipe), the last without a limit."""

    name: str
    summary: str
    figure: str
    recipes: tuple[tuple[float, Recipe], ...]

    def recipe_for(self, training_images: int) -> Recipe:
        """Return the recipe for a training set of this many images."""
        return next(recipe for limit, recipe in self.recipes if training_images <= limit)

    @property
    def defaults(self) -> Recipe:
        """The recipe for USPS (7,291 training images), to list."""
        return self.recipe_for(7291)


_PRESETS = (
    Preset(
        "preconv",
        "seed 000's network, trained better: augmentation, feature scaling, Adam, a wider companion",
        "five seeds: USPS test 96.25 % (sd 0.18); one seed: MNIST 98.2 %, digits 99.2 %",
        (
            (20000, AdamRecipe(epochs=300, copies=(("affine", 60), ("elastic", 60)))),
            (float("inf"), AdamRecipe(epochs=70, copies=(("mild", 16),), holdout=1 / 12)),
        ),
    ),
    Preset(
        "preconv-cheap",
        "the same with few, small weights: the fewest cycles as code (--kernel unrolled), traded by --cycles",
        "FIGURE",
        (
            (20000, CheapRecipe(epochs=600, copies=(("affine", 60), ("elastic", 60)))),
            (float("inf"), CheapRecipe(epochs=120, copies=(("mild", 16),), holdout=1 / 12, cycles=9000)),
        ),
    ),
    Preset(
        "preconv-seed",
        "seed 000 as published: 64-40-10 by L-BFGS-B on features 0..255, no augmentation",
        "published: USPS train 99.64 %, test 93.42 %; here, five seeds: test 93.73 % (sd 0.16)",
        ((float("inf"), LbfgsRecipe()),),
    ),
)

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in _PRESETS}


def find(name: str) -> Preset:
    """Return the preset of this name. Raises InputError, with the nearest name, when there is none."""
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(name.casefold(), PRESETS, n=1, cutoff=0.4)
    advice = f"did you mean '{near[0]}'?" if near else "choose one of them"
    raise InputError(f"preset: name: found '{name}', need one of {', '.join(PRESETS)}; {advice}")
