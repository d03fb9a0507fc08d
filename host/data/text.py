"""The text layouts, one row an image: CSV, ESL's `zip.train` and LIBSVM's sparse rows.

All go through NumPy's reader, which is fast and says where it stops; blank lines are skipped, rows counted from 1. The
first row is read alone before the others, because a file whose first row is no image needs no second one: ten million
such rows are refused as fast as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Split
from host.data.problem import one_line, problem
from host.data.samples import MAX_SIDE
from host.data.streams import MAX_BYTES, text_lines
from host.data.values import Scale, make_split, to_labels

Table = NDArray[np.float64]
_LABEL_NAMES = ("label", "labels", "class", "target", "digit", "y")
_MOST_PIXELS = MAX_SIDE * MAX_SIDE
_USPS_PIXELS = 256
_USPS_CLASSES = 10
_MOST_SPARSE = MAX_BYTES // (8 * _USPS_PIXELS)


def read_csv(path: Path, split: str, classes: int) -> Split:
    """Label first, then the pixels of a square image, separated by commas; a header line is optional.

    Pixels are levels 0..255, or fractions 0..1 where no value of the file exceeds 1.
    """
    lines = text_lines(path)
    first, number = _first(path, lines), 1
    if first.count(",") > _MOST_PIXELS:
        found = f"{first.count(',') + 1:,}"
        raise problem(path, "columns", found, f"at most {1 + _MOST_PIXELS:,}", "put one image on a line")
    if _is_header(path, first):
        first, number = _first(path, lines, "a header alone"), 2
    _csv_split(path, split, _table(path, [first], ","), classes)
    return _csv_split(path, split, _table(path, _even(path, first, lines, number), ","), classes)


def read_esl(path: Path, split: str) -> Split:
    """*The Elements of Statistical Learning*: label 0..9, then 256 values -1..1, separated by blanks."""
    lines = text_lines(path)
    first = _first(path, lines)
    _esl_split(path, split, _table(path, [first], None))
    return _esl_split(path, split, _table(path, chain([first], lines), None))


def read_libsvm(path: Path, split: str) -> Split:
    """LIBSVM's `usps`: label 1..10 (digit plus one), then `index:value` with index 1..256 and value -1..1.

    A pixel that a row leaves out is 0 in that format, which is half ink here.
    """
    stream = text_lines(path)
    first = _first(path, stream)
    _sparse_split(path, split, [first])
    lines = [first, *islice(stream, _MOST_SPARSE)]  # a row of two letters stands for 2 kB of numbers
    if len(lines) > _MOST_SPARSE:
        raise problem(path, "rows", f"more than {_MOST_SPARSE:,}", "fewer", "give fewer images")
    if {line.count(":") for line in lines} == {_USPS_PIXELS}:
        table = _table(path, [line.replace(":", " ") for line in lines], None)
        if table.shape[1] == 1 + 2 * _USPS_PIXELS and (table[:, 1::2] == np.arange(1, 1 + _USPS_PIXELS)).all():
            return _libsvm_split(path, split, table[:, 0], table[:, 2::2])
    return _sparse_split(path, split, lines)


def _csv_split(path: Path, split: str, table: Table, classes: int) -> Split:
    pixels = table[:, 1:]
    largest = np.max(np.abs(pixels), where=np.isfinite(pixels), initial=0.0)
    scale = Scale.UNIT if largest <= 1 else Scale.BYTE
    if scale is Scale.BYTE:
        _refuse_mixed(path, split, pixels)
    return make_split(path, split, pixels, table[:, 0], scale, classes)


def _esl_split(path: Path, split: str, table: Table) -> Split:
    if table.shape[1] != 1 + _USPS_PIXELS:
        need = f"{1 + _USPS_PIXELS} (label and {_USPS_PIXELS} pixels)"
        raise problem(path, "columns", str(table.shape[1]), need, "give zip.train or zip.test")
    return make_split(path, split, table[:, 1:], table[:, 0], Scale.SIGNED, _USPS_CLASSES)


def _sparse_split(path: Path, split: str, lines: list[str]) -> Split:
    labels, pixels = np.zeros(len(lines)), np.zeros((len(lines), _USPS_PIXELS))
    for row, line in enumerate(lines):
        labels[row] = _sparse_row(path, row, line, pixels[row])
    return _libsvm_split(path, split, labels, pixels)


def _libsvm_split(path: Path, split: str, labels: Table, pixels: Table) -> Split:
    digits = to_labels(path, f"{split} labels", labels, _USPS_CLASSES, first=1)
    return make_split(path, split, pixels, digits, Scale.SIGNED, _USPS_CLASSES)


def _sparse_row(path: Path, row: int, line: str, pixels: Table) -> float:
    """Fills one image from its `index:value` items and returns the label."""
    label, *items = line.split()
    last = 0
    try:
        for item in items:
            index, value = item.split(":")
            if not last < int(index) <= _USPS_PIXELS:
                found = f"index {index} after {last} in row {row + 1}"
                raise problem(path, "index", found, f"rising 1..{_USPS_PIXELS}", "check the file")
            last = int(index)
            pixels[last - 1] = float(value)
        return float(label)
    except ValueError as error:
        need = "label, then index:value items"
        raise problem(path, f"row {row + 1}", one_line(str(error)), need, "check the file") from error


def _first(path: Path, lines: Iterator[str], otherwise: str = "no line of data") -> str:
    line = next(lines, None)
    if line is None:
        raise problem(path, "file", otherwise, "one line per image", "check the file")
    return line


def _even(path: Path, first: str, others: Iterator[str], number: int) -> Iterator[str]:
    """All lines, `first` being line `number` of the file, as long as they have as many commas as that."""
    commas = first.count(",")
    yield first
    for at, line in enumerate(others, number + 1):
        if line.count(",") != commas:
            found = f"{line.count(',') + 1} columns in line {at}"
            raise problem(path, "columns", found, f"{commas + 1} as before", "complete or remove the line")
        yield line


def _table(path: Path, lines: Iterable[str], separator: str | None) -> Table:
    """(rows, columns) as float64."""
    try:
        return np.loadtxt(lines, dtype=np.float64, delimiter=separator, comments=None, ndmin=2)
    except ValueError as error:
        found = f"text that is no number table ({one_line(str(error)).split(';')[0]})"
        raise problem(path, "values", found, "as many numbers on every line", "correct the line") from error


def _is_header(path: Path, line: str) -> bool:
    """True when the line names columns; refuses one that puts the label elsewhere than first."""
    fields = [field.strip().strip('"').lower() for field in line.split(",")]
    if all(_is_number(field) for field in fields):
        return False
    if fields[0] not in _LABEL_NAMES:
        at = [i for i, field in enumerate(fields) if field in _LABEL_NAMES]
        if at:
            raise problem(path, "header", f"{fields[at[0]]} in column {at[0] + 1}", "it first", "move the column")
    return True


def _refuse_mixed(path: Path, split: str, pixels: Table) -> None:
    """Fractions beside levels above 1 mean two scales in one file; rounding would hide it."""
    fraction = pixels != np.floor(pixels)
    fraction &= np.isfinite(pixels)
    if fraction.any():
        row, column = (int(i) for i in np.argwhere(fraction)[0])
        found = f"{pixels[row, column]:g} in row {row}, pixel {column}, beside values above 1"
        raise problem(path, f"{split} images", found, "levels 0..255 or fractions 0..1", "rescale the images")


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
