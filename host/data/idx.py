"""IDX, MNIST's own format: a big-endian header (magic, counts), then bytes; plain or gzip.

The header states the size, so exactly that much and one byte more is read: a header that lies is found out without
allocating what it claims.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Split
from host.data.problem import problem
from host.data.streams import credible_bytes, open_decoded
from host.data.values import Scale, image_shape, make_split

_UBYTE = 0x08


def read_idx_split(images: Path, labels: Path, split: str, classes: int) -> Split:
    """One pair of files → one split; InputError names the file at fault."""
    pixels = read_idx(images, 3)
    marks = read_idx(labels, 1)
    if len(pixels) != len(marks):
        found = f"{len(marks)} labels beside {len(pixels)} images in {images.name}"
        raise problem(labels, "count", found, "one label per image", "use two files of one set")
    return make_split(images, split, pixels, marks, Scale.BYTE, classes)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """An array of unsigned bytes with 1 (labels) or 3 (images) dimensions."""
    need = f"0x{_UBYTE << 8 | dimensions:08x} ({'images' if dimensions == 3 else 'labels'})"
    with open_decoded(path) as stream:
        header = stream.read(4 + 4 * dimensions)
        if len(header) < 4 or header[:4] != bytes((0, 0, _UBYTE, dimensions)):
            found = f"0x{header[:4].hex()}" if header else "an empty file"
            raise problem(path, "magic", found, need, "give an IDX file of unsigned bytes")
        if len(header) < 4 + 4 * dimensions:
            found = f"{len(header)} bytes"
            raise problem(path, "header", found, f"{4 + 4 * dimensions}", "copy the file again")
        shape = struct.unpack(f">{dimensions}I", header[4:])
        size = math.prod(shape)
        most = credible_bytes(path)
        if not 0 < size <= most:
            raise problem(path, "header", f"shape {shape}", f"1..{most} bytes of data", "check the file")
        if dimensions == 3:
            image_shape(path, "header", shape)
        data = stream.read(size + 1)
    if len(data) != size:
        found = f"{len(data)} bytes" if len(data) < size else "more bytes"
        raise problem(path, "data", found, f"{size} as shape {shape} says", "copy the file again")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
