"""Text is read line by line: what the first row settles costs no second one."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from data_files import refused

from host.data import streams, text
from host.data.streams import text_lines
from host.errors import InputError

READERS: dict[str, Callable[[Path], object]] = {
    "csv": lambda path: text.read_csv(path, "data", 10),
    "esl": lambda path: text.read_esl(path, "train"),
    "libsvm": lambda path: text.read_libsvm(path, "train"),
}
ROWS = {
    ("csv", "3"),
    ("csv", "3,1,2,3"),
    ("csv", "x" * 99),
    ("csv", "12" + ",7" * 64),
    ("csv", "3" + ",nan" * 64),
    ("csv", "3" + ",0.5,7" * 32),
    ("esl", "3 0 0"),
    ("esl", "11 " + "0 " * 256),
    ("esl", "3 " + "2 " * 256),
    ("libsvm", "x"),
    ("libsvm", "0 1:1"),
    ("libsvm", "1 2:0 1:0"),
    ("libsvm", "1 1:7"),
}


@pytest.mark.parametrize(("kind", "row"), sorted(ROWS))
def test_a_first_row_that_is_no_image_needs_no_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, row: str
) -> None:
    asked: list[str] = []

    def lines(path: Path) -> Iterator[str]:
        if kind == "csv" and row != "x" * 99:
            yield "label,pixels"
        yield row
        asked.append("a second row")
        yield row

    monkeypatch.setattr(text, "text_lines", lines)
    with pytest.raises(InputError):
        READERS[kind](tmp_path / "d")
    assert asked == ([] if row != "x" * 99 else ["a second row"])  # that one may be a header


def test_a_later_row_that_is_no_image_needs_none_behind_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def lines(path: Path) -> Iterator[str]:
        nonlocal asked
        for asked in range(1, 100_000):
            yield "3" + ",7" * (64 if asked < 5 else 63)

    monkeypatch.setattr(text, "text_lines", lines)
    with pytest.raises(InputError, match="64 columns in line 5, need 65 as before"):
        READERS["csv"](tmp_path / "d")
    assert asked == 5


def test_sparse_rows_cannot_stand_for_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of a label alone is half ink, so two letters become 2 kB."""
    monkeypatch.setattr(text, "_MOST_SPARSE", 50)
    (tmp_path / "d").write_text("1\n" * 50)
    READERS["libsvm"](tmp_path / "d")
    (tmp_path / "d").write_text("1\n" * 51)
    with pytest.raises(InputError, match="rows: found more than 50, need fewer"):
        READERS["libsvm"](tmp_path / "d")


TEXT = "\ufeff\n3,\u00e4\u20ac\U0001f600 \r\n\r\n \t\n\ufeffb\rc\n\n\n" + "d" * 40 + "\n\u2028e"
LINES = ["3,\u00e4\u20ac\U0001f600 ", "\ufeffb", "c", "d" * 40, "e"]


@pytest.mark.parametrize("size", [*range(3, 60), 1 << 18])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n \n"])
def test_lines_are_the_same_in_whatever_pieces_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, end: str
) -> None:
    monkeypatch.setattr(streams, "_PIECE_BYTES", size)
    (tmp_path / "d").write_bytes((TEXT + end).encode())
    assert list(text_lines(tmp_path / "d")) == LINES
    (tmp_path / "d").write_bytes(gzip.compress((TEXT + end).encode()))
    assert list(text_lines(tmp_path / "d")) == LINES


@pytest.mark.parametrize("size", [3, 4, 5, 7, 1 << 18])
def test_the_byte_that_is_no_text_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(streams, "_PIECE_BYTES", size)
    (tmp_path / "d").write_bytes("\ufeff€€\n€".encode() + b"\xff\n")
    with pytest.raises(InputError, match="found byte 0xff at 13, need UTF-8 text"):
        list(text_lines(tmp_path / "d"))
    (tmp_path / "d").write_bytes("1\n€".encode()[:-1])
    with pytest.raises(InputError, match="found an end within a letter"):
        list(text_lines(tmp_path / "d"))


def test_a_file_without_lines_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_PIECE_BYTES", 64)
    monkeypatch.setattr(streams, "MAX_WAIT", 256)
    for content in ("\n" * 1000, "3" * 1000, "3,4\n" + "\n" * 1000 + "3,4\n", "3,4\n" * 1000 + "5" * 1000):
        (tmp_path / "d").write_text(content)
        with pytest.raises(InputError, match=r"no line of data in \d{3} letters, need"):
            list(text_lines(tmp_path / "d"))
    for content in ("\n" * 200 + "3\n" * 1000, ("3" * 200 + "\n" * 50) * 20):
        (tmp_path / "d").write_text(content)
        assert len(list(text_lines(tmp_path / "d"))) == content.count("3\n")


def npz_of(header: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return stream.getvalue()


def test_images_of_an_impossible_size_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """None of these files holds the data that it declares, and none is told so."""
    (tmp_path / "x-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, 9000, 2, 300))
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 9000))
    assert "2x300 pixels" in refused(tmp_path / "x-images-idx3-ubyte")
    (tmp_path / "d.npz").write_bytes(npz_of(b"{'descr': '|u1', 'fortran_order': False, 'shape': (9000, 2, 300)}\n"))
    assert "2x300 pixels" in refused(tmp_path / "d.npz")


def test_images_of_an_impossible_size_are_not_read_out_of_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "d.h5", "w") as file:
        for split in ("train", "test"):
            file.create_dataset(f"{split}/data", (9000, 2, 300), "u1", chunks=True)
            file[f"{split}/target"] = np.zeros(9000, np.int64)
    monkeypatch.setattr("host.data.hdf5._read", lambda *_: pytest.fail("was read"))
    assert "2x300 pixels" in refused(tmp_path / "d.h5")
