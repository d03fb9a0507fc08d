"""The machine-readable results of `host evaluate` and `host verify`: one place that names their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import BOARDS
from host.compile.budget import Budget
from host.link.run import Outcome
from host.report.compare import Comparison, accuracy, confusion, recall
from host.report.original import NO_ORIGINAL, AgainstOriginal
from host.report.probes import ProbeComparison

SCHEMA = 1
MAX_MISMATCHES = 100
_CLOCK_TURN_S = 2**32 / 1e6
"""After this, STATS' uptime in microseconds begins anew."""
_UNKNOWN_BYTES = 0xFFFF
"""What STATS says where the board cannot tell."""


@dataclass(frozen=True)
class RunFacts:
    """What surrounds a comparison. flash and ram_static in bytes, None where nobody built the firmware here, nor
    `predicted` it; `rounding` says how weights came about that come in several ways."""

    dataset: str
    split: str
    model_hash: str
    format: str
    preset: str
    kind: str
    mcu: str
    simulated: bool
    port: str
    baud: int
    flash: int | None
    ram_static: int | None
    wall_seconds: float
    passed: bool
    parts: tuple[str, ...] = ()
    rounding: str | None = None
    predicted: Budget | None = None


def evaluation(
    dataset: str,
    split: str,
    labels: NDArray[np.int64] | None,
    classes: Mapping[str, NDArray[np.integer]],
    count: int,
    weights: Mapping[str, int],
    rounding: Mapping[str, str],
    against: Mapping[str, AgainstOriginal] | None = None,
) -> dict[str, Any]:
    """`classes` maps format name → (N,) predictions, float32 among them: `changed` counts against it. `weights` are
    bytes on a board; `rounding` says how the weights of formats came about that come in several ways. Without `labels`
    what needs them is None; `against` says how formats stand to the net's original, where its answers are known."""
    baseline = classes["float32"]
    matrices = {
        name: None if labels is None else confusion(predicted, labels, count) for name, predicted in classes.items()
    }
    return {
        "schema": SCHEMA,
        "dataset": dataset,
        "split": split,
        "n": len(baseline),
        "accuracy": {
            name: None if labels is None else accuracy(predicted, labels) for name, predicted in classes.items()
        },
        "changed": {name: int(np.sum(predicted != baseline)) for name, predicted in classes.items()},
        "recall": {name: None if matrix is None else recall(matrix) for name, matrix in matrices.items()},
        "confusion": {name: None if matrix is None else matrix.tolist() for name, matrix in matrices.items()},
        "weights": dict(weights),
        "rounding": dict(rounding),
        "agreement": {name: found.document for name, found in (against or {}).items()},
    }


def verification(comparison: Comparison, probes: ProbeComparison, outcome: Outcome, facts: RunFacts) -> dict[str, Any]:
    """The report of one `host verify`."""
    labels, against = comparison.labels, comparison.against_original
    matrix = None if labels is None else confusion(comparison.device_classes, labels, outcome.ready.classes)
    return {
        "schema": SCHEMA,
        "dataset": facts.dataset,
        "split": facts.split,
        "n": comparison.n,
        "verdict": "pass" if facts.passed else "fail",
        "model": {
            "hash": facts.model_hash,
            "format": facts.format,
            "rounding": facts.rounding,
            "preset": facts.preset,
        },
        "board": {
            "kind": facts.kind,
            "mcu": facts.mcu,
            "f_cpu": outcome.ready.clock_hz,
            "simulated": facts.simulated,
            "port": facts.port,
        },
        "accuracy": {
            "float": comparison.accuracy(comparison.float_classes),
            "quantised": comparison.accuracy(comparison.quantised_classes),
            "device": comparison.accuracy(comparison.device_classes),
        },
        "agreement": {
            "classes_equal": comparison.classes_equal,
            "scores_equal": comparison.scores_equal,
            "float_classes_equal": comparison.float_classes_equal,
            **(NO_ORIGINAL if against is None else against.document),
        },
        "mismatches": _mismatches(comparison),
        "probes": probes.document(),
        "confusion": None if matrix is None else matrix.tolist(),
        "recall": None if matrix is None else recall(matrix),
        "cycles": _cycles(outcome, facts),
        "predicted": _predicted(facts.predicted),
        "link": _link(outcome, facts, comparison.n),
        "memory": _memory(outcome, facts),
        "seconds": {"wall": round(facts.wall_seconds, 3), "board": round(outcome.board_seconds, 6)},
    }


def _mismatches(comparison: Comparison) -> list[dict[str, int | None]]:
    labels = comparison.labels
    return [
        {
            "index": int(index),
            "label": None if labels is None else int(labels[index]),
            "float": int(comparison.float_classes[index]),
            "quantised": int(comparison.quantised_classes[index]),
            "device": int(comparison.device_classes[index]),
        }
        for index in comparison.diverging()[:MAX_MISMATCHES]
    ]


def _cycles(outcome: Outcome, facts: RunFacts) -> dict[str, Any] | None:
    """CPU cycles of one inference, and of its layers in a profiling build; None where the board's ticks are no CPU
    cycles (the native build)."""
    if outcome.ready.tick_hz != outcome.ready.clock_hz:
        return None
    ticks = np.array([result.ticks for result in outcome.results], np.int64)
    cycles: dict[str, Any] = {
        "min": int(ticks.min()),
        "median": int(np.median(ticks)),
        "max": int(ticks.max()),
        "mean": round(float(ticks.mean()), 1),
    }
    if outcome.ready.marks:
        means = np.mean([result.marks for result in outcome.results], axis=0)
        cycles["layers"] = {name: round(float(mean), 1) for name, mean in zip(facts.parts, means, strict=True)}
    return cycles


def _predicted(budget: Budget | None) -> dict[str, Any] | None:
    """Mean cycles, and the version of avr-gcc by whose figures."""
    return None if budget is None else {"compiler": budget.compiler, "cycles": budget.cycles}


def _link(outcome: Outcome, facts: RunFacts, n: int) -> dict[str, Any]:
    # The board's clock leaves out opening and greeting, and a simulated board's time is not ours. A reset sets it back.
    own_clock = outcome.counters.resets == 0 and facts.wall_seconds < _CLOCK_TURN_S
    # Wall time says nothing of a simulated board's speed, so there is none then.
    seconds = outcome.board_seconds if own_clock else 0.0 if facts.simulated else facts.wall_seconds
    # Of these very images: how many bytes one takes on the line depends on its zeros. Ten bits a byte.
    limit = facts.baud * n / (10 * outcome.line_bytes)
    has_line = facts.kind != "native"
    answered = len(outcome.probes) + n - outcome.resumed
    return {
        "baud": facts.baud if has_line else None,
        "images_per_s": round(answered / seconds, 2) if seconds > 0 else None,
        "line_limit_images_per_s": round(limit, 2) if has_line else None,
        "retries": outcome.counters.retries,
        "crc_errors": outcome.counters.bad_frames + outcome.stats.bad_frames,
        "overruns": outcome.stats.overruns,
        "resets": outcome.counters.resets,
        "faults": None if outcome.injected is None else {k.value: n for k, n in outcome.injected.counts.items()},
    }


def _memory(outcome: Outcome, facts: RunFacts) -> dict[str, int | None]:
    """`ram_free_min` is the painted stack that nothing ever touched, `stack_max` what was used at its deepest."""
    free = None if outcome.stats.stack_free == _UNKNOWN_BYTES else outcome.stats.stack_free
    static = None if outcome.stats.ram_static == _UNKNOWN_BYTES else outcome.stats.ram_static
    ram = next((board.ram for board in BOARDS.values() if board.counts_memory and board.chip.name == facts.mcu), None)
    used = None if ram is None or static is None or free is None else ram - static - free
    return {
        "flash": facts.flash,
        "ram_static": static if facts.ram_static is None else facts.ram_static,
        "stack_max": used,
        "ram_free_min": free,
    }
