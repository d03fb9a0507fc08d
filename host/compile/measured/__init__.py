"""Cycles and bytes of flash, by name, that nobody can count beforehand: taken from compiled firmware and the simulated
chip.

Beside this stands a file for each of boards.COMPILERS, written by tools/measure_costs.py: `cycles` or `flash` → `near`
(on chips all of whose flash a pointer reaches) or `far` → name → figure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from host.compile.boards import Chip

Tables = dict[str, dict[str, dict[str, float]]]


def file_of(compiler: str) -> Path:
    return Path(__file__).with_name(f"avr-gcc-{compiler}.json")


def cycles(counts: Mapping[str, float], chip: Chip) -> float:
    """Of things that occur so often each."""
    return _total("cycles", counts, chip)


def flash(counts: Mapping[str, float], chip: Chip) -> float:
    """Likewise, in bytes."""
    return _total("flash", counts, chip)


def _total(kind: str, counts: Mapping[str, float], chip: Chip) -> float:
    known = _known(chip.compiler, kind, chip.far_flash)
    return sum(count * known[name] for name, count in counts.items())


@cache
def _known(compiler: str, kind: str, is_far: bool) -> Mapping[str, float]:
    """What was measured on one sort of chip alone holds for both."""
    tables: Tables = json.loads(file_of(compiler).read_text(encoding="utf-8"))
    near, far = tables[kind]["near"], tables[kind]["far"]
    return near | far if is_far else far | near
