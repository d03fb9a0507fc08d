"""How many bytes of flash and RAM a plan takes on a board: measured on the committed firmware as PlatformIO builds it,
with Debian's avr-gcc 5.4. `tests/board/test_budget.py` holds every prediction against the linker's figures.
"""

from __future__ import annotations

from host.compile.boards import Board
from host.deploy.plan import Plan
from host.deploy.twin import AsmTwin, TwinStep
from host.nn.formats import WeightFormat

STACK_BYTES = 128
"""The deepest call chain and an interrupt take 85 at most: tests/analysis/test_stack.py bounds them."""

_PORTABLE_CODE = {WeightFormat.FLOAT32: 7090, WeightFormat.FLOAT16: 7096, WeightFormat.INT8: 6134}
_ASM_CODE = 6090
_UNROLLED_CODE = 6020
_BLOCK_CALL = 20
"""What calling one kernel for one block takes."""
_DENSE_CODE = {16: (172, 40), 24: (128, 36)}
"""Of one routine: fixed, and for each output of its block."""
_REQUANTISE_CODE = {16: 154, 24: 128}
_WIDEN_CODE = 26
_PORTABLE_FRONT_END = -780
"""The portable front end is that much smaller; it serves image sizes that have none in assembly."""
_LARGE_CHIP_CODE = 990
"""More interrupt vectors, and jumps and calls of two words, where flash is more than 128 KB."""

_FLOAT_STATIC, _PORTABLE_STATIC, _TWIN_STATIC = 217, 213, 203
"""Static data whose size no model changes: session, line, clock, and small tables of the compiler's."""
_READY_BYTES, _RESULT_BYTES = 44, 9
"""The longest reply of fixed length, and RESULT without its scores: one buffer holds either."""
_SCORE_BYTES = 4

# What follows is firmware/src/ram_avr.h.
_FRAME_BYTES = 6
_RX_SPARE = 24
_SHORT_RX = 64
_KEPT_FREE = 220 + 320


def flash(planned: Plan, board: Board) -> int:
    """Bytes of the whole sketch."""
    code = _LARGE_CHIP_CODE if board.is_large else 0
    if isinstance(planned.twin, AsmTwin):
        code += _ASM_CODE + _kernels(planned.twin)
    elif planned.twin is not None:
        code += _UNROLLED_CODE
    else:
        code += _PORTABLE_CODE[planned.net.format]
    if planned.twin is not None and planned.twin.front_end is None:
        code += _PORTABLE_FRONT_END
    return code + len(planned.flash_rom)


def _kernels(twin: AsmTwin) -> int:
    """The routines that the linker keeps, each once, and their calls."""
    routines: dict[str, int] = {}
    for step in twin.steps:
        fixed, per_output = _DENSE_CODE[step.bits]
        routines |= {f"dense{step.bits}_{b.outputs}": fixed + per_output * b.outputs for b in step.blocks}
        routines |= _ending(step)
    return sum(routines.values()) + _BLOCK_CALL * sum(len(step.blocks) for step in twin.steps)


def _ending(step: TwinStep) -> dict[str, int]:
    if step.multiplier:
        return {f"requantize{step.bits}": _REQUANTISE_CODE[step.bits]}
    return {"widen16": _WIDEN_CODE} if step.bits == 16 else {}


def ram_static(planned: Plan, board: Board) -> int:
    """Bytes of .data and .bss."""
    scores = _SCORE_BYTES * planned.classes
    reply = max(_READY_BYTES, _RESULT_BYTES + scores)
    if planned.twin is not None:
        others = _TWIN_STATIC
    else:
        others = _PORTABLE_STATIC if planned.net.format is WeightFormat.INT8 else _FLOAT_STATIC
    return others + scores + reply + planned.image_bytes + planned.arena_bytes + _receive_ring(planned, board)


def _receive_ring(planned: Plan, board: Board) -> int:
    """Room for one whole IMAGE frame where the rest leaves it: then two images may be outstanding."""
    body = planned.image_bytes + _FRAME_BYTES
    frame = body + body // 254 + 2
    kept = planned.image_bytes + planned.arena_bytes + _KEPT_FREE + 2 * _SCORE_BYTES * planned.classes
    return frame + _RX_SPARE if board.ram - kept >= frame + _RX_SPARE else _SHORT_RX
