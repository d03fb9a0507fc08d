"""Measured costs of the committed firmware: Debian's avr-gcc 5.4, PlatformIO's flags, the simulated ATmega328P.

`tests/board/test_budget.py` holds every prediction against the compiler's and the simulator's figures. The cycle
formulas of the assembly kernels are counted, and explained in docs/avr-kernels.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.deploy.nets import Int8Dense
from host.deploy.numerics import WeightFormat
from host.deploy.plan import DenseStep, Plan
from host.deploy.target import Board
from host.deploy.twin import AsmTwin, TwinStep, UnrolledTwin

STACK_BYTES = 256
"""What the deepest call chain and an interrupt need; the board's painted stack reports what was really used."""
_CODE_BYTES = {
    (WeightFormat.FLOAT32, "portable"): 8700,
    (WeightFormat.FLOAT16, "portable"): 9000,
    (WeightFormat.INT8, "portable"): 7400,
    (WeightFormat.INT8, "asm"): 6800,
    (WeightFormat.INT8, "unrolled"): 6000,
}
_STATIC_BYTES = 440
_SECOND_SLOT_RAM = 1250
_NEW_MAXIMA = 1.9
"""Mean number of times that argmax finds a larger score: 1/2 + 1/3 + … + 1/10."""


def flash(planned: Plan) -> int:
    """Bytes of the whole sketch."""
    return _CODE_BYTES[planned.net.format, planned.kernel] + len(planned.flash_rom)


def ram_static(planned: Plan, board: Board) -> int:
    """Bytes of .data and .bss."""
    return _STATIC_BYTES + planned.image_bytes + planned.arena_bytes + 4 * planned.classes


def cycles(planned: Plan) -> list[int]:
    """Mean cycles of each part, in the order of `planned.marks`."""
    features = planned.net.layers[0].density.mean() if isinstance(planned.net.layers[0], Int8Dense) else 1.0
    if isinstance(planned.twin, UnrolledTwin):
        dense = planned.twin.unrolled.expected_cycles([source.density for source in planned.twin.sources])
        return [_front_end(planned, float(features)), round(dense)]
    if isinstance(planned.twin, AsmTwin):
        steps = planned.twin.steps
        following = [step.density for step in steps[1:]]
        dense_parts = [
            _asm_dense(step, following[k] if k < len(following) else None) for k, step in enumerate(steps)
        ]
        return [_front_end(planned, float(features)), *(round(part) for part in dense_parts)]
    portable = [_portable_dense(step, planned.net.format) for step in planned.steps]
    return [_front_end(planned, float(features)), *(round(part) for part in portable)]


def _front_end(planned: Plan, density: float) -> int:
    height, width = planned.net.input_shape
    nonzero = density * (height // 2) * (width // 2)
    front_end = None if planned.twin is None else planned.twin.front_end
    if front_end == "16x16":
        return round(5240 + 30.7 * nonzero if planned.net.levels == 63 else 5170 + 31.0 * nonzero)
    if front_end == "28x28":
        return round(14550 + 39.5 * nonzero)
    return 80 * height * width


def _asm_dense(step: TwinStep, following: NDArray[np.float32] | None) -> float:
    """`following` is the next layer's density, None after the last."""
    nonzero = float(step.density.sum())
    zero = step.inputs - nonzero
    total = 0.0
    for block in step.blocks:
        if step.bits == 16:
            per_input = nonzero * (5 + 7 * block.outputs) + 8 * zero
            total += 114 + 10 * block.outputs + 8 * -(-step.inputs // 4) + per_input
        else:
            total += 109 + 23 * block.outputs + nonzero * (10 + 8 * block.outputs) + 9 * zero
    if following is None:
        widen = 16 + 17 * step.outputs if step.bits == 16 else 0
        return total + widen + 36 + 17 * (step.outputs - 1) + 6 * _NEW_MAXIMA
    silent = step.outputs - float(following.sum())
    if step.bits == 24:
        return total + 46 + 51 * step.outputs - 35 * silent
    if step.multiplier < 256:
        return total + 37 + 27 * step.outputs - 15 * silent
    return total + 37 + 33 * step.outputs - 21 * silent


def _portable_dense(step: DenseStep, fmt: WeightFormat) -> float:
    per_mac = {WeightFormat.FLOAT32: 260.0, WeightFormat.FLOAT16: 330.0, WeightFormat.INT8: 19.0}[fmt]
    return per_mac * step.inputs * step.outputs + 100 * step.outputs
