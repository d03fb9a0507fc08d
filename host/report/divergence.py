"""Where a board's inference leaves the reference: each step's output as it was traced, op by op."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.compile.program import Program
from host.compile.step import Step
from host.link.trace import Traced
from host.quantise.graph import Graph
from host.quantise.ops import Op, op_name
from host.quantise.reference import Values, activations, as_maps, scores


@dataclass(frozen=True)
class Place:
    """Of one value: (channel, row, column) of a map, (unit,) of a vector, (class,) of the scores."""

    at: tuple[int, ...]
    is_score: bool = False

    @property
    def named(self) -> dict[str, int]:
        names = ("channel", "row", "column") if len(self.at) == 3 else ("class",) if self.is_score else ("unit",)
        return dict(zip(names, self.at, strict=True))

    def __str__(self) -> str:
        return ", ".join(f"{name} {number}" for name, number in self.named.items())


@dataclass(frozen=True)
class StepCheck:
    """One step of a program, board against reference. `ops` are the numbers of its ops in the graph. Of `values`
    values so many are `differing`; the first of them in memory at `place` is `board` there and `reference` here. `own`
    of them differ too where the reference is given what the board gave this step: the others follow from that."""

    ops: tuple[int, ...]
    name: str
    values: int
    differing: int = 0
    own: int = 0
    place: Place | None = None
    board: float = 0
    reference: float = 0

    @property
    def title(self) -> str:
        """Such as `op 2, conv 3x3 24`."""
        if len(self.ops) == 1:
            return f"op {self.ops[0]}, {self.name}"
        return f"ops {self.ops[0]} to {self.ops[-1]} in one step, {self.name}"

    def __str__(self) -> str:
        if self.place is None:
            return f"all {self.values:,} values equal"
        verb = "differs" if self.differing == 1 else "differ"
        follows = "" if self.own else "; follows from what it was given"
        return (
            f"{self.differing:,} of {self.values:,} values {verb}, first {self.place}: "
            f"board {self.board}, reference {self.reference}{follows}"
        )


@dataclass(frozen=True)
class Trace:
    """An image's inference on a board, step by step. `differed`: whether it did in the run, where there was one."""

    index: int
    label: int | None
    board_class: int
    reference_class: int
    steps: tuple[StepCheck, ...]
    differed: bool = False

    @property
    def first(self) -> StepCheck | None:
        """The first step whose output differs."""
        return next((step for step in self.steps if step.differing), None)

    @property
    def is_equal(self) -> bool:
        return self.first is None and self.board_class == self.reference_class

    @property
    def finding(self) -> str:
        """What the trace shows, in one sentence."""
        if self.first is not None:
            return f"first to differ: {self.first.title}: {self.first}"
        if self.board_class != self.reference_class:
            return (
                f"all values and scores are equal, but the class is {self.board_class}, not {self.reference_class}: "
                "the choice of the class (argmax) must take the first of the largest scores"
            )
        if self.differed:
            return (
                "equal when traced, and not in the run: it depends on what ran before, as on a byte of RAM that "
                "nobody wrote, or on the board's supply"
            )
        return "equal in every step"


def compare(
    program: Program,
    image: NDArray[np.uint8],
    traced: Traced,
    index: int,
    label: int | None = None,
    *,
    differed: bool = False,
) -> Trace:
    """A board that runs `program` against the reference, for one image (H, W) or (C, H, W)."""
    graph = program.graph
    expected: Values = as_maps(image[None])
    given = expected
    checks: list[StepCheck] = []
    for step, ops in _steps(program):
        found = _sent(step, graph, traced)
        expected, own = _through(ops, expected, graph), _through(ops, given, graph)
        first = checks[-1].ops[-1] + 1 if checks else 0
        checks.append(_check(tuple(range(first, first + len(ops))), graph, found, expected, own))
        given = found
    reference_class = int(expected[0].argmax())
    return Trace(index, label, traced.result.predicted, reference_class, tuple(checks), differed)


def _steps(program: Program) -> list[tuple[Step, tuple[Op, ...]]]:
    """What ends in a mark, with all ops from the last one on."""
    found: list[tuple[Step, tuple[Op, ...]]] = []
    for step in program.steps:
        if step.mark is not None:
            before = () if step.ends_pair is None else step.ends_pair.ops
            found.append((step, (*before, *step.ops)))
    return found


def _sent(step: Step, graph: Graph, traced: Traced) -> Values:
    """A step's output (1, channels, height, width) or (1, units) as it was sent: row, column, channel."""
    op = step.ops[-1]
    if op is graph.ops[-1]:
        kind = np.int32 if graph.format.is_integer else np.float32
        return np.array([traced.result.scores], np.uint32).view(kind)
    assert step.mark is not None
    values = np.frombuffer(traced.outputs[step.mark], "<f4" if op.codes.is_float else np.uint8)
    if len(op.output_shape) == 1:
        return values[None]
    channels, height, width = op.output_shape
    maps: Values = values.reshape(1, height, width, channels).transpose(0, 3, 1, 2)
    return maps


def _through(ops: Sequence[Op], values: Values, graph: Graph) -> Values:
    for op in ops:
        values = scores(op, values) if op is graph.ops[-1] else activations(op, values)
    return values


def _check(numbers: tuple[int, ...], graph: Graph, found: Values, expected: Values, own: Values) -> StepCheck:
    name = " with ".join(op_name(graph.ops[number]) for number in numbers)
    wrong = np.flatnonzero(_differs(found, expected))
    check = StepCheck(numbers, name, found.size, len(wrong), int(_differs(found, own).sum()))
    if not len(wrong):
        return check
    is_score = numbers[-1] == len(graph.ops) - 1
    place = Place(_place(int(wrong[0]), graph.ops[numbers[-1]].output_shape), is_score)
    board, reference = (values[0][place.at].item() for values in (found, expected))
    return replace(check, place=place, board=board, reference=reference)


def _differs(left: Values, right: Values) -> NDArray[np.bool_]:
    """Bit for bit, in the order of memory: row, column, channel."""
    pair = [_in_memory(values) for values in (left, right)]
    if pair[0].dtype.kind == "f":
        pair = [np.ascontiguousarray(values, np.float32).view(np.uint32) for values in pair]
    different: NDArray[np.bool_] = pair[0] != pair[1]
    return different


def _in_memory(values: Values) -> NDArray[Any]:
    flat: NDArray[Any] = (values[0].transpose(1, 2, 0) if values.ndim == 4 else values[0]).reshape(-1)
    return flat


def _place(at: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) == 1:
        return (at,)
    channels, _, width = shape
    return at % channels, at // channels // width, at // channels % width


def document(trace: Trace) -> dict[str, Any]:
    """For machines."""
    first = trace.first
    return {
        "index": trace.index,
        "label": trace.label,
        "class": {"board": trace.board_class, "reference": trace.reference_class},
        "equal": trace.is_equal,
        "finding": trace.finding,
        "first": None if first is None else _step_document(first),
        "steps": [_step_document(step) for step in trace.steps],
    }


def _step_document(step: StepCheck) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ops": list(step.ops),
        "name": step.name,
        "values": step.values,
        "differing": step.differing,
        "own": step.own,
    }
    if step.place is not None:
        found |= {"place": step.place.named, "board": _number(step.board), "reference": _number(step.reference)}
    return found


def _number(value: float) -> float | str:
    """JSON knows neither infinity nor NaN."""
    return value if math.isfinite(value) else str(value)


def text(trace: Trace) -> str:
    """For people: what was found, and every step below it."""
    label = "" if trace.label is None else f", label {trace.label}"
    lines = [f"trace of image {trace.index}{label}: {trace.finding}"]
    if not trace.is_equal:
        lines += [f"  {step.title}: {step}" for step in trace.steps]
    return "\n".join(lines)
