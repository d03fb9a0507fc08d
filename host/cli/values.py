"""What the parser takes for a number, and how it words what it refuses."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what a bare --json wants; its subcommands are of the same kind."""

    def error(self, message: str) -> NoReturn:
        if message == "argument --json: expected one argument":
            message = "argument --json: found no FILE, need one; name a file, or - for standard output"
        super().error(message)


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
