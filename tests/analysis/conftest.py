"""Fixtures of the analyses: none of them needs a board, most of them a compiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import fuzz


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Headers of one net of each kind: int8, float16 and float32 behind the front end, and one with convolutions."""
    folder = tmp_path_factory.mktemp("rendered")
    return {name: fuzz.render_net(name, folder / name) for name in ("int8", "float16", "float32", "conv")}
