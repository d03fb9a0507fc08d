"""Figures taken from the compiled firmware and the simulated chip, where nothing can be counted beforehand.

tools/measure_costs.py fits them and writes them down, each beside the kernel that it is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from host.compile.boards import Chip


@dataclass(frozen=True)
class Measured:
    """Cycles or bytes by name: on chips all of whose flash a pointer reaches, and where that was measured on others."""

    near: Mapping[str, float] = field(default_factory=dict)
    far: Mapping[str, float] = field(default_factory=dict)

    def __or__(self, other: Measured) -> Measured:
        return Measured({**self.near, **other.near}, {**self.far, **other.far})

    def total(self, counts: Mapping[str, float], chip: Chip) -> float:
        """Of things that occur so often each."""
        known = {**self.near, **self.far} if chip.far_flash else self.near
        return sum(count * known[name] for name, count in counts.items())
