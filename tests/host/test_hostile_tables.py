"""Images and labels made to harm: IDX, CSV, names of classes, and what gzip and bzip2 hide."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_refusals import ROWS, Runner, data_refused


def idx(magic: int, *shape: int, data: bytes = b"") -> bytes:
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + data


def zeros(count: int) -> bytes:
    """`count` mebibytes, packed."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1, mtime=0) as packed:
        for _ in range(count):
            packed.write(bytes(1 << 20))
    return stream.getvalue()


GOOD_LABELS = idx(0x801, ROWS, data=bytes(k % 10 for k in range(ROWS)))
IDX_CASES: dict[str, bytes | Callable[[], bytes]] = {
    "dimensions that overflow 64 bits": idx(0x803, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
    "dimensions that overflow to zero": idx(0x803, 1 << 31, 1 << 31, 4),
    "negative dimensions": struct.pack(">I3i", 0x803, -40, -16, 16) + bytes(ROWS * 256),
    "a gibibyte claimed": idx(0x803, 1 << 14, 256, 256),
    "more than declared": idx(0x803, ROWS, 16, 16, data=bytes(ROWS * 256 + 1)),
    "less than declared": idx(0x803, ROWS, 16, 16, data=bytes(ROWS * 256 - 1)),
    "wrong magic": idx(0xDEADBEEF, ROWS, 16, 16, data=bytes(ROWS * 256)),
    "floats": idx(0xD03, ROWS, 16, 16, data=bytes(ROWS * 256 * 4)),
    "255 dimensions": struct.pack(">I", 0x8FF) + b"\0\0\0\1" * 255,
    "nothing": b"",
    "a gzip bomb": lambda: zeros(600),
    "a bomb with a true header": lambda: gzip.compress(idx(0x803, 2400, 255, 255)) + zeros(600),
    "gzip of gzip": lambda: gzip.compress(zeros(300)),
    "gzip cut short": lambda: gzip.compress(bytes(100_000))[:50],
    "gzip with a lying length": lambda: (
        gzip.compress(idx(0x803, ROWS, 16, 16, data=bytes(ROWS * 256)))[:-4] + b"\xff\xff\xff\xff"
    ),
    "bzip2 bomb": lambda: bz2.compress(bytes(300 << 20), 1),
}


@pytest.mark.parametrize("case", IDX_CASES)
def test_hostile_idx(run_limited: Runner, good_model: Path, tmp_path: Path, case: str) -> None:
    content = IDX_CASES[case]
    path = tmp_path / "x-images-idx3-ubyte"
    path.write_bytes(content if isinstance(content, bytes) else content())
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(GOOD_LABELS)
    assert "idx" in data_refused(run_limited, good_model, path)


ROW = ",".join(["3"] + ["7"] * 256)
CSV_CASES: dict[str, bytes | Callable[[], bytes]] = {
    "ragged": f"{ROW}\r\n{ROW},1\r\n".encode(),
    "two byte-order marks": b"\xef\xbb\xbf\xef\xbb\xbf" + f"{ROW}\n{ROW},\n".encode(),
    "UTF-16": ROW.encode("utf-16"),
    "NUL bytes": ROW.replace("7", "\0", 1).encode() + b"\n",
    "NUL file": bytes(1 << 20),
    "nan": ROW.replace("7", "nan", 1).encode(),
    "infinity": ROW.replace("7", "inf", 1).encode(),
    "minus infinity": ROW.replace("7", "-inf", 1).encode(),
    "1e400": ROW.replace("7", "1e400", 1).encode(),
    "underscored": ROW.replace("7", "1_0", 1).encode(),
    "hexadecimal": ROW.replace("7", "0x7", 1).encode(),
    "a huge field": lambda: b"3," + b"7" * (20 << 20) + ROW[3:].encode(),
    "a huge quoted field": lambda: b'3,"' + b"7" * (20 << 20) + b'"\n',
    "ten million columns": lambda: b"3" + b",7" * 10_000_000,
    "a billion columns, packed": lambda: (
        gzip.compress(b"3") + zeros(1).join([b""] * 1) + gzip.compress(b",7" * 50_000_000, 1) * 20
    ),
    "ten million empty lines": b"\n" * 10_000_000,
    "ten million short lines": lambda: b"3\n" * 10_000_000,
    "a bomb of rows": lambda: gzip.compress((ROW.replace("7", "0") + "\n").encode() * 100_000),
    "a gzip bomb": lambda: zeros(600),
    "a label of 1e30": ("1e30" + ROW[1:]).encode(),
    "a label with a fraction": ("3.5" + ROW[1:]).encode(),
    "terminal escapes": b"\x1b[2J,1,2\n\x1b]0;x\x07,1,2\n",
    "one carriage return a row": ROW.encode() + b"\r\x0b\x0c\x1c\x85",
}


@pytest.mark.parametrize("case", CSV_CASES)
def test_hostile_csv(run_limited: Runner, good_model: Path, tmp_path: Path, case: str) -> None:
    content = CSV_CASES[case]
    path = tmp_path / "d.csv"
    path.write_bytes(content if isinstance(content, bytes) else content())
    assert "d.csv" in data_refused(run_limited, good_model, path)


@pytest.mark.parametrize("content", [b"\x1b[2J\nb\n", b"a\na\n", b"x" * 65 + b"\nb\n", b"a\n", b"\xff\n1\n"])
def test_hostile_class_names(run_limited: Runner, good_model: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.csv").write_text(f"{ROW}\n" * 20)
    (tmp_path / "d.classes.txt").write_bytes(content)
    assert "d.classes.txt" in data_refused(run_limited, good_model, tmp_path / "d.csv")
