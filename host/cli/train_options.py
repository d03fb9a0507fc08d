"""Which options of `host train` belong to what: one that would change nothing is refused, never ignored."""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from host.cli.parser import DEFAULT_DATA
from host.errors import InputError
from host.train.holdout import holdout_rows
from host.train.optimisers import LbfgsB
from host.train.overrides import Wishes
from host.train.recipe import Recipe

# Names in the parsed arguments; one that is not given is None or False.
_SWEEP = ("seeds",)
_NO_SWEEP = (
    *("output", "hidden", "reg", "cycles", "no_rehearsal", "checkpoint", "engine", "device", "holdout", "patience"),
    *("rate", "batch", "optimiser", "qat", "resume"),
)


def check_list(arguments: argparse.Namespace) -> None:
    """Raise InputError on what `--list` has no use for."""
    usual = {"data": DEFAULT_DATA, "seed": 0}
    for name, value in vars(arguments).items():
        is_given = value is not None and value is not False and value != usual.get(name)
        if is_given and name not in ("run", "list", "json"):
            raise InputError(
                f"train: {_option(name)}: found it with --list, need a training for it; leave one of them out"
            )


def check_amounts(arguments: argparse.Namespace, recipe: Recipe, labels: NDArray[np.int64]) -> None:
    """Raise InputError where `--holdout` or `--batch` leave nothing to validate with, or less than a batch to train on.

    `labels` are those of all training images. Of each class one image is always trained on."""
    kept, held = holdout_rows(labels, recipe.holdout)
    if arguments.holdout and len(held) == 0:
        raise InputError(
            f"train: --holdout: found {arguments.holdout:g}, which is no image of any class, need a larger share; "
            "give such as 0.2, or 0 for no validation"
        )
    if recipe.validation_run or len(kept) >= recipe.batch or isinstance(recipe.optimiser, LbfgsB):
        return
    if arguments.batch is not None:
        raise InputError(
            f"train: --batch: found {recipe.batch}, need at most the {len(kept):,} images trained on; choose fewer"
        )
    if arguments.holdout is not None and len(labels) >= recipe.batch:
        raise InputError(
            f"train: --holdout: found {recipe.holdout:g}, which leaves {len(kept):,} images to train on, need at least "
            f"a batch of {recipe.batch}; hold fewer out, or give a smaller --batch"
        )


def wishes(arguments: argparse.Namespace) -> Wishes:
    """What the options ask of a recipe, which says itself what it has no field for."""
    names = ("optimiser", "epochs", "hidden", "reg", "cycles", "holdout", "patience", "rate", "batch", "qat")
    given = {name: getattr(arguments, name) for name in names}
    return Wishes(**given, validation_run=False if arguments.no_rehearsal else None)


def check(arguments: argparse.Namespace) -> None:
    """Raise InputError on an option that does not apply, whatever the preset."""
    if arguments.sweep_cost:
        if arguments.preset is not None:
            raise InputError(
                "train: --preset: found it with --sweep-cost, which trains its own nets of preconv and preconv-cheap, "
                "need no preset; leave it out"
            )
        _refuse(arguments, _NO_SWEEP, "--sweep-cost", "a training of one net")
        return
    _refuse(arguments, _SWEEP, "a training of one net", "--sweep-cost")
    if arguments.device is not None and arguments.engine != "torch":
        raise InputError("train: --device: found it with engine numpy, need --engine torch; add that or leave it out")


def _refuse(arguments: argparse.Namespace, names: tuple[str, ...], found: str, need: str) -> None:
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value is not False:
            raise InputError(f"train: {_option(name)}: found it with {found}, need {need} for it; leave it out")


def _option(name: str) -> str:
    return "-o" if name == "output" else f"--{name.replace('_', '-')}"
