"""The three-way verdict: what the float network says, what the quantised reference says, what the board said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Comparison:
    """Classes are (N,); `quantised_words` and `device_words` are (N, classes) u32, the scores' raw bits;
    `float_scores` is (N, classes) float32."""

    labels: NDArray[np.int64]
    float_scores: NDArray[np.float32]
    quantised_classes: NDArray[np.uint8]
    quantised_words: NDArray[np.uint32]
    device_classes: NDArray[np.uint8]
    device_words: NDArray[np.uint32]
    integer_scores: bool

    @property
    def n(self) -> int:
        return len(self.labels)

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

    def accuracy(self, classes: NDArray[np.integer]) -> float:
        return accuracy(classes, self.labels)


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
