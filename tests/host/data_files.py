"""Writes digits in every layout that the readers know, as an independent party would; loads what must be refused."""

import bz2
import gzip
import struct

import h5py
import numpy as np
import pytest

from host import data
from host.data.dataset import Split
from host.errors import InputError


def small_split(count=40, side=8, seed=0):
    """Random images whose labels go round 0..9."""
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)
    return Split(images, np.arange(count) % 10)


def write_hdf5(path, train, test, dtype="float32", **options):
    """The seed's layout; floats are levels / 255."""
    with h5py.File(path, "w") as file:
        for name, split in (("train", train), ("test", test)):
            flat = split.images.reshape(len(split), -1)
            data = flat if dtype == "uint8" else (flat / 255).astype(dtype)
            file.create_dataset(f"{name}/data", data=data, **options)
            file.create_dataset(f"{name}/target", data=split.labels)
    return path


def idx_bytes(array):
    """An IDX file's content for unsigned bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_idx(folder, train, test, pack=gzip.compress, suffix=".gz"):
    """MNIST's four files."""
    for prefix, split in (("train", train), ("t10k", test)):
        (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(split.images)))
        (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(split.labels)))
    return folder


def write_csv(path, split, header=False, ends="\n", bom=False):
    """Label, then levels."""
    rows = np.column_stack([split.labels, split.images.reshape(len(split), -1)]).tolist()
    lines = [",".join(map(str, row)) for row in rows]
    if header:
        lines.insert(0, ",".join(["label", *(f"pixel{i}" for i in range(len(rows[0]) - 1))]))
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + (ends.join(lines) + ends).encode())
    return path


def write_esl(folder, splits, labels):
    """`splits` are values -1..1 (N, 256), as the publisher prints them."""
    for name, values, marks in zip(("train", "test"), splits, labels, strict=True):
        rows = (f"{m:.4f} " + " ".join(f"{v:.4f}" for v in row) for m, row in zip(marks, values.tolist(), strict=True))
        (folder / f"zip.{name}.gz").write_bytes(gzip.compress(("\n".join(rows) + "\n").encode(), 1))
    return folder


def write_libsvm(folder, splits, labels):
    """Labels 1..10, all 256 indices on each row."""
    for name, values, marks in zip(("usps.bz2", "usps.t.bz2"), splits, labels, strict=True):
        rows = (
            f"{m + 1} " + " ".join(f"{i}:{v:g}" for i, v in enumerate(row, 1)) + " "
            for m, row in zip(marks, values.tolist(), strict=True)
        )
        (folder / name).write_bytes(bz2.compress(("\n".join(rows) + "\n").encode(), 1))
    return folder


def refused(path):
    """The message, which must be one printable line in the house form and name the file."""
    with pytest.raises(InputError) as caught:
        data.load(str(path))
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) <= 1000
    assert ": found " in text
    assert ", need " in text
    assert "; " in text
    assert path.name in text or str(path.parent) in text
    return text
