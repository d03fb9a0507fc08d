"""The named recipes for learned kernels: the seeds' nets as published and as mended, and our own.

Chosen on validation images, never on a test set. `learned_fit.train_sequential` runs them.
"""

from collections.abc import Mapping
from dataclasses import replace

from host.nn.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, LayerSpec, MaxPool2d, ReLU
from host.train.optimisers import Adam, Schedule, Sgd
from host.train.preset import ANY, Preset, Scope
from host.train.qat.recipe import standard
from host.train.recipe import LearnedRecipe, Teacher


def _conv(channels: int, kernel: int, padding: int = 0, stride: int = 1) -> tuple[LayerSpec, ...]:
    return (Conv2d(channels, kernel, stride, padding), BatchNorm(), ReLU())


def _dense(units: int) -> tuple[LayerSpec, ...]:
    return (Dense(units), BatchNorm(), ReLU())


_SCRATCH = LearnedRecipe(
    (Conv2d(8, 5), ReLU(), Conv2d(8, 5), ReLU(), MaxPool2d(), Flatten(), Dense(128), ReLU()),
    epochs=2,
    schedule=Schedule(0.001),
    optimiser=Adam(0.95, 0.99, 1e-7, as_seed_001=True),
    batch=32,
    scaling="standard",
    initial="seed-001",
    holdout=1 / 6,
)

_SEQUENTIAL = LearnedRecipe(
    (
        *(Conv2d(32, 3, padding=1), ReLU(), MaxPool2d(), Conv2d(64, 3, padding=1), ReLU(), MaxPool2d()),
        *(Dropout(0.5), Flatten(), Dense(128), ReLU()),
    ),
    epochs=10,
    schedule=Schedule(0.05, "cosine", 0.05),
    optimiser=Sgd(0.9),
    batch=64,
    holdout=0.2,
)

_SIMPLE = LearnedRecipe(
    (Conv2d(32, 3), ReLU(), MaxPool2d(), Flatten()),
    epochs=3,
    schedule=Schedule(0.002, "cosine", 0.05),
    optimiser=Adam(),
    batch=64,
    holdout=1 / 6,
)

_MEGA_16 = LearnedRecipe(
    (
        *(*_conv(24, 3, 1), MaxPool2d(), *_conv(48, 3, 1), *_conv(64, 3, 1), MaxPool2d()),
        *(Flatten(), *_dense(128)),
    ),
    epochs=60,
    schedule=Schedule(0.005, "cosine", 0.1),
    optimiser=Adam(0.9, 0.99, decay=0.02),
    copies=(("affine", 30), ("elastic", 30)),
    tuning=(standard("int8", 60),),
)

_UNO_16 = replace(
    _MEGA_16,
    layers=(*_conv(16, 3, 1), MaxPool2d(), *_conv(32, 3, 1), MaxPool2d(), *_conv(40, 3, 1), Flatten()),
    # The teachers alone: training labels hold slips, which three nets together mostly pass over.
    teacher=Teacher(_MEGA_16.layers, hard=0.0, count=3),
)

_MEGA_28 = replace(
    _MEGA_16,
    layers=(
        *(*_conv(16, 5), MaxPool2d(), *_conv(32, 3), *_conv(64, 3), MaxPool2d()),
        *(Flatten(), *_dense(128)),
    ),
    epochs=20,
    copies=(("elastic2", 20),),
    tuning=(standard("int8", 20),),
)

_UNO_28 = replace(
    _MEGA_28,
    layers=(
        *(*_conv(8, 5), MaxPool2d(), *_conv(16, 3), *_conv(24, 3), MaxPool2d()),
        *(Flatten(), *_dense(32)),
    ),
    teacher=Teacher(_MEGA_28.layers, hard=0.0),
)

_TINY = replace(
    _MEGA_16,
    layers=(*_conv(4, 3, 1), MaxPool2d(), *_conv(6, 3, 1), MaxPool2d(), *_conv(8, 3, 1), MaxPool2d(), Flatten()),
    smoothing=0.1,
    tuning=(standard("int4", 60),),
)

_PRESETS: tuple[Preset[LearnedRecipe], ...] = (
    Preset(
        "scratch-cnn",
        "seed 001: two convolutions 5×5×8, max-pool, dense 128; Adam at 0.001, not at the published 0.01",
        "published: MNIST test 98 %; here 98.3 % after 2 epochs",
        ((ANY, _SCRATCH),),
    ),
    Preset(
        "scratch-cnn-published",
        "seed 001 at its published rate of 0.01, which falls short of its figure",
        "published: MNIST test 98 %; here 97.4 % after 2 epochs",
        ((ANY, replace(_SCRATCH, schedule=Schedule(0.01))),),
    ),
    Preset(
        "sequential-cnn",
        "seed 003: 3×3×32, pool, 3×3×64, pool, dropout, dense 128; SGD with momentum and a falling rate",
        "published: MNIST validation loss 0.1157; here 0.026, test 99.4 %",
        ((ANY, _SEQUENTIAL),),
    ),
    Preset(
        "sequential-cnn-published",
        "seed 003 by plain SGD at its published rate of 0.001 (its widths are not published)",
        "published: MNIST validation loss 0.1157",
        ((ANY, replace(_SEQUENTIAL, schedule=Schedule(0.001), optimiser=Sgd())),),
    ),
    Preset(
        "simple-cnn",
        "seed 004: convolution 3×3×32, max-pool, softmax",
        "published: MNIST test 96 %; here 98.4 %",
        ((ANY, _SIMPLE),),
    ),
    Preset(
        "uno-cnn",
        "three small convolutions (16×16) or three and a dense layer (28×28), taught by larger nets, for an Uno",
        "five seeds, int8: USPS test 97.80 % (sd 0.16); one seed: MNIST 99.51 %",
        ((Scope(side=16), _UNO_16), (ANY, _UNO_28)),
    ),
    Preset(
        "mega-cnn",
        "the nets that teach uno-cnn: three convolutions and dense 128, for a Mega",
        "one seed, float: USPS test 97.8 %, MNIST 99.58 %",
        ((Scope(side=16), _MEGA_16), (ANY, _MEGA_28)),
    ),
    Preset(
        "tiny",
        "three convolutions of 4, 6 and 8 channels for weights of 4 bits (--format int4): 652 bytes for 16×16 images",
        "five seeds, int4 with 652 bytes of weights: USPS test 95.54 % (sd 0.47)",
        ((ANY, _TINY),),
    ),
)

LEARNED_PRESETS: Mapping[str, Preset[LearnedRecipe]] = {preset.name: preset for preset in _PRESETS}
