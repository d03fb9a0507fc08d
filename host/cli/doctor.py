"""`host doctor`: what the commands need, what is missing, and the command that mends it."""

from __future__ import annotations

import argparse

from host import data
from host.cli.console import Console
from host.errors import DigitduinoError, ToolMissing
from host.link.toolchain import Check, checks


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    found = [*checks(), *(_data_check(name) for name in data.NAMES)]
    for check in found:
        console.say(f"{'ok     ' if check.ok else 'missing'}  {check.name}: {check.detail}")
    return ToolMissing.exit_code if any(not check.ok and check.required for check in found) else 0


def _data_check(name: str) -> Check:
    try:
        dataset = data.load(name)
    except DigitduinoError as error:
        return Check(f"data {name}", False, f"{error}", required=False)
    return Check(
        f"data {name}", True, f"{len(dataset.train.labels):,} + {len(dataset.test.labels):,} images", required=False
    )
