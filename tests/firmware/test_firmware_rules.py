"""Rules of the C sources that test_c_layering.py does not look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from firmware_build import LIB, ROOT

SOURCES = sorted(path for path in (ROOT / "firmware").rglob("*") if path.suffix in {".c", ".h", ".cpp"})
RENDERED = {"wire_ids.h", "model.h", "model_net.h"}


def test_only_app_net_sees_the_weights() -> None:
    assert [path.name for path in sorted(LIB.rglob("*.[ch]")) if '#include "model_net.h"' in path.read_text()] == [
        "app_net.c"
    ]


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.name not in RENDERED and path.parent.name != "avr"],
    ids=lambda path: path.name,
)
def test_files_stay_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 250, f"{path.relative_to(ROOT)}: {lines} lines"
