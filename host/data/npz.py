"""NPZ archives, read member by member without ever unpickling: an object array is refused by its header.

Keys: `x_train, y_train, x_test, y_test` (Keras), `train_images, train_labels, test_images, test_labels` (MedMNIST), or
`images, labels` for one set that is then split. Floats are 0..1, integers are levels 0..255.

Or `inputs` as a net takes them, with `labels`, `codes` and `outputs` where they are known: see host.data.inputs.
"""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from host.data.dataset import Split
from host.data.inputs import BESIDE, INPUTS, Inputs, make_inputs
from host.data.problem import one_line, problem
from host.data.streams import credible_bytes, unreadable
from host.data.values import Numbers, Scale, image_shape, make_split

_PAIRS = (
    (("x_train", "y_train"), ("x_test", "y_test")),
    (("train_images", "train_labels"), ("test_images", "test_labels")),
    (("images", "labels"), None),
)
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError),
    *(KeyError, ValueError, struct.error, MemoryError, SyntaxError, tokenize.TokenError),
)
_PIECE_BYTES = 1 << 20  # zipfile copies all that it has read so far for each piece that it joins
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: Path, classes: int) -> tuple[Split, Split | None]:
    """Train and test, or one set and None; InputError for a damaged, pickled or oversized archive."""
    with _opened(path) as archive:
        names = _names(archive)
        for train, test in _PAIRS:
            if names.issuperset(train + (test or ())):
                first = _split(path, archive, train, classes)
                return first, _split(path, archive, test, classes) if test else None
    need = " or ".join(", ".join(a + (b or ())) for a, b in _PAIRS)
    do = "verify, evaluate or calibrate a model with it" if INPUTS in names else "rename them"
    raise problem(path, "arrays", ", ".join(sorted(names)[:8]) or "none", need, do)


def read_npz_inputs(path: Path) -> Inputs | None:
    """What stands beside `inputs`; None for an archive without, or with images to learn from. InputError as above."""
    with _opened(path) as archive:
        names = _names(archive)
        if INPUTS not in names or any(names.issuperset(train + (test or ())) for train, test in _PAIRS):
            return None
        found = {key: _array(path, archive, key) for key in (INPUTS, *BESIDE) if key in names}
    return make_inputs(path, found)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGED as error:
        found = f"damage ({one_line(str(error)) or type(error).__name__})"
        raise problem(path, "file", found, "a whole NPZ archive", "write it again with numpy.savez") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _names(archive: zipfile.ZipFile) -> set[str]:
    return {name.removesuffix(".npy") for name in archive.namelist()}


def _split(path: Path, archive: zipfile.ZipFile, keys: tuple[str, str], classes: int) -> Split:
    pixels = _array(path, archive, keys[0], is_images=True)
    labels = _array(path, archive, keys[1])
    return make_split(path, "/".join(keys), pixels, labels, Scale.UNIT, classes)


def _array(path: Path, archive: zipfile.ZipFile, key: str, *, is_images: bool = False) -> Numbers:
    with archive.open(f"{key}.npy") as member:
        try:
            return _read_npy(path, key, member, is_images=is_images)
        except ValueError as error:  # NumPy's word for a malformed header
            found = f"a malformed header ({one_line(str(error))})"
            raise problem(path, key, found, "a plain array", "write it again with numpy.savez") from error


def _read_npy(path: Path, key: str, member: IO[bytes], *, is_images: bool) -> Numbers:
    """NumPy's own reader allocates what the header claims; this one looks at the claim first."""
    version: Any = np.lib.format.read_magic(member)
    if version not in _HEADERS:
        raise problem(path, key, f"NPY version {version}", "1.0 or 2.0", "store plain numbers")
    shape, fortran, dtype = _HEADERS[version](member)
    if dtype.hasobject or dtype.kind not in "biuf":
        found = "pickled objects, which are never read" if dtype.hasobject else f"values of type {dtype}"
        raise problem(path, key, found, "plain numbers", "store float32 0..1 or uint8")
    size, most = math.prod(shape) * dtype.itemsize, credible_bytes(path)
    if not 0 < size <= most or min(shape, default=1) < 0:
        raise problem(path, key, f"shape {shape}, {size} bytes", f"1..{most} bytes", "check the array")
    if is_images:
        image_shape(path, key, shape)
    data = bytearray()
    while len(data) < size and (piece := member.read(min(_PIECE_BYTES, size - len(data)))):
        data += piece
    if len(data) != size:
        raise problem(path, key, f"{len(data)} bytes of data", f"{size}", "write the archive again")
    array: Numbers = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array
