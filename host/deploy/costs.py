"""How long a plan takes on a board, part by part: measured on the committed firmware as PlatformIO builds it, with
Debian's avr-gcc 5.4, in the simulated ATmega328P. `tests/board/test_budget.py` holds every prediction to 3 %.

Times are means over the training images, in CPU cycles. What depends on the data does so through zeros, so the
densities that calibration left in the net are all that is needed. The formulas of the assembly are counted, not
measured, and explained in docs/avr-kernels.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import Board
from host.deploy.plan import DenseStep, Plan
from host.deploy.twin import AsmTwin, TwinStep, UnrolledTwin
from host.nn.formats import WeightFormat


@dataclass(frozen=True)
class _IntegerCosts:
    """The portable integer layer, whose inner loop takes four products a turn. `positive` and `shift` are what
    requantising a sum above 0 adds: avr-gcc shifts 32 bits one at a time."""

    turn: float
    single: float
    positive: float
    shift: float
    hidden_output: float
    hidden_layer: float
    score: float
    score_layer: float


_INTEGER = {
    16: _IntegerCosts(54.1, 17.0, 60.3, 8.25, 156.1, 232.0, 194.6, 89.5),
    32: _IntegerCosts(79.0, 23.0, 60.6, 8.06, 150.2, 286.1, 188.0, 106.4),
}
"""By accumulator width. A score's cost has a step of argmax in it."""


@dataclass(frozen=True)
class _FloatCosts:
    """The portable float layer. Multiplying by an input of zero and adding the product is quicker than by others; each
    input is read and converted once for all neurons."""

    nonzero_mac: float
    zero_mac: float
    feature: float
    activation: float
    score: float


_FLOAT = {
    WeightFormat.FLOAT32: _FloatCosts(335.9, 233.6, 207.0, 190.0, 80.0),
    WeightFormat.FLOAT16: _FloatCosts(369.2, 278.7, 196.0, 190.0, 80.0),
}
_LARGE_CHIP_MAC = 12.0
"""Six calls and returns of one cycle more each."""


def cycles(planned: Plan, board: Board) -> list[int]:
    """Mean cycles of each part on `board`, in the order of `planned.marks`."""
    densities = [layer.density for layer in planned.net.layers]
    front_end = _front_end(planned, float(densities[0].sum()))
    if isinstance(planned.twin, UnrolledTwin):
        dense = [planned.twin.unrolled.expected_cycles([source.density for source in planned.twin.sources])]
    elif isinstance(planned.twin, AsmTwin):
        dense = [_asm(step, _after(densities, index)) for index, step in enumerate(planned.twin.steps)]
    elif planned.net.format is WeightFormat.INT8:
        dense = [_portable_int8(step, _after(densities, index)) for index, step in enumerate(planned.steps)]
    else:
        costs = _float_costs(planned.net.format, board)
        dense = [_portable_float(step, densities[index], costs) for index, step in enumerate(planned.steps)]
    return [round(part) for part in (front_end, *dense)]


def _float_costs(fmt: WeightFormat, board: Board) -> _FloatCosts:
    costs = _FLOAT[fmt]
    if not board.is_large:
        return costs
    return replace(costs, nonzero_mac=costs.nonzero_mac + _LARGE_CHIP_MAC, zero_mac=costs.zero_mac + _LARGE_CHIP_MAC)


def _after(densities: list[NDArray[np.float32]], index: int) -> float | None:
    """How many outputs of layer `index` are not 0, on average; None for scores."""
    return float(densities[index + 1].sum()) if index + 1 < len(densities) else None


def _front_end(planned: Plan, nonzero: float) -> float:
    """`nonzero`: the mean number of features that are not 0. The portable one takes its time whatever it sees."""
    height, width = planned.net.input_shape
    front_end = None if planned.twin is None else planned.twin.front_end
    if front_end == "16x16":
        return 5240 + 30.7 * nonzero if planned.net.levels == 63 else 5170 + 31.0 * nonzero
    if front_end == "28x28":
        return 14550 + 39.5 * nonzero
    columns, features = width // 2, (height // 2) * (width // 2)
    return 435 + 117 * columns + 219 * features


def _asm(step: TwinStep, alive: float | None) -> float:
    """`alive`: the mean number of outputs that are not 0, None for scores."""
    nonzero = float(step.density.sum())
    zero = step.inputs - nonzero
    total = 0.0
    for block in step.blocks:
        if step.bits == 16:
            per_input = nonzero * (5 + 7 * block.outputs) + 8 * zero
            total += 114 + 10 * block.outputs + 8 * -(-step.inputs // 4) + per_input
        else:
            total += 109 + 23 * block.outputs + nonzero * (10 + 8 * block.outputs) + 9 * zero
    if alive is None:
        widen = 16 + 17 * step.outputs if step.bits == 16 else 0
        return total + widen + 27 + 17 * (step.outputs - 1) + 6 * _new_maxima(step.outputs)
    silent = step.outputs - alive
    if step.bits == 24:
        return total + 46 + 51 * step.outputs - 35 * silent
    if step.multiplier < 256:
        return total + 37 + 27 * step.outputs - 15 * silent
    return total + 37 + 33 * step.outputs - 21 * silent


def _new_maxima(classes: int) -> float:
    """How often argmax finds a larger score, on average: 1/2 + 1/3 + … where any order is as likely."""
    return sum(1 / k for k in range(2, classes + 1))


def _portable_int8(step: DenseStep, alive: float | None) -> float:
    costs = _INTEGER[step.accumulator_bits]
    total = step.outputs * (costs.turn * (step.inputs // 4) + costs.single * (step.inputs % 4))
    if alive is None or step.requantiser is None:
        return total + costs.score * step.outputs + costs.score_layer
    scaling = alive * (costs.positive + costs.shift * step.requantiser.shift)
    return total + scaling + costs.hidden_output * step.outputs + costs.hidden_layer


def _portable_float(step: DenseStep, density: NDArray[np.float32], costs: _FloatCosts) -> float:
    nonzero = float(density.sum())
    macs = costs.nonzero_mac * nonzero + costs.zero_mac * (step.inputs - nonzero)
    argmax = costs.score * step.outputs if step.is_last else 0.0
    return step.outputs * macs + step.inputs * (costs.feature if step.is_first else costs.activation) + argmax
