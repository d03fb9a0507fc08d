"""What was answered for a labelled set, by the PC or by a board: the facts of the pictures of classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data.problem import one_line
from host.errors import InputError
from host.modelfile.file import content_hash
from host.nn.network import Network

_MAX_REPORT_BYTES = 16 << 20
_MAX_CLASSES = 255
_HASH_DIGITS = 12


@dataclass(frozen=True, eq=False)
class Measured:
    """`matrix` (classes, classes) int64: rows are true labels, columns what was answered."""

    model: str
    by: str
    data: str
    labels: tuple[str, ...]
    matrix: NDArray[np.int64]

    @property
    def n(self) -> int:
        return int(self.matrix.sum())

    @property
    def accuracy(self) -> float:
        """0..1."""
        return float(np.trace(self.matrix) / self.n)

    @property
    def title(self) -> tuple[str, str]:
        """Two lines: which model, and what was measured."""
        return f"{self.model}, {self.by}", f"{self.data}, {self.n:,} digits, accuracy {100 * self.accuracy:.2f} %"


def model_name(network: Network) -> str:
    """What a title calls the model: never a path."""
    return f"{network.provenance.preset}, model {content_hash(network)[:_HASH_DIGITS]}"


def from_report(path: Path) -> Measured:
    """What a board said, from the JSON that `host verify --json` wrote. Raise InputError for any other file."""
    report = _read(path)
    if "confusion" in report and report["confusion"] is None:
        raise InputError(
            f"{path}: confusion: found a verification without labels, need one with them; verify with labelled data"
        )
    try:
        matrix = _matrix(report["confusion"])
        board, model = report["board"], report["model"]
        kind = f"simulated {board['kind']}" if board["simulated"] else str(board["kind"])
        found = Measured(
            model=one_line(f"{model['preset']}, exported {model['hash'][:_HASH_DIGITS]}"),
            by=one_line(f"{model['format']} on {kind} ({board['mcu']})"),
            data=one_line(f"{report['dataset']} {report['split']}"),
            labels=tuple(map(str, range(len(matrix)))),
            matrix=matrix,
        )
        agrees = found.n == report["n"] and abs(found.accuracy - report["accuracy"]["device"]) < 1e-9
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _no_report(path, one_line(f"no such field or another kind of value ({error})")) from error
    if not agrees:
        raise InputError(
            f"{path}: confusion: found {found.n:,} digits that do not give the report's accuracy, "
            "need the report as it was written; verify again"
        )
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_REPORT_BYTES:
            raise _no_report(path, f"{path.stat().st_size:,} bytes")
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise _no_report(path, reason) from error
    if not isinstance(report, dict) or report.get("schema") != 1 or "board" not in report:
        raise _no_report(path, "another document")
    return report


def _matrix(rows: Any) -> NDArray[np.int64]:
    matrix = np.array(rows)
    if matrix.dtype.kind != "i" or matrix.ndim != 2 or not 2 <= len(matrix) == matrix.shape[1] <= _MAX_CLASSES:
        raise ValueError(f"confusion of {matrix.dtype} {matrix.shape}")
    if matrix.min() < 0 or matrix.sum() < 1:
        raise ValueError("confusion without counts")
    return matrix.astype(np.int64)


def _no_report(path: Path, found: str) -> InputError:
    need = "the report of a verification"
    return InputError(f"{path}: found {found}, need {need}; write one with `host verify … --json {path.name}`")
