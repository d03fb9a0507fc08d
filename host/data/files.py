"""The user's own images by PATH: finds out the layout, reads it, splits it where there is one set only.

    FILE.h5          the seed's layout, see host.data.hdf5
    FILE.npz         see host.data.npz; the only one that may hold inputs without labels (`load_inputs`)
    FILE.csv[.gz]    label first, see host.data.text; one file is split into four fifths and one fifth
    IDX              a directory with MNIST's four file names, one of these files, or one pair of files named
                     `*images*idx3*` and `*labels*idx1*` (split like a CSV); plain or .gz
    DIRECTORY        IDX as above, `train.csv` with `test.csv`, or USPS as LIBSVM or ESL publish it

Classes are the digits 0..9. Others are named in a text file, one name per line, the first for label 0:
`classes.txt` in the directory, or beside `FILE.csv` as `FILE.classes.txt`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from host.data.dataset import DIGITS, MAX_CLASSES, Dataset, Split, make_dataset, stratified_split
from host.data.hdf5 import MAGIC, read_hdf5
from host.data.idx import read_idx_split
from host.data.inputs import Inputs
from host.data.named import find_layout, read_layout, variant
from host.data.npz import read_npz, read_npz_inputs
from host.data.problem import problem
from host.data.sources import IDX_LAYOUT, SOURCES
from host.data.streams import open_decoded, text_lines
from host.data.text import read_csv
from host.errors import near

_LONGEST_NAME = 64  # of a class
_KNOWN = "HDF5 (.h5), NPZ, CSV, IDX (*-ubyte), or a directory of IDX files or of train.csv and test.csv"


def load_path(path: Path) -> Dataset:
    """The dataset at PATH, named after the file; InputError says what is wrong with it and where."""
    if not os.path.exists(path):  # noqa: PTH110 (Path's raises for names too long or in closed directories)
        raise _missing(path)
    try:
        names = _class_names(path)
        train, test = _read_directory(path, names) if path.is_dir() else _read_file(path, len(names))
        if test is None:
            train, test = stratified_split(train.images, train.labels)
    except MemoryError as error:
        raise _too_large(path) from error
    return make_dataset(path.name or str(path), train, test, names)


def load_inputs(path: Path) -> Inputs | None:
    """The inputs that the archive at PATH holds; None for any other file or directory. InputError as above."""
    if not path.is_file():
        return None
    with open_decoded(path) as stream:
        magic = stream.read(8)
    if not re.search(_NPZ.names, path.name.lower()) and not magic.startswith(_NPZ.magics):
        return None
    try:
        return read_npz_inputs(path)
    except MemoryError as error:
        raise _too_large(path) from error


def _read_file(path: Path, classes: int) -> tuple[Split, Split | None]:
    """By suffix first, so that a damaged file is measured by what it should be; by content otherwise."""
    with open_decoded(path) as stream:
        magic = stream.read(8)
    for reader in _READERS:
        if re.search(reader.names, path.name.lower()) or magic.startswith(reader.magics):
            return reader.read(path, classes)
    found = "an empty file" if not magic else "an unknown kind of file"
    raise problem(path, "file", found, _KNOWN, "convert it or give it its usual suffix")


def _read_directory(path: Path, names: tuple[str, ...]) -> tuple[Split, Split | None]:
    idx = find_layout(IDX_LAYOUT, path)
    if idx:
        return read_layout(IDX_LAYOUT, idx, len(names))
    train, test = (variant(path, f"{split}.csv.gz") for split in ("train", "test"))
    if train and test:
        return read_csv(train, "train", len(names)), read_csv(test, "test", len(names))
    for layout in SOURCES["usps"].layouts:
        files = find_layout(layout, path)
        if files:
            return read_layout(layout, files, len(names))
    held = ", ".join(sorted(p.name for p in path.iterdir())[:6]) or "nothing"
    raise problem(path, "directory", held, _KNOWN, "add the missing files or give one file's path")


def _read_idx_file(path: Path, classes: int) -> tuple[Split, Split | None]:
    """One IDX file stands for its pair, and the training pair brings its test pair along if there is one."""
    if variant(path.parent, path.name) and path.name.startswith(("train-", "t10k-")):
        four = find_layout(IDX_LAYOUT, path.parent)
        if four:
            return read_layout(IDX_LAYOUT, four, classes)
    swap = {"images": "labels", "labels": "images", "idx3": "idx1", "idx1": "idx3"}
    partner_name = re.sub("images|labels|idx3|idx1", lambda match: swap[match.group()], path.name)
    partner = variant(path.parent, partner_name)
    if partner is None or partner_name == path.name:
        need = f"its partner {partner_name}" if partner_name != path.name else "a name like train-images-idx3-ubyte"
        raise problem(path, "IDX pair", "one file alone", need, "put images and labels side by side")
    images, labels = (path, partner) if "images" in path.name else (partner, path)
    return read_idx_split(images, labels, "data", classes), None


def _read_csv_file(path: Path, classes: int) -> tuple[Split, Split | None]:
    return read_csv(path, "data", classes), None


@dataclass(frozen=True)
class _Reader:
    """One kind of file: what its name, in small letters, holds, or what it begins with. `read` returns the two splits,
    or the only one and None, which is then divided."""

    names: str
    magics: tuple[bytes, ...]
    read: Callable[[Path, int], tuple[Split, Split | None]]


_NPZ = _Reader(r"\.npz$", (b"PK\x03\x04",), read_npz)
_READERS = (
    _Reader(r"\.(h5|hdf5|hdf)$", (MAGIC,), read_hdf5),
    _NPZ,
    _Reader(r"\.csv(\.gz|\.bz2)?$", (), _read_csv_file),
    _Reader(r"idx[13]|ubyte", (b"\0\0\x08\x01", b"\0\0\x08\x03"), _read_idx_file),
)
"""The first that knows a file reads it."""


def _class_names(path: Path) -> tuple[str, ...]:
    stem = path.name.split(".")[0]
    listing = path / "classes.txt" if path.is_dir() else path.with_name(f"{stem}.classes.txt")
    if not listing.is_file():
        return DIGITS
    names = tuple(line.strip() for line in islice(text_lines(listing), MAX_CLASSES + 1))
    for name in names:
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            need = f"at most {_LONGEST_NAME} printable letters"
            raise problem(listing, "classes", repr(name), need, "rename the class")
    if not 2 <= len(names) <= MAX_CLASSES or len(set(names)) != len(names):
        many = f"more than {MAX_CLASSES}" if len(names) > MAX_CLASSES else str(len(names))
        found = f"{many} names, {len(set(names))} different"
        raise problem(listing, "classes", found, f"2..{MAX_CLASSES} different names", "write one name per line")
    return names


def _too_large(path: Path) -> Exception:
    return problem(path, "file", "more than fits into memory", "a smaller set", "give fewer images")


def _missing(path: Path) -> Exception:
    """A path that is not there, with the closest name in its directory."""
    folder = path.parent
    try:
        hint = near(path.name, [p.name for p in folder.iterdir()])
    except OSError:
        hint = f", nor its directory {folder}"
    return problem(path, "file", f"nothing there{hint}", "a data file or directory", "check the path")
