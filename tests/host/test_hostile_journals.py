"""Journals made to harm: foreign bytes, and lines with sound checksums that say what cannot be."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_refusals import Runner, refused


def journal(*texts: str) -> bytes:
    head = '{"journal":1,"facts":{"model":"ab"}}'
    return b"".join(f"{zlib.crc32(text.encode()):08x} {text}\n".encode() for text in (head, *texts))


def board(**changes: object) -> str:
    known = {
        "model": "00",
        "name": "x",
        "weights_crc": 1,
        "height": 4,
        "width": 4,
        "classes": 3,
        "format": 2,
        "marks": 0,
    }
    return json.dumps({"board": {**known, "clock_hz": 1, "tick_hz": 1, **changes}})


JOURNAL_CASES: dict[str, Callable[[], bytes]] = {
    "another file": lambda: b"hello\nworld\n",
    "zeros": lambda: bytes(1 << 20) + b"\n\n",
    "one endless line": lambda: b"0" * (1 << 20) + b"\nx\n",
    "deep nesting": lambda: journal("[" * 30_000, "1"),
    "a board without fields": lambda: journal('{"board":{}}', "1"),
    "no board": lambda: journal('{"board":null}', "1"),
    "a result without a board": lambda: journal('[0,"00"]', "1"),
    "two boards": lambda: journal(board(), board(), "1"),
    "endless classes": lambda: journal(board(classes=1 << 60), '[0,"00"]', "1"),
    "negative classes": lambda: journal(board(classes=-3), '[0,"' + "00" * 9 + '"]', "1"),
    "classes of text": lambda: journal(board(classes="3"), "1"),
    "an endless index": lambda: journal(board(), '[1e999,"00"]', "1"),
    "a large index": lambda: journal(board(), f'[{10**30},"00"]', "1"),
    "a float index": lambda: journal(board(), '[0.0,"00"]', "1"),
    "no number": lambda: journal(board(), '[NaN,"00"]', "1"),
    "other facts with escapes": lambda: (
        journal().replace(b"ab", b"ab")
        and (lambda text: f"{zlib.crc32(text.encode()):08x} {text}\n".encode() + journal())(
            '{"journal":1,"facts":{"model":"\\u001b[2J"}}'
        )
    ),
    "300 MiB": lambda: b"",
}


@pytest.mark.parametrize("case", JOURNAL_CASES)
def test_hostile_journal(run_limited: Runner, tmp_path: Path, case: str) -> None:
    path = tmp_path / "run.journal"
    path.write_bytes(JOURNAL_CASES[case]())
    if case == "300 MiB":
        os.truncate(path, 300 << 20)
    said = refused(run_limited, tmp_path, "journal", path)
    assert "start anew" in said or "choose another --journal" in said
