"""Labelled images: `load("digits" | "usps" | "mnist" | PATH)` and, for the published sets, `fetch.fetch(name)`.

Owns every file format and the download; knows nothing of training or boards.
"""

from __future__ import annotations

import os
from pathlib import Path

from host.data import fetch
from host.data.dataset import Dataset, Split
from host.data.digits import load_digits
from host.data.files import load_path
from host.data.named import load_named
from host.data.problem import problem
from host.data.sources import SOURCES
from host.errors import near

__all__ = ["NAMES", "Dataset", "Split", "fetch", "load"]

NAMES = ("digits", *SOURCES)


def load(name_or_path: str) -> Dataset:
    """The dataset by name, or from the user's file or directory; a name wins over a file called the same.

    Raises InputError in one line: unknown name (with the nearest one), missing data (with the command that brings
    it), or whatever is wrong with the file.
    """
    if name_or_path == "digits":
        return load_digits()
    if name_or_path in SOURCES:
        return load_named(name_or_path)
    looks_like_path = os.sep in name_or_path or "/" in name_or_path or bool(Path(name_or_path).suffix)
    exists = os.path.exists(name_or_path)  # noqa: PTH110 (Path's raises for names too long or in closed directories)
    if exists or (looks_like_path and "\0" not in name_or_path):
        return load_path(Path(name_or_path))
    found = "neither a known name nor a file" + near(name_or_path, NAMES)
    raise problem(name_or_path or "''", "dataset", found, ", ".join(NAMES) + " or a path", "choose one of these")
