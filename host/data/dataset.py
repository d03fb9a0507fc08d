"""What training gets: two splits of u8 images with labels, ink high, background 0, checked once, here.

Knows no file format.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.data.problem import problem
from host.data.samples import Samples, kind

MAX_CLASSES = 255  # a class travels as one byte
DIGITS = tuple("0123456789")


@dataclass(frozen=True, eq=False)
class Split(Samples):
    """Samples (N, H, W) of which every label is known: what can be learned from."""

    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.ndim != 3:
            raise problem("split", "images", kind(self.images), "uint8 (N, H, W)", "convert them first")
        if self.labels is None:  # what the class above has as its default
            raise problem("split", "labels", "none", "one per image", "give them")
        super().__post_init__()


@dataclass(frozen=True, eq=False)
class Dataset:
    """Two splits of one image size; `labels[k]` is the name of class k; `sha256` is over both splits' content."""

    name: str
    train: Split
    test: Split
    sha256: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.labels) <= MAX_CLASSES:
            raise problem(self.name, "classes", str(len(self.labels)), f"2..{MAX_CLASSES}", "name the classes")
        train, test = self.train.images.shape[1:], self.test.images.shape[1:]
        if train != test:
            found = f"{_size(train)} in train and {_size(test)} in test"
            raise problem(self.name, "images", found, "one size in both", "resize one of them")
        for field, split in (("train labels", self.train), ("test labels", self.test)):
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(self.labels):
                need = f"0..{len(self.labels) - 1}"
                raise problem(self.name, field, f"labels {low}..{high}", need, "correct the labels")

    @property
    def image_shape(self) -> tuple[int, int]:
        """(H, W) of every image."""
        _, height, width = self.train.images.shape
        return height, width


def make_dataset(name: str, train: Split, test: Split, labels: tuple[str, ...] = DIGITS) -> Dataset:
    """A dataset with its content hash; raises InputError where the two splits do not belong together."""
    return Dataset(name, train, test, content_sha256(train, test), labels)


def content_sha256(train: Split, test: Split) -> str:
    """Hash of pixels, labels and shapes: equal for equal content, whatever file layout it came from."""
    digest = hashlib.sha256(b"digitduino dataset 1\n")
    for split in (train, test):
        digest.update(f"{split.images.shape}\n".encode())
        digest.update(np.ascontiguousarray(split.images).tobytes())
        digest.update(split.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def stratified_split(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[Split, Split]:
    """Holds out every class's fifth (rounded; a class with one image stays in train) as the test set.

    Which fifth is drawn from NumPy's legacy generator with seed 0, whose stream is frozen for all versions,
    so the same file gives the same split on every machine. Rows keep their order within each split.
    """
    draw = np.random.RandomState(0)
    held_out = np.zeros(len(labels), dtype=bool)
    for digit in np.unique(labels):
        rows = draw.permutation(np.flatnonzero(labels == digit))
        held_out[rows[: (len(rows) + 2) // 5]] = True
    if not held_out.any():
        found = f"no class with three images among {len(labels)}"
        raise problem("split", "labels", found, "enough to hold out a fifth", "give a train and a test set")
    return Split(images[~held_out], labels[~held_out]), Split(images[held_out], labels[held_out])


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
