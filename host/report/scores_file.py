"""Every answer kept: a file with a row for each image, CSV or NPZ by its name.

CSV columns: `index`, `label` (empty where nobody knows it), `class`, `score NAME` of each class, and, where the step of
a score is known, `probability NAME` of each and `score_step`, the same in every row. NPZ arrays: `index`, `label` (left
out where unknown) and `class` (N,), `scores` and `probabilities` (N, classes), `classes` (their names), `score_step`,
`answered_by`, `format`, `model_hash`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.atomic import check_writable, replacing
from host.errors import InputError

SUFFIXES = (".csv", ".npz")
_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Answers:
    """`classes` (N,), `scores` (N, classes) int32 or float32, one step of which is worth `step` (None: unknown);
    `labels` (N,) or None; `names` of the classes."""

    answered_by: str
    format: str
    model_hash: str
    names: tuple[str, ...]
    labels: NDArray[np.int64] | None
    classes: NDArray[np.integer]
    scores: NDArray[np.int32] | NDArray[np.float32]
    step: float | None


def check_scores_file(path: Path) -> None:
    """Raise InputError, before any work, where the answers could not be written."""
    if path.suffix.lower() not in SUFFIXES:
        found = f"'{path.suffix}'" if path.suffix else "none"
        raise InputError(f"{path}: suffix: found {found}, need {' or '.join(SUFFIXES)}; choose another name")
    check_writable(path)


def write_scores(path: Path, answers: Answers) -> None:
    """Write the file, whole or not at all."""
    write = _write_csv if path.suffix.lower() == ".csv" else _write_npz
    with replacing(path) as temporary:
        write(temporary, answers)


def probabilities(scores: NDArray[np.int32] | NDArray[np.float32], step: float) -> NDArray[np.float64]:
    """softmax(scores · step), (N, classes)."""
    scaled = scores.astype(np.float64) * step
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def _write_csv(path: Path, answers: Answers) -> None:
    # The words before a name keep spreadsheets from taking it for a formula.
    head = ["index", "label", "class", *(f"score {name}" for name in answers.names)]
    if answers.step is not None:
        head += [*(f"probability {name}" for name in answers.names), "score_step"]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(_lines(answers))


def _lines(answers: Answers) -> Iterator[list[Any]]:
    for start in range(0, len(answers.scores), _AT_ONCE):
        scores = answers.scores[start : start + _AT_ONCE]
        shares = None if answers.step is None else probabilities(scores, answers.step)
        for row, score in enumerate(scores):
            index = start + row
            label = "" if answers.labels is None else int(answers.labels[index])
            # str() of a float32 is the shortest text that reads back to the same bits.
            line = [index, label, int(answers.classes[index]), *map(str, score)]
            if shares is not None:
                line += [*(f"{share:.9g}" for share in shares[row]), repr(answers.step)]
            yield line


def _write_npz(path: Path, answers: Answers) -> None:
    arrays: dict[str, Any] = {
        "index": np.arange(len(answers.scores)),
        "class": answers.classes.astype(np.uint8),
        "scores": answers.scores,
        "classes": np.array(answers.names),
        "answered_by": np.array(answers.answered_by),
        "format": np.array(answers.format),
        "model_hash": np.array(answers.model_hash),
    }
    if answers.labels is not None:
        arrays["label"] = answers.labels
    if answers.step is not None:
        arrays["score_step"] = np.array(answers.step)
        arrays["probabilities"] = probabilities(answers.scores, answers.step).astype(np.float32)
    with path.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
