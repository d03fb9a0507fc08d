"""How many bytes of flash and RAM a program takes on a chip: what the sketch around the net takes, and the net's own.

Measured on the committed firmware as PlatformIO builds it, with Debian's avr-gcc 5.4; `tests/board/test_budget.py`
holds every prediction against the linker's figures.
"""

from __future__ import annotations

from host.compile.boards import Board, Chip
from host.compile.program import Program

_BASE_CODE = 4460
"""The sketch without any kernel: serial line, protocol, clock, Arduino's core."""
_LONG_CALL_CODE = 990
"""More interrupt vectors, and jumps and calls of two words."""
_FAR_CODE = 350
_PAIR_CODE, _DEPTH_PAIR_CODE = 400, 900
"""Two convolutions in turns; a pair whose one or other is depthwise."""

_STATIC = 203
"""Static data whose size no model changes: session, line, clock, and small tables of the compiler's."""
_READY_BYTES, _RESULT_BYTES = 44, 9
"""The longest reply of fixed length, and RESULT without its scores: one buffer holds either."""
_SCORE_BYTES = 4
"""Of a score, and of the ticks of a step."""
_CLOCK_BYTES = 10
"""What a profiling build keeps beside them: its clock, and the last time."""

# What follows is firmware/src/ram_avr.h.
_FRAME_BYTES = 6
_RX_SPARE = 24
_SHORT_RX = 64
_KEPT_FREE = 220 + 320


def flash(program: Program, chip: Chip) -> int:
    """Bytes of the whole sketch."""
    shared: dict[str, int] = {}
    own = 0
    for cost in program.costs:
        shared |= cost.code
        own += cost.own
    code = _BASE_CODE + sum(shared.values()) + own + (_LONG_CALL_CODE if chip.long_calls else 0)
    code += _FAR_CODE if chip.far_flash else 0
    pair = program.layout.pair
    if pair is not None:
        is_depthwise = any("depth" in step.kernel.name for step in program.steps[pair : pair + 2])
        code += _DEPTH_PAIR_CODE if is_depthwise else _PAIR_CODE
    return code + len(program.rom)


def ram_static(program: Program, board: Board, *, profile: bool = False) -> int:
    """Bytes of .data and .bss; `profile`: of a build that times every step."""
    marks = len(program.marks) if profile else 0
    scores, ticks = _SCORE_BYTES * program.graph.classes, _SCORE_BYTES * marks
    reply = max(_READY_BYTES, _RESULT_BYTES + scores + ticks)
    slot = program.image_bytes if program.image_at is None else 0
    others = _STATIC + (_CLOCK_BYTES + ticks if profile else 0)
    return others + scores + reply + slot + program.arena_bytes + _receive_ring(program, slot, marks, board)


def _receive_ring(program: Program, slot: int, marks: int, board: Board) -> int:
    """Room for one whole IMAGE frame where the rest leaves it: then two images may be outstanding."""
    body = program.image_bytes + _FRAME_BYTES
    frame = body + body // 254 + 2
    kept = slot + program.arena_bytes + _KEPT_FREE + 2 * _SCORE_BYTES * (program.graph.classes + marks)
    assert board.ram is not None
    return frame + _RX_SPARE if board.ram - kept >= frame + _RX_SPARE else _SHORT_RX
