"""What the parser takes for a number or a file, and how it words what it refuses."""

from __future__ import annotations

import argparse
import math
import re
import sys
from typing import Any, NoReturn

from host.cli.console import write

_NO_FILE = "found no FILE, need one; name a file, or - for standard output"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what a bare --json wants, and takes `-1,1` for a value, not for an option; its
    subcommands are of the same kind."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._negative_number_matcher = re.compile(r"-[\d.]")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Python before 3.11.4 takes a reader that has gone (`host --help | head`) for an error."""
        if message:
            write(message, file or sys.stderr)

    def error(self, message: str) -> NoReturn:
        if message == "argument --json: expected one argument":
            message = f"argument --json: {_NO_FILE}"
        super().error(message)


def json_file(text: str) -> str:
    """A file's name or -; `--json=` names none."""
    if not text:
        raise argparse.ArgumentTypeError(_NO_FILE)
    return text


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {value}, need 1 or more")
    return value


def natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"found {value}, need 0 or more")
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"found {value}, need a number from 0 to 1")
    return value


def float_range(text: str) -> tuple[float, float]:
    """LOW,HIGH."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low, high = math.nan, math.nan
    if not (low < high and math.isfinite(high - low)):
        raise argparse.ArgumentTypeError(f"found {text}, need LOW,HIGH with LOW below HIGH")
    return low, high


def height_width(text: str) -> tuple[int, int]:
    """HEIGHT,WIDTH."""
    try:
        height, width = map(int, text.split(","))
    except ValueError:
        height, width = 0, 0
    if min(height, width) < 1:
        raise argparse.ArgumentTypeError(f"found {text}, need HEIGHT,WIDTH, each from 1")
    return height, width


def percentile(text: str) -> float:
    value = float(text)
    if not 0.0 < value <= 100.0:
        raise argparse.ArgumentTypeError(f"found {value}, need a number above 0, at most 100")
    return value
