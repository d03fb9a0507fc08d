"""The three-way verdict: what the float network says, what the quantised reference says, what the board said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from host.data import Original
from host.report.original import AgainstOriginal, against_original


@dataclass(frozen=True)
class Comparison:
    """Classes are (N,); `quantised_words` and `device_words` are (N, classes) u32, the scores' raw bits;
    `float_scores` is (N, classes) float32. `labels` and the `original` are None where nobody knows them; its codes are
    compared where ours are some, too (`scores_are_codes`)."""

    labels: NDArray[np.int64] | None
    float_scores: NDArray[np.float32]
    quantised_classes: NDArray[np.uint8]
    quantised_words: NDArray[np.uint32]
    device_classes: NDArray[np.uint8]
    device_words: NDArray[np.uint32]
    integer_scores: bool
    original: Original | None = None
    scores_are_codes: bool = False

    @property
    def n(self) -> int:
        return len(self.float_scores)

    @property
    def device_scores(self) -> NDArray[np.int32] | NDArray[np.float32]:
        """(N, classes)."""
        return self.device_words.view(np.int32) if self.integer_scores else self.device_words.view(np.float32)

    @cached_property
    def against_original(self) -> AgainstOriginal | None:
        """How the device's answers stand to the original's."""
        if self.original is None:
            return None
        return against_original(self.original, self.device_classes, self.device_scores, as_codes=self.scores_are_codes)

    @property
    def float_classes(self) -> NDArray[np.intp]:
        classes: NDArray[np.intp] = self.float_scores.argmax(axis=1)
        return classes

    @property
    def classes_equal(self) -> int:
        return int(np.sum(self.device_classes == self.quantised_classes))

    @property
    def scores_equal(self) -> int:
        return int(np.sum(np.all(self.device_words == self.quantised_words, axis=1)))

    @property
    def float_classes_equal(self) -> int:
        return int(np.sum(self.float_classes == self.device_classes))

    @property
    def agrees(self) -> bool:
        """True only when every class and every score is the reference's, bit for bit."""
        return self.classes_equal == self.n and self.scores_equal == self.n

    def diverging(self) -> NDArray[np.intp]:
        """Indices of the images whose class or scores differ between reference and device, ascending."""
        same = (self.device_classes == self.quantised_classes) & np.all(
            self.device_words == self.quantised_words, axis=1
        )
        return np.flatnonzero(~same)

    def accuracy(self, classes: NDArray[np.integer]) -> float | None:
        return None if self.labels is None else accuracy(classes, self.labels)


def accuracy(classes: NDArray[np.integer], labels: NDArray[np.int64]) -> float:
    """The share of images whose class is their label, 0..1."""
    return float(np.mean(classes == labels))


def confusion(classes: NDArray[np.integer], labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(count, count) int64: rows are the true labels, columns the predicted classes."""
    matrix = np.zeros((count, count), np.int64)
    np.add.at(matrix, (labels, classes), 1)
    return matrix


def recall(matrix: NDArray[np.int64]) -> list[float | None]:
    """Per true label, the share that was recognised; None where the label does not occur."""
    totals = matrix.sum(axis=1)
    return [float(matrix[k, k] / totals[k]) if totals[k] else None for k in range(len(matrix))]
