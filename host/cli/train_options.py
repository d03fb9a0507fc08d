"""Which options of `host train` belong to what: one that would change nothing is refused, never ignored."""

from __future__ import annotations

import argparse

from host.errors import InputError
from host.train.learned_presets import LEARNED_PRESETS
from host.train.preconv_presets import PRECONV_PRESETS

# Names in the parsed arguments; one that is not given is None or False.
_PRECONV = ("hidden", "reg", "cycles", "no_rehearsal", "sweep_cost")
_LEARNED = ("engine", "device", "holdout", "patience", "rate", "batch", "optimiser", "qat", "resume")
_SWEEP = ("seeds",)
_NO_SWEEP = ("preset", "output", "hidden", "reg", "cycles", "no_rehearsal", "checkpoint", *_LEARNED)


def check(arguments: argparse.Namespace, preset: str) -> None:
    """Raise InputError on an option that does not apply."""
    if arguments.sweep_cost:
        _refuse(arguments, _NO_SWEEP, "--sweep-cost", "a training of one net")
        return
    _refuse(arguments, _SWEEP, "a training of one net", "--sweep-cost")
    if preset in LEARNED_PRESETS:
        _refuse(arguments, _PRECONV, f"preset {preset}", f"one of {', '.join(PRECONV_PRESETS)}")
    else:
        _refuse(arguments, _LEARNED, f"preset {preset}", f"one of {', '.join(LEARNED_PRESETS)}")
    if arguments.device is not None and arguments.engine != "torch":
        raise InputError("train: --device: found it with engine numpy, need --engine torch; add that or leave it out")


def _refuse(arguments: argparse.Namespace, names: tuple[str, ...], found: str, need: str) -> None:
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value is not False:
            option = "-o" if name == "output" else f"--{name.replace('_', '-')}"
            raise InputError(f"train: {option}: found it with {found}, need {need} for it; leave it out")
