"""Why an image gets the class that it gets: what each op loses against the floats, and the usual causes of a wrong one.

A cause is named only where the images speak for it: see `reading_cause` and `range_causes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn.network import Network
from host.nn.readings import READINGS, classes_as, readings_of
from host.quantise.graph import Graph
from host.quantise.losses import Loss
from host.quantise.ops import elements, op_name
from host.report.divergence import Trace, document
from host.report.original import Standing

AS_THEY_ARE = "as they are"
LEAST_GAIN = 0.05
"""Of accuracy, for another reading of the images to be named."""
_SIGMAS = 3.0
"""By so many standard errors of a fair coin's, wins must outnumber losses: few images prove nothing."""
MOST_CLIPPED = 0.01
"""The share of an op's values that may lie outside its range."""
LEAST_USED = 0.25
"""The share of its range that an op's furthest value should reach: below, two bits or more are lost."""


@dataclass(frozen=True)
class Said:
    """What everybody says of one image: scores (classes,) of float net, reference and board, and each one's class. The
    board's are None where none was asked, the original's class where nobody knows it."""

    label: int | None
    float_scores: NDArray[np.float32]
    reference_scores: NDArray[Any]
    board_scores: NDArray[Any] | None = None
    board_class: int | None = None
    original_class: int | None = None

    @property
    def classes(self) -> dict[str, int]:
        found = {"float": int(self.float_scores.argmax()), "reference": int(self.reference_scores.argmax())}
        others = {"board": self.board_class, "original": self.original_class}
        return found | {name: each for name, each in others.items() if each is not None}


def accuracy_by_reading(
    network: Network, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> dict[str, NDArray[np.bool_]]:
    """For each way to read the images, the one as they are first: which of them (N,) the float net takes rightly."""
    found = {AS_THEY_ARE: classes_as(network, images, None) == labels}
    return found | {each.name: classes_as(network, images, each) == labels for each in readings_of(network)}


def reading_cause(right: Mapping[str, NDArray[np.bool_]]) -> str | None:
    """The reading that is clearly better than the images as they are, with both accuracies."""
    name = max(right, key=lambda each: int(right[each].sum()))
    usual, best = right[AS_THEY_ARE], right[name]
    wins, defeats = int((best & ~usual).sum()), int((usual & ~best).sum())
    if best.mean() - usual.mean() < LEAST_GAIN or wins - defeats <= _SIGMAS * math.sqrt(wins + defeats):
        return None
    remedy = next(each.remedy for each in READINGS if each.name == name)
    return f"{name} {100 * best.mean():.1f} % instead of {100 * usual.mean():.1f} %: {remedy}"


def original_cause(standing: Standing | None) -> str | None:
    """That the reference's codes are not those of the net that it was imported from, which no range explains."""
    if standing is None or not standing.reference.differs:
        return None
    return (
        f"the reference has other codes than the original in {standing.count - (standing.reference.equal or 0)} of "
        f"{standing.count} answers: import the original again, and look whether they are its answers to these inputs"
    )


def range_causes(graph: Graph, found: Sequence[Loss], way_out: str) -> list[str]:
    """Ops whose range does not fit what these images put into it, with the way out."""
    causes = []
    for number, (op, loss) in enumerate(zip(graph.ops, found, strict=True)):
        what = f"op {number}, {op_name(op)}" + ("" if loss.layer is None else f" (layer {loss.layer})")
        if loss.clipped is not None and loss.clipped > MOST_CLIPPED:
            causes.append(
                f"{what}: {100 * loss.clipped:.1f} % of its values lie outside its range and are cut; {way_out}"
            )
        elif loss.clipped is not None and loss.used is not None and loss.used < LEAST_USED:
            causes.append(f"{what}: these images use {100 * loss.used:.0f} % of its range; {way_out}")
    return causes


def explanation(
    index: int,
    said: Said,
    graph: Graph,
    found: Sequence[Loss],
    right: Mapping[str, NDArray[np.bool_]],
    trace: Trace | None,
    causes: Sequence[str],
    standing: Standing | None = None,
) -> dict[str, Any]:
    """For machines."""
    scores = {"float": said.float_scores, "reference": said.reference_scores, "board": said.board_scores}
    return {
        "index": index,
        "label": said.label,
        "model": {"hash": graph.hash, "format": graph.format.label},
        "class": said.classes,
        "scores": {
            name: [_number(value) for value in values.tolist()] for name, values in scores.items() if values is not None
        },
        "ops": [
            {
                "op": number,
                "name": op_name(op),
                "layer": loss.layer,
                "loss": loss.error,
                "loss_here": loss.error_here,
                "clipped": loss.clipped,
                "zero": loss.zero,
                "used": loss.used,
            }
            for number, (op, loss) in enumerate(zip(graph.ops, found, strict=True))
        ],
        "accuracy": {name: float(each.mean()) for name, each in right.items()},
        "n": len(right[AS_THEY_ARE]) if right else 0,
        "original": None if standing is None else standing.document,
        "trace": None if trace is None else document(trace),
        "causes": list(causes),
    }


def op_rows(graph: Graph, found: Sequence[Loss], trace: Trace | None) -> list[list[str]]:
    """The table op by op, with its head."""
    head = ["op", "values", "loss", "here", "cut", "zeros", "range used"]
    rows = [head if trace is None else [*head, "board"]]
    for number, (op, loss) in enumerate(zip(graph.ops, found, strict=True)):
        shares = [loss.error, loss.error_here, loss.clipped, loss.zero, loss.used]
        row = [f"{number} {op_name(op)}", f"{elements(op.output_shape):,}", *map(_share, shares)]
        rows.append(row if trace is None else [*row, _board_cell(number, trace)])
    return rows


def score_rows(labels: Sequence[str], said: Said, score_step: float) -> list[list[str]]:
    """Each class with its scores, and the probability that the reference's make."""
    rows = [["class", "float", "reference", *(["board"] if said.board_scores is not None else []), "probability"]]
    exact = said.reference_scores.astype(np.float64) * score_step
    shares = np.exp(exact - exact.max())
    shares /= shares.sum()
    for number, label in enumerate(labels):
        row = [label, f"{said.float_scores[number]:.3f}", str(said.reference_scores[number])]
        row += [] if said.board_scores is None else [str(said.board_scores[number])]
        rows.append([*row, _share(float(shares[number]))])
    return rows


def _board_cell(number: int, trace: Trace) -> str:
    step = next(step for step in trace.steps if number in step.ops)
    if number != step.ops[-1]:
        return f"seen with op {step.ops[-1]}"
    if not step.differing:
        return "equal"
    return f"{step.differing:,} differ" if step.own else f"{step.differing:,} follow"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
