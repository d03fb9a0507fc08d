"""`host doctor`: what the commands need, what is missing, and the command that mends it."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator
from importlib.metadata import version

from host import data
from host.cli.console import Console
from host.errors import DigitduinoError, ToolMissing
from host.importers import FORMATS
from host.link.toolchain import Check, checks


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    found = [*checks(), *_reader_checks(), *(_data_check(name) for name in data.NAMES)]
    for check in found:
        console.say(f"{'ok     ' if check.ok else 'missing'}  {check.name}: {check.detail}")
    return ToolMissing.exit_code if any(not check.ok and check.required for check in found) else 0


def _reader_checks() -> Iterator[Check]:
    """What reads nets of other tools, beside what the package needs anyway."""
    for each in FORMATS:
        if each.extra is not None:
            there = importlib.util.find_spec(each.extra) is not None
            detail = f"{each.extra} {version(each.extra)}" if there else f"`pip install 'digitduino[{each.extra}]'`"
            yield Check(f"reader of {each.suffixes[0]}", there, detail, required=False)


def _data_check(name: str) -> Check:
    try:
        dataset = data.load(name)
    except DigitduinoError as error:
        return Check(f"data {name}", False, f"{error}", required=False)
    return Check(
        f"data {name}", True, f"{len(dataset.train.labels):,} + {len(dataset.test.labels):,} images", required=False
    )
