"""A recipe with some of its values replaced by the caller's: every option means the same for every recipe, and one that
a recipe has no field for is refused."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from host.errors import InputError
from host.nn.layers import Dense
from host.train.batches import SMALLEST_BATCH
from host.train.checks import check_positive, check_whole
from host.train.optimisers import Adam, LbfgsB, Sgd
from host.train.qat.cycle_prices import rest_cycles
from host.train.qat.recipe import named, standard
from host.train.recipe import WIDE, Recipe

OPTIMISERS: Mapping[str, Sgd | Adam | LbfgsB] = {"sgd": Sgd(0.9), "adam": Adam(), "l-bfgs-b": LbfgsB()}
_ITERATIONS = 100  # of L-BFGS-B, where the caller names no number: a preset's epochs are of another kind
MAX_HIDDEN = 255  # boards count a layer's rows in one byte
_OPTIONS = {"validation_run": "no-rehearsal"}  # as the command has always called it
MIN_COLUMN_CYCLES = 100  # that a wish for cycles must leave to the first layer's weights


@dataclass(frozen=True)
class Wishes:
    """What a caller may wish for; None leaves the recipe's own.

    `qat` are texts that name what to train on for (see `qat.recipe.named`). `validation_run` False leaves that of a
    recipe out. A `holdout` is never trained on, whatever the recipe does with its own.
    """

    optimiser: str | None = None
    epochs: int | None = None
    hidden: int | None = None
    reg: float | None = None
    cycles: int | None = None
    validation_run: bool | None = None
    holdout: float | None = None
    patience: int | None = None
    rate: float | None = None
    batch: int | None = None
    qat: Sequence[str] | None = None


def customised(recipe: Recipe, wishes: Wishes, name: str = "custom") -> Recipe:
    """Return the recipe, that of the preset `name`, with the wishes in place.

    Raises InputError on an unusable value, and on a wish that the recipe has no field for. Trainings for formats are
    never longer than the training itself.
    """
    for field, change in _CHANGES.items():
        value = getattr(wishes, field)
        if value is None:
            continue
        if field in recipe.refused:
            found, need = recipe.refused[field].split(", ", 1)
            option = _OPTIONS.get(field, field)
            raise InputError(f"train: {option}: found it with preset {name} and {found}, {need}; leave it out")
        recipe = change(recipe, value)
    if wishes.rate is None and wishes.hidden is not None and wishes.hidden > WIDE and recipe.wide_rate is not None:
        recipe = replace(recipe, schedule=replace(recipe.schedule, rate=recipe.wide_rate))
    if recipe.cost is not None:
        least = math.ceil(rest_cycles(_units(recipe))) + MIN_COLUMN_CYCLES
        check_whole("cycles", recipe.cost.cycles, least)
    return replace(recipe, qat=tuple(replace(one, epochs=min(one.epochs, recipe.epochs)) for one in recipe.qat))


def _units(recipe: Recipe) -> int:
    layer = recipe.layers[recipe.hidden[0]]
    assert isinstance(layer, Dense)
    return layer.units


def _optimiser(recipe: Recipe, value: str) -> Recipe:
    if value not in OPTIMISERS:
        raise InputError(f"train: optimiser: found '{value}', need one of {', '.join(OPTIMISERS)}; choose one")
    rules = OPTIMISERS[value]
    if isinstance(rules, LbfgsB):
        return replace(recipe, optimiser=rules, epochs=_ITERATIONS)
    return replace(recipe, optimiser=rules)


def _epochs(recipe: Recipe, value: int) -> Recipe:
    check_whole("epochs", value, 1)
    return replace(recipe, epochs=value)


def _hidden(recipe: Recipe, value: int) -> Recipe:
    check_whole("hidden", value, 1, MAX_HIDDEN)
    (place,) = recipe.hidden
    layers = (*recipe.layers[:place], Dense(value), *recipe.layers[place + 1 :])
    rules = recipe.companion
    widest = max((layer.units for layer in rules.layers if isinstance(layer, Dense)), default=0) if rules else 0
    return replace(recipe, layers=layers, companion=rules if value < widest else None)


def _reg(recipe: Recipe, value: float) -> Recipe:
    if not math.isfinite(value) or value < 0:
        raise InputError(f"train: reg: found {value}, need a finite number from 0; give for example 0.02")
    return replace(recipe, optimiser=replace(recipe.optimiser, reg=value))


def _cycles(recipe: Recipe, value: int) -> Recipe:
    assert recipe.cost is not None
    return replace(recipe, cost=replace(recipe.cost, cycles=value))


def _validation_run(recipe: Recipe, value: bool) -> Recipe:
    return recipe if value else replace(recipe, holdout=0.0)


def _holdout(recipe: Recipe, value: float) -> Recipe:
    if not 0 <= value < 1:
        raise InputError(f"train: holdout: found {value}, need a share from 0 up to 1, 1 excluded; give 0.2")
    return replace(recipe, holdout=value, validation_run=False)


def _patience(recipe: Recipe, value: int) -> Recipe:
    check_whole("patience", value, 1)
    return replace(recipe, patience=value)


def _rate(recipe: Recipe, value: float) -> Recipe:
    check_positive("rate", value)
    return replace(recipe, schedule=replace(recipe.schedule, rate=value))


def _batch(recipe: Recipe, value: int) -> Recipe:
    check_whole("batch", value, SMALLEST_BATCH)
    return replace(recipe, batch=value)


def _qat(recipe: Recipe, value: Sequence[str]) -> Recipe:
    own = {wanted.name: wanted for wanted in recipe.qat}
    return replace(recipe, qat=tuple(own.get(name) or standard(name, recipe.epochs) for name in named(value)))


_CHANGES: Mapping[str, Callable[[Recipe, Any], Recipe]] = {
    "optimiser": _optimiser,
    "epochs": _epochs,
    "hidden": _hidden,
    "reg": _reg,
    "cycles": _cycles,
    "validation_run": _validation_run,
    "holdout": _holdout,
    "patience": _patience,
    "rate": _rate,
    "batch": _batch,
    "qat": _qat,
}
"""In the order in which they are made: which later ones apply depends on the optimiser."""
