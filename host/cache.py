"""Where downloaded data and built programs are kept between runs, and what tells one folder from another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Set
from pathlib import Path


def cache_directory() -> Path:
    """$DIGITDUINO_CACHE, else the user's cache folder; not made here."""
    if chosen := os.environ.get("DIGITDUINO_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "digitduino"


def tree_digest(directory: Path, without: Set[str] = frozenset()) -> str:
    """Of the names and contents of all files below `directory`, but for build folders and the files `without`, which
    are named relative to it."""
    state = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        place = path.relative_to(directory)
        if path.is_file() and "build" not in place.parts[:-1] and place.as_posix() not in without:
            state.update(place.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()[:24]
