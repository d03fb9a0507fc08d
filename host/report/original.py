"""How answers stand to those of the net that a network was imported from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data import Original
from host.nn.encode import INT8_ZERO

CODES, CLASSES = "codes", "classes"


@dataclass(frozen=True)
class Difference:
    """One code that differs, of the image `index`; `klass` is whose score it is."""

    index: int
    klass: int
    found: int
    original: int


@dataclass(frozen=True)
class AgainstOriginal:
    """`compared` says what can be held against each other, whole CODES or the CLASSES alone; `equal` answers have all
    codes of the original's, None where classes are all that is compared, and `first` is the first code that differs."""

    compared: str
    equal: int | None
    classes_equal: int
    first: Difference | None

    @property
    def differs(self) -> bool:
        """Whether a code differs that must not."""
        return self.first is not None

    @property
    def document(self) -> dict[str, Any]:
        """For JSON."""
        first = self.first
        return {
            "original_compared": self.compared,
            "original_equal": self.equal,
            "original_classes_equal": self.classes_equal,
            "original_first": first
            and {"index": first.index, "class": first.klass, "found": first.found, "original": first.original},
        }


@dataclass(frozen=True)
class Standing:
    """How a sample's answers stand to the original's: those of the reference and of the float net."""

    count: int
    reference: AgainstOriginal
    floats: AgainstOriginal

    @property
    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {"n": self.count, "reference": self.reference.document, "float": self.floats.document}


NO_ORIGINAL = dict.fromkeys(("original_compared", "original_equal", "original_classes_equal", "original_first"))
"""The same for data without original."""


def against_original(
    original: Original, classes: NDArray[np.integer], scores: NDArray[np.int32] | NDArray[np.float32], *, as_codes: bool
) -> AgainstOriginal:
    """`classes` (N,) and `scores` (N, classes) of the same images. int8 codes are compared with u8 codes less 128, and
    int32 ones with sums as they are; whatever else is known says the class alone, since its unit is another."""
    classes_equal = int(np.sum(original.classes == classes))
    codes = original.codes
    if codes is None or scores.dtype.kind != "i" or (codes.dtype == np.int8) != as_codes:
        return AgainstOriginal(CLASSES, None, classes_equal, None)
    found = scores.astype(np.int64) - (INT8_ZERO if as_codes else 0)
    differs = found != codes
    rows = differs.any(axis=1)
    first = None
    if rows.any():
        index = int(np.flatnonzero(rows)[0])
        klass = int(np.flatnonzero(differs[index])[0])
        first = Difference(index, klass, int(found[index, klass]), int(codes[index, klass]))
    return AgainstOriginal(CODES, int(np.sum(~rows)), classes_equal, first)
