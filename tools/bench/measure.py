"""From contenders to rows of figures, and whether the goals are met. Prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.bench.contenders import EMLEARN, HERE, NAIVE, Absent, Contender
from tools.bench.rig import DENSE, WHOLE, DoesNotBuild, Region, Rig

WHOLE_GOAL, DENSE_GOAL = 50.0, 30.0
"""How many times fewer cycles than the naive float pipeline, and than emlearn's dense part."""


@dataclass(frozen=True)
class Row:
    """One line of the table. Cycles are over the digits run; None where there is nothing to count. `agreed` of `digits`
    classes are those of the host's reference, whose accuracy over the whole test set is `accuracy`."""

    key: str
    title: str
    mcu: str = ""
    held: bool = False
    problem: str | None = None
    whole: Region | None = None
    front_end: Region | None = None
    dense: Region | None = None
    flash: int | None = None
    ram_static: int | None = None
    stack: int | None = None
    accuracy: float | None = None
    agreed: int = 0
    digits: int = 0
    failed: bool = False


def measure(
    rig: Rig,
    taking_part: Sequence[Contender | Absent],
    labels: NDArray[np.int64],
    digits: int,
    update: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """A row for each, in order, over `digits` spread through the test set; two run at a time. `update` hears how many
    of how many are finished."""
    chosen = np.linspace(0, len(labels) - 1, min(digits, len(labels))).astype(np.int64)
    rows = []
    with ThreadPoolExecutor(2) as pool:
        for row in pool.map(lambda each: _row(rig, each, labels, chosen), taking_part):
            rows.append(row)
            update(len(rows), len(taking_part))
    return rows


def _row(rig: Rig, contender: Contender | Absent, labels: NDArray[np.int64], chosen: NDArray[np.int64]) -> Row:
    if isinstance(contender, Absent):
        return Row(contender.key, contender.title, held=contender.held, problem=contender.problem)
    facts = {"key": contender.key, "title": contender.title, "mcu": contender.mcu, "held": contender.held}
    inputs, expected = contender.inputs[chosen], contender.expected[chosen]
    define = f"BENCH_INPUT_BYTES={inputs.shape[1]}"
    sources, includes = [HERE / "main.c", *contender.sources], [HERE, *contender.includes]
    try:
        plain = rig.build(contender.key, sources, includes, contender.mcu, [define])
        marked = rig.build(f"{contender.key}-parts", sources, includes, contender.mcu, [define, "BENCH_PARTS"])
    except DoesNotBuild as error:
        return Row(**facts, problem=f"does not link: {error}", failed=not contender.may_not_link)
    parts = rig.count(marked, inputs)
    whole = parts if contender.dense_only else rig.count(plain, inputs)
    agreed = min(int((run.classes == expected).sum()) for run in (parts, whole))
    return Row(
        **facts,
        whole=None if contender.dense_only else whole.regions[WHOLE],
        front_end=None if contender.dense_only else parts.regions[WHOLE],
        dense=parts.regions[DENSE],
        flash=plain.flash,
        ram_static=plain.ram_static,
        stack=whole.stack,
        accuracy=float(np.mean(contender.expected == labels)),
        agreed=agreed,
        digits=len(chosen),
        failed=agreed != len(chosen),
    )


def ratios(rows: list[Row], row: Row) -> tuple[float | None, float | None]:
    """How many times the cycles of `row` the naive pipeline takes as a whole, and emlearn in the dense part."""
    found = {each.key: each for each in rows}
    naive, peer = found[NAIVE].whole, found[EMLEARN].dense
    whole = naive.mean / row.whole.mean if naive and row.whole else None
    return whole, peer.mean / row.dense.mean if peer and row.dense else None


def verdicts(rows: list[Row]) -> list[tuple[bool | None, str]]:
    """(met, sentence) for each goal and for the classes; None where nothing was measured to judge by."""
    found: list[tuple[bool | None, str]] = []
    for row in (row for row in rows if row.held):
        if row.problem is not None:
            found.append((None, f"{row.title}: {row.problem}"))
            continue
        whole, dense = ratios(rows, row)
        found.append(_goal(f"{row.title}: whole", whole, WHOLE_GOAL, "naive float"))
        found.append(_goal(f"{row.title}: dense part", dense, DENSE_GOAL, "emlearn"))
    failed = [row.title for row in rows if row.failed]
    agreed = sum(row.agreed for row in rows)
    digits = sum(row.digits for row in rows)
    sentence = f"classes as the host's reference says: {agreed} of {digits}"
    found.append((not failed, sentence + (f"; differs or does not build: {', '.join(failed)}" if failed else "")))
    return found


def _goal(what: str, ratio: float | None, need: float, other: str) -> tuple[bool | None, str]:
    if ratio is None:
        return None, f"{what}: found no count of {other} to compare with, need {need:.0f}x fewer cycles"
    return ratio >= need, f"{what}: {ratio:.1f}x fewer cycles than {other}, need {need:.0f}x"
