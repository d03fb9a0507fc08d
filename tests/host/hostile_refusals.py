"""What every test of a file made to harm asks: it is refused by one line and exit code 2, within 512 MiB and little
work, and nothing is written, opened or unpickled for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from networks import random_network

from host.modelfile import file as model_file

Runner = Callable[..., tuple[int, str, float]]
MOST_YARDSTICKS = 250
"""The worst case needs 60, most need 20; reading ten million lines to refuse them needs 470."""
SIDE = 16
ROWS = 40


def save_model(path: Path) -> None:
    """A sound model for images of SIDE × SIDE."""
    model_file.save(random_network(shape=(SIDE, SIDE), classes=10), path)


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_size for path in sorted(folder.rglob("*"))}


def refused(run_limited: Runner, folder: Path, *words: object) -> str:
    """The one line."""
    before = snapshot(folder)
    code, said, work = run_limited(folder, *words)
    assert code == 2, (code, said[-2000:])
    assert work < MOST_YARDSTICKS, said
    assert said.startswith("host: ") and said.count("\n") == 1 and said[:-1].isprintable(), said
    assert snapshot(folder) == before
    return said


def data_refused(run_limited: Runner, good_model: Path, path: Path) -> str:
    return refused(run_limited, path.parent, "evaluate", good_model, "--data", path)
