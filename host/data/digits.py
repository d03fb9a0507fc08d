"""The embedded default: scikit-learn's 1,797 real handwritten digits, enlarged from 8x8 to 16x16.

They come with scikit-learn (values 0..16), so the first run needs no download.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Dataset, make_dataset, stratified_split


def load_digits() -> Dataset:
    """16x16 levels 0..255, split four fifths to one fifth within each class, the same on every machine."""
    from sklearn import datasets  # a second to import: only when asked for

    bunch = datasets.load_digits()
    images = enlarge(bunch.images.astype(np.int64))
    train, test = stratified_split(images, bunch.target.astype(np.int64))
    return make_dataset("digits", train, test)


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
