"""What a step costs more because of what stands beside it. Two kinds of convolutions in one sketch call one walk over
the map, which then cannot take in what either does at a position; and so do two that run in turns. Likewise scores of
nn_avr_long behind activations of it call the loop over the pieces of a block, which they have for themselves alone."""

from __future__ import annotations

from collections.abc import Sequence

from host.compile import measured
from host.compile.boards import Chip
from host.compile.kernels.kinds import PORTABLE
from host.compile.step import Step
from host.quantise.ops import Conv, computes_floats

TURNS_STACK = 8
"""What two convolutions that run in turns take more than one: their deepest calls take 242 by avr-gcc 7.3, and 241 have
been seen. tools/avr_stack.py says 256, since it has every convolution called from every walk."""
_LONG = "nn_avr_long"


def walks(step: Step) -> bool:
    """Whether it goes over a map as nn_walk does."""
    return isinstance(step.ops[0], Conv) and not computes_floats(step.ops[0])


def counts(step: Step, steps: Sequence[Step]) -> dict[str, float]:
    """What a step of `steps` does more of, by the names of what was measured."""
    op = step.ops[0]
    if step.kernel.name == _LONG and step is steps[-1] and any(each.kernel.name == _LONG for each in steps[:-1]):
        return {"a block of scores behind nn_avr_long": len(step.packed.fields["blocks"].sizes)}
    if not isinstance(op, Conv) or not walks(step):
        return {}
    others = {each.kernel.name for each in steps if walks(each)}
    in_turns = any(each.ends_pair for each in steps)
    positions = op.used[0] * op.used[1]
    if step.kernel.kind == PORTABLE and (len(others) > 1 or in_turns):
        return {"a portable position of a shared walk": positions}
    return {"a position of a shared walk": positions} if len(others) > 1 else {}


def cycles(step: Step, steps: Sequence[Step], chip: Chip) -> float:
    """What that takes."""
    return measured.cycles(counts(step, steps), chip)
