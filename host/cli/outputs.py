"""What a command writes must not fall on what it reads, or on another thing that it writes."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.errors import InputError

_NAMES = {
    "model": "MODEL",
    "file": "FILE",
    "output": "-o",
    "journal": "--journal",
    "scores": "--scores",
    "json": "--json",
}
"""Arguments that name a file, and how the user gives them; each may collide with those before it."""


def check_outputs(arguments: argparse.Namespace) -> None:
    """Raise InputError where two of the arguments name one file."""
    taken: dict[Path, str] = {}
    for attribute, name in _NAMES.items():
        value = getattr(arguments, attribute, None)
        if value is None or value == "-":
            continue
        path = Path(value).resolve()
        if path in taken:
            raise InputError(f"{name}: found {value}, the file of {taken[path]}, need another; choose another name")
        taken[path] = name
