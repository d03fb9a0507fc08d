"""Labelled images: `load("digits" | "usps" | "mnist" | PATH)` and, for the published sets, `fetch.fetch(name)`; a net's
inputs with or without labels: `load_any`.

Owns every file format and the download; knows nothing of training or boards.
"""

from __future__ import annotations

import os
from pathlib import Path

from host.data import fetch
from host.data.dataset import Dataset, Split
from host.data.digits import load_digits
from host.data.files import load_inputs, load_path
from host.data.inputs import Inputs
from host.data.named import load_named
from host.data.problem import problem
from host.data.samples import Original, Samples
from host.data.sources import SOURCES
from host.errors import near

__all__ = ["NAMES", "Dataset", "Inputs", "Original", "Samples", "Split", "fetch", "load", "load_any"]

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
    if _is_path(name_or_path):
        return load_path(Path(name_or_path))
    found = "neither a known name nor a file" + near(name_or_path, NAMES)
    raise problem(name_or_path or "''", "dataset", found, ", ".join(NAMES) + " or a path", "choose one of these")


def load_any(name_or_path: str) -> Dataset | Inputs:
    """As `load`; of an archive that holds a net's inputs, those."""
    if name_or_path not in NAMES and _is_path(name_or_path):
        inputs = load_inputs(Path(name_or_path))
        if inputs is not None:
            return inputs
    return load(name_or_path)


def _is_path(text: str) -> bool:
    looks_like_path = os.sep in text or "/" in text or bool(Path(text).suffix)
    exists = os.path.exists(text)  # noqa: PTH110 (Path's raises for names too long or in closed directories)
    return exists or (looks_like_path and "\0" not in text)
