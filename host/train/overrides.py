"""A learned recipe with some of its values replaced by the caller's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from host.errors import InputError
from host.train.batches import SMALLEST_BATCH
from host.train.checks import check_positive, check_whole
from host.train.optimisers import Adam, LbfgsB, Sgd
from host.train.qat.recipe import named, standard
from host.train.recipe import LearnedRecipe

OPTIMISERS: Mapping[str, Sgd | Adam | LbfgsB] = {"sgd": Sgd(0.9), "adam": Adam(), "l-bfgs-b": LbfgsB()}
_ITERATIONS = 100  # of L-BFGS-B, where the caller names no number: a preset's epochs are of another kind


def customised(
    recipe: LearnedRecipe,
    *,
    epochs: int | None = None,
    holdout: float | None = None,
    patience: int | None = None,
    rate: float | None = None,
    batch: int | None = None,
    optimiser: str | None = None,
    qat: Sequence[str] | None = None,
) -> LearnedRecipe:
    """Return the recipe with what is not None in place. Raises InputError on an unusable value.

    `qat` are texts that name the weight formats to train on for (see `tuning.named`). Tunings are never longer than the
    training itself.
    """
    changes: dict[str, Any] = {}
    if optimiser is not None:
        if optimiser not in OPTIMISERS:
            need = f"one of {', '.join(OPTIMISERS)}"
            raise InputError(f"train: optimiser: found '{optimiser}', need {need}; choose one")
        changes["optimiser"] = OPTIMISERS[optimiser]
        if isinstance(changes["optimiser"], LbfgsB):
            for name, value in (("rate", rate), ("batch", batch)):
                if value is not None:
                    raise InputError(f"train: {name}: found it with {optimiser}, need sgd or adam for it; leave it out")
            changes["epochs"] = _ITERATIONS
    if epochs is not None:
        check_whole("epochs", epochs, 1)
        changes["epochs"] = epochs
    if holdout is not None:
        if not 0 <= holdout < 1:
            raise InputError(f"train: holdout: found {holdout}, need a share from 0 up to 1, 1 excluded; give 0.2")
        changes["holdout"] = holdout
    if patience is not None:
        check_whole("patience", patience, 1)
        changes["patience"] = patience
    if rate is not None:
        check_positive("rate", rate)
        changes["schedule"] = replace(recipe.schedule, rate=rate)
    if batch is not None:
        check_whole("batch", batch, SMALLEST_BATCH)
        changes["batch"] = batch
    recipe = replace(recipe, **changes)
    own = {tuning.format: tuning for tuning in recipe.tuning}
    formats = tuple(own) if qat is None else named(qat)
    tunings = [own.get(fmt) or standard(fmt, recipe.epochs) for fmt in formats]
    return replace(recipe, tuning=tuple(replace(one, epochs=min(one.epochs, recipe.epochs)) for one in tunings))
