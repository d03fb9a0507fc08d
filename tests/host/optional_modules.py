"""Python packages that are needed by some tests only."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest


def need_module(name: str, advice: str) -> ModuleType:
    """The module `name`; without it the test, or the file at whose top this stands, is skipped, but fails in CI, where
    nothing may be skipped in silence."""
    try:
        return importlib.import_module(name)
    except ImportError:
        message = f"{name}: not found; {advice}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message, allow_module_level=True)
