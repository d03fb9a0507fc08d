"""What a machine must have for some tests: without it they are skipped with the reason, but fail in CI, where nothing
may be skipped in silence."""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Ends the test, or the file at whose top this stands. Some services set CI to another word than true."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def need(tool: str, package: str) -> str:
    """Path of a program."""
    return shutil.which(tool) or lacking(f"{tool}: not found; apt install {package}")


def need_module(name: str, advice: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        lacking(f"{name}: not found; {advice}")
