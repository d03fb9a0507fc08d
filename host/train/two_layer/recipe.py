"""How a pre-convolved net is trained, as frozen data; `preconv_presets` holds the ones that have a name."""

from dataclasses import dataclass


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

    hidden: int = 48  # whole blocks of twelve waste nothing
    cycles: int = 4000  # wish for both layers, about; see cycle_prices.py
    magnitudes: tuple[tuple[int, ...], tuple[int, ...]] = ((1, 2, 3, 4), (1, 2, 3, 4, 6, 8))  # per layer, beside 0
    prune_from: float = 0.7
    prune_to: float = 0.9
    quantise_from: float = 0.85
    activation_top: float = 32.0  # largest hidden activation aimed at, of 63: what is above costs a cycle more
    input_scale: float = 16.0
    levels: int = 63


PreconvRecipe = LbfgsRecipe | AdamRecipe
