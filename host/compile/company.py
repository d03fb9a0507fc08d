"""What a step costs more because of what stands beside it. Two kinds of convolutions in one sketch call one walk over
the map, which then cannot take in what either does at a position; and so do two that run in turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.compile.boards import Chip
from host.compile.kernels.kinds import PORTABLE
from host.compile.kernels.measured import Measured
from host.quantise.ops import Conv, computes_floats

if TYPE_CHECKING:
    from host.compile.program import Step

_CYCLES = Measured(
    near={
        "a position of a shared walk": 23.62,
        "a portable position of a shared walk": 387.59,
        "a portable sum of a shared walk": 0,
    },
    far={
        "a position of a shared walk": 16.54,
        "a portable position of a shared walk": 576.51,
        "a portable sum of a shared walk": 0,
    },
)


def walks(step: Step) -> bool:
    """Whether it goes over a map as nn_walk does."""
    return isinstance(step.ops[0], Conv) and not computes_floats(step.ops[0])


def counts(step: Step, steps: Sequence[Step]) -> dict[str, float]:
    """How often a step of `steps` does what _CYCLES has a name for."""
    op = step.ops[0]
    if not isinstance(op, Conv) or not walks(step):
        return {}
    others = {each.kernel.name for each in steps if walks(each)}
    in_turns = any(each.ends_pair for each in steps)
    positions = op.used[0] * op.used[1]
    if step.kernel.kind == PORTABLE and (len(others) > 1 or in_turns):
        sums = positions * op.rows.outputs
        return {"a portable position of a shared walk": positions, "a portable sum of a shared walk": sums}
    return {"a position of a shared walk": positions} if len(others) > 1 else {}


def cycles(step: Step, steps: Sequence[Step], chip: Chip) -> float:
    """What that takes."""
    return _CYCLES.total(counts(step, steps), chip)
