"""The embedded default: scikit-learn's 1,797 real handwritten digits, enlarged from 8x8 to 16x16.

They come with scikit-learn (values 0..16), so the first run needs no download.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Dataset, make_dataset, stratified_split

_FILE = "datasets/data/digits.csv.gz"


def load_digits() -> Dataset:
    """16x16 levels 0..255, split four fifths to one fifth within each class, the same on every machine."""
    images, labels = _small_digits()
    train, test = stratified_split(enlarge(images), labels)
    return make_dataset("digits", train, test)


def _small_digits() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(1797, 8, 8) of 0..16, and the labels: out of scikit-learn's file where it lies in its usual place, since
    importing scikit-learn takes a second, most of it SciPy's."""
    spec = importlib.util.find_spec("sklearn")
    file = Path(spec.origin).parent / _FILE if spec and spec.origin else None
    if file is not None and file.is_file():
        rows = np.loadtxt(file, delimiter=",").astype(np.int64)
        return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1]
    from sklearn import datasets

    bunch = datasets.load_digits()
    return bunch.images.astype(np.int64), bunch.target.astype(np.int64)


def enlarge(images: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(N, H, W) of 0..16 → u8 (N, 2H, 2W): bilinear, pixel centres aligned, edges repeated; in exact integers.

    Each new pixel lies a quarter of an old one off its centre, so it takes 3/4 of the nearest and 1/4 of the next
    one along each axis; 9 + 3 + 3 + 1 = 16 sixteenths of 0..16 are 0..256, scaled to 0..255 with halves up. Repeating
    pixels instead would give the front end's blur and max-pool 2x2 blocks that are blurred across and pooled alike.
    """
    sixteenths = _double(_double(images, axis=1), axis=2)
    return ((sixteenths * 255 + 128) // 256).astype(np.uint8)


def _double(images: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Doubles one axis with weights 3 and 1; the values grow fourfold."""
    count = images.shape[axis]
    before = np.take(images, np.maximum(np.arange(count) - 1, 0), axis)
    after = np.take(images, np.minimum(np.arange(count) + 1, count - 1), axis)
    pairs = np.stack([3 * images + before, 3 * images + after], axis=axis + 1)
    shape = list(images.shape)
    shape[axis] *= 2
    return pairs.reshape(shape)
