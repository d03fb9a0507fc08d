"""Trains a finished net on for one weight format, with learned step sizes; the float net stays as it is.

See docs/quantisation.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn import inference
from host.nn import numpy as layers
from host.nn.activations import activation_tops, needed_bits, rectifiers
from host.nn.formats import ACTIVATION_TOPS, WEIGHT_TOPS
from host.nn.layers import Architecture
from host.nn.network import QatResult, Scaling
from host.nn.parameters import Parameters
from host.train.qat import freeze
from host.train.qat.engine import LsqEngine
from host.train.qat.narrow import widened
from host.train.qat.recipe import QatRecipe
from host.train.qat.scales import start
from host.train.recipe import Recipe
from host.train.trainer import Mix, Trainer, TrainingData

_PERCENTILE = 99.99
_IMAGES = 1000  # evenly spread over the training images: enough for where the steps of activations start


def check_bits(formats: Iterable[QatRecipe], architecture: Architecture) -> None:
    """Raise InputError for activations of bits that the net cannot have."""
    possible = activation_tops(architecture)
    for wanted in formats:
        if wanted.bits is not None and wanted.bits not in possible:
            do = "choose those, or for others a net without a front end"
            raise InputError(f"train: qat: found '{wanted.name}', {needed_bits(architecture)}; {do}")


def top_for(wanted: QatRecipe, parameters: Parameters) -> int:
    """Return the largest activation that a net is trained for: what is wanted, else that of its front end, else 255."""
    if wanted.bits is not None:
        return ACTIVATION_TOPS[wanted.bits]
    return parameters.architecture.top


def qat_recipe(recipe: Recipe, wanted: QatRecipe) -> Recipe:
    """Return the recipe of the training for a format that follows the one by `recipe`."""
    changes: dict[str, Any] = {"schedule": wanted.schedule, "optimiser": wanted.optimiser, "validation_run": False}
    return replace(recipe, epochs=wanted.epochs, patience=None, averaging=0.0, qat=(wanted,), **changes)


@dataclass(frozen=True, eq=False)
class FloatNet:
    """The trained net, ready for use, and the scaling of its codes."""

    parameters: Parameters
    scaling: Scaling


def train_for(
    wanted: QatRecipe,
    net: FloatNet,
    own: FloatNet,
    recipe: Recipe,
    data: TrainingData,
    plain: NDArray[Any],
    seed: int,
    run: Callable[[Trainer], Parameters],
    mix: Mix,
) -> tuple[QatResult, dict[str, tuple[float, ...]]]:
    """Return the rounded numbers and the history, its names beginning with those of `wanted`.

    `net` is what is trained on, narrowed where `own`, the float net, has codes of more levels; `data` are in its codes,
    and so are the images without augmentation, `plain`. `recipe` is that of `qat_recipe`; `run` sets the trainer off,
    `mix` is its own. Raises InputError for a net without ReLU where a board rounds.
    """
    numbers = net.parameters
    tops = output_tops(numbers, net.scaling, plain)
    top = top_for(wanted, own.parameters)
    scales = start(numbers, WEIGHT_TOPS[wanted.format], top, tops, 1 / net.scaling.divisor)
    engine = LsqEngine(numbers, net.scaling, wanted.optimiser, seed, scales, wanted.step_factor)
    rounded = replace(data, scores=lambda latest, scaling, held: freeze.scores(latest, scales, scaling, held))
    trainer = Trainer(rounded, recipe, numbers, seed, lambda *_: engine, mix)
    final = run(trainer)
    history = {f"{wanted.name}_{name}": tuple(values) for name, values in trainer.history.items()}
    result = freeze.freeze(wanted.format, final, scales)
    return widened(result, own.parameters.architecture, own.scaling), history


def output_tops(parameters: Parameters, scaling: Scaling, codes: NDArray[Any]) -> dict[int, float]:
    """Return, for each ReLU behind which a board rounds, what nearly all activations on `codes` lie below."""
    rows = np.unique(np.linspace(0, len(codes) - 1, min(_IMAGES, len(codes))).astype(np.int64))
    found: dict[int, list[NDArray[np.float32]]] = {index: [] for index in rectifiers(parameters.architecture)}
    lock = Lock()

    def see(index: int, values: NDArray[Any]) -> None:
        if index in found:
            kept = values.ravel().copy()
            with lock:
                found[index].append(kept)

    architecture = parameters.architecture
    inference.through(lambda size: layers.Sequential(parameters, size), architecture, scaling, codes[rows], see)
    return {index: float(np.percentile(np.concatenate(parts), _PERCENTILE)) for index, parts in found.items()}
