"""The named recipes for pre-convolved nets.

The right number of epochs and copies depends on how many training images there are. Values were chosen on held-out
training images of USPS and MNIST, never on a test set.
"""

from collections.abc import Mapping

from host.train.preset import ANY, Preset, Scope
from host.train.two_layer.recipe import AdamRecipe, CheapRecipe, LbfgsRecipe, PreconvRecipe

_PRESETS: tuple[Preset[PreconvRecipe], ...] = (
    Preset(
        "preconv",
        "seed 000's network, trained better: augmentation, feature scaling, Adam, a wider companion",
        "five seeds: USPS test 96.25 % (sd 0.18); one seed: MNIST 98.2 %, digits 99.2 %",
        (
            (Scope(images=20000), AdamRecipe(epochs=300, copies=(("affine", 60), ("elastic", 60)))),
            (ANY, AdamRecipe(epochs=70, copies=(("mild", 16),), holdout=1 / 12)),
        ),
    ),
    Preset(
        "preconv-cheap",
        "the same with few, small weights: the fewest cycles as code (--kernel unrolled), traded by --cycles",
        "five seeds: USPS test 96.45 % (sd 0.18) as int8 in 10,550 cycles; --cycles 3400: 95.94 % (sd 0.30) in 10,000",
        (
            (Scope(images=20000), CheapRecipe(epochs=600, copies=(("affine", 60), ("elastic", 60)))),
            (ANY, CheapRecipe(epochs=120, copies=(("mild", 16),), holdout=1 / 12, cycles=9000)),
        ),
    ),
    Preset(
        "preconv-seed",
        "seed 000 as published: 64-40-10 by L-BFGS-B on features 0..255, no augmentation",
        "published: USPS train 99.64 %, test 93.42 %; here, five seeds: test 93.73 % (sd 0.16)",
        ((ANY, LbfgsRecipe()),),
    ),
)

PRECONV_PRESETS: Mapping[str, Preset[PreconvRecipe]] = {preset.name: preset for preset in _PRESETS}
