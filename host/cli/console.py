"""Printing, progress bars and JSON: what a person or a program sees of a command."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from host.atomic import check_writable, write_text

_BAR = "{desc} {percentage:3.0f} %|{bar}|{n_fmt}/{total_fmt} {elapsed}<{remaining}{postfix}"
"""Time passed and left, and the note in full within 80 columns."""


class Update(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: int, total: int, note: str = "", seconds_left: float | None = None) -> None: ...


class Console:
    """Where words go. With JSON on standard output, nothing else is written there. Raises InputError at once where the
    JSON could not be written."""

    def __init__(self, json_target: str | None = None) -> None:
        self._json_target = json_target
        if json_target not in (None, "-"):
            check_writable(Path(json_target))

    def say(self, text: str = "") -> None:
        """One line for a person."""
        write(f"{text}\n", sys.stderr if self._json_target == "-" else sys.stdout)

    def document(self, content: dict[str, Any]) -> None:
        """Write the JSON where the user asked for it, if he did."""
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        if self._json_target == "-":
            write(text, sys.stdout)
        elif self._json_target is not None:
            write_text(Path(self._json_target), text)

    @contextmanager
    def progress(self, what: str, unit: str) -> Iterator[Update]:
        """Yield update(done, total, note, seconds_left). A bar appears on a terminal only.

        It reckons the time left by itself where it is not told.
        """
        if not sys.stderr.isatty():
            yield _unseen
            return
        from tqdm import tqdm  # only where it shows

        with tqdm(desc=what, unit=unit, file=sys.stderr, leave=False, bar_format=_BAR, **_shape()) as bar:

            def update(done: int, total: int, note: str = "", seconds_left: float | None = None) -> None:
                bar.total = total
                if seconds_left is not None:
                    bar.bar_format = _BAR.replace("{remaining}", tqdm.format_interval(seconds_left))
                bar.set_postfix_str(note, refresh=False)
                bar.update(done - bar.n)

            yield update


def _unseen(done: int, total: int, note: str = "", seconds_left: float | None = None) -> None:
    """No bar to move."""


def write(text: str, stream: TextIO) -> None:
    """Write and flush. A reader that has gone (`host … | head`) takes nothing from the work or its exit code."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _shape() -> dict[str, int]:
    """Nothing, so that the bar follows the terminal; columns and rows for one (a container's) that tells neither."""
    try:
        return {} if os.get_terminal_size(sys.stderr.fileno()).columns else {"ncols": 80, "nrows": 24}
    except (OSError, ValueError):
        return {}


def percent(share: float) -> str:
    """0.93423 → '93.42 %'."""
    return f"{100 * share:.2f} %"


def table(rows: list[list[str]]) -> str:
    """Columns padded to equal width, the first left-aligned, the others right-aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
