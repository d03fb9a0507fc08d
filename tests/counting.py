"""Counts the branches of the protocol's host half while its tests run, so that they need not run a second time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import coverage
import pytest

from tools import coverage_c

HOST_GROUP = "the protocol's half on the host"
"""Of pytest-xdist: one worker runs them all."""
HOST_COUNTER = pytest.StashKey[coverage.Coverage]()
_FILES = frozenset(coverage_c.ROOT / name for name in coverage_c.HOST_TESTS)
_JUDGE = coverage_c.ROOT / "tests/analysis/test_coverage.py"


def group(item: pytest.Item) -> None:
    """Give these tests and the one that judges the figures into one worker's hands."""
    if item.path in _FILES and item.config.pluginmanager.hasplugin("xdist"):
        item.add_marker(pytest.mark.xdist_group(HOST_GROUP))


def arrange(items: list[pytest.Item]) -> None:
    """Put the test that judges the figures behind the others."""
    items.sort(key=lambda item: item.path == _JUDGE)


@contextmanager
def counted(config: pytest.Config, path: Path) -> Iterator[None]:
    """Count while the block lasts, if `path` is one of the files; not where the whole run is counted already."""
    if path not in _FILES or coverage.Coverage.current() is not None:
        yield
        return
    counter = config.stash.setdefault(HOST_COUNTER, coverage_c.counter())
    counter.start()
    try:
        yield
    finally:
        counter.stop()
