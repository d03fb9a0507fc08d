"""Images that a net is asked about, with whatever else is known of them: labels, and answers of the net's original.

Knows no file format. Arrays become read-only views, so that a hash over them stays true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from host.data.problem import problem

MAX_SIDE = 255  # a side travels as one byte to the board

Some = TypeVar("Some", bound="Samples")


@dataclass(frozen=True, eq=False)
class Original:
    """What the net that a network was imported from answered, one row an image: `codes` (N, classes) are its last
    layer's whole numbers before a softmax, int8, or int32 where they are sums; `outputs` (N, classes) any numbers, of
    which the first largest is the class. At least one of them is there."""

    codes: NDArray[np.int8] | NDArray[np.int32] | None = None
    outputs: NDArray[np.generic] | None = None

    @property
    def rows(self) -> NDArray[np.generic]:
        """(N, classes), whose first largest is the class: `codes` where they are known, since a softmax in few bits
        makes equals of what differed."""
        found = self.outputs if self.codes is None else self.codes
        assert found is not None
        return found

    @property
    def classes(self) -> NDArray[np.intp]:
        """(N,)."""
        found: NDArray[np.intp] = self.rows.argmax(axis=1)
        return found

    def first(self, count: int) -> Original:
        """The answers to the first `count` images."""
        return self.at(slice(count))

    def at(self, rows: slice | Sequence[int]) -> Original:
        """The answers to some of the images."""
        codes = None if self.codes is None else self.codes[rows]
        return Original(codes, None if self.outputs is None else self.outputs[rows])


@dataclass(frozen=True, eq=False)
class Samples:
    """`images` u8 (N, H, W), or (N, C, H, W) of several channels; `labels` int64 (N,), None where nobody knows them.
    Raises InputError where they are not."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None
    original: Original | None = None

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise problem("split", "images", kind(images), "uint8 (N, H, W)", "convert them first")
        if len(images) == 0:
            raise problem("split", "length", "no image", "at least one", "check the rows")
        height, width = images.shape[-2:]
        if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
            need = f"sides of 1..{MAX_SIDE} pixels"
            raise problem("split", "images", f"{height}x{width} pixels", need, "resize the images")
        object.__setattr__(self, "images", _frozen(images))
        if labels is None:
            return
        if labels.dtype != np.int64 or labels.ndim != 1:
            raise problem("split", "labels", kind(labels), "int64 (N,)", "convert them first")
        if len(images) != len(labels):
            found = f"{len(images)} images and {len(labels)} labels"
            raise problem("split", "length", found, "as many of both", "check the rows")
        object.__setattr__(self, "labels", _frozen(labels))

    def __len__(self) -> int:
        return len(self.images)

    def label(self, index: int) -> int | None:
        """Of one of them."""
        return None if self.labels is None else int(self.labels[index])

    def first(self: Some, count: int) -> Some:
        """The first `count` images with what is known of them."""
        labels = None if self.labels is None else self.labels[:count]
        original = None if self.original is None else self.original.first(count)
        return replace(self, images=self.images[:count], labels=labels, original=original)


def kind(array: NDArray[np.generic]) -> str:
    """Type and shape, for messages."""
    return f"{array.dtype} {array.shape}"


def _frozen(array: NDArray[np.generic]) -> NDArray[np.generic]:
    view: NDArray[np.generic] = array.view()
    view.flags.writeable = False
    return view
