"""Where downloaded data and built programs are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path:
    """$DIGITDUINO_CACHE, else the user's cache folder; not made here."""
    if chosen := os.environ.get("DIGITDUINO_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "digitduino"
