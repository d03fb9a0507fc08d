"""How many bytes of flash and RAM a program takes on a chip: what the sketch around the net takes, and the net's own.

The committed firmware as PlatformIO builds it was measured, with each of boards.COMPILERS; `tests/board/test_matrix.py`
holds the predictions against the linker's figures.
"""

from __future__ import annotations

from host.compile import measured
from host.compile.boards import Board, Chip
from host.compile.company import walks
from host.compile.program import Program

_STATIC = 203
"""Static data whose size no model changes: session, line, clock, and small tables of the compiler's."""
_SHORT_LENGTHS = 6
"""Less where the compiler's table of requests' lengths needs one byte each: the longest is an image's."""
_READY_BYTES, _RESULT_BYTES = 44, 9
"""The longest reply of fixed length, and RESULT without its scores: one buffer holds either."""
_SCORE_BYTES = 4
"""Of a score, and of the ticks of a step."""
_CLOCK_BYTES = 10
"""What a profiling build keeps beside them: its clock, and the last time."""
_TRACE_FLASH, _OUTPUT_FLASH, _TRACE_RAM = 310, 30, 7
"""At most, of a build that traces: sending, each step that sends, and whose line it is."""

# What follows is firmware/src/ram_avr.h.
_FRAME_BYTES = 6
_RX_SPARE = 24
_SHORT_RX = 64
_KEPT_FREE = 220 + 320


def flash(program: Program, chip: Chip, *, trace: bool = False) -> int:
    """Bytes of the whole sketch; `trace`: of a build that can send what each step puts out."""
    shared: dict[str, float] = {}
    own = 0.0
    for cost in program.costs:
        shared |= cost.code
        own += cost.own
    sending = _TRACE_FLASH + _OUTPUT_FLASH * (len(program.marks) - 1) if trace else 0
    return round(measured.flash(terms(program, chip), chip) + sum(shared.values()) + own) + len(program.rom) + sending


def terms(program: Program, chip: Chip) -> dict[str, float]:
    """What makes the bytes besides the kernels' own, by the names of what was measured."""
    found = {"the sketch": 1.0}
    if chip.long_calls:
        found["calls of three bytes"] = 1
    pair = program.layout.pair
    if pair is not None:
        names = [step.kernel.name for step in program.steps[pair : pair + 2]]
        found[f"a pair of {next((name for name in names if 'depth' in name), names[0])}"] = 1
    kinds = {step.kernel.kind for step in program.steps if walks(step)}
    if len(kinds) > 1:
        found["a walk shared"] = -1
    return found


def ram_static(program: Program, board: Board, *, profile: bool = False, trace: bool = False) -> int:
    """Bytes of .data and .bss; `profile`: of a build that times each step, `trace`: of one that can send its output."""
    marks = len(program.marks) if profile else 0
    scores, ticks = _SCORE_BYTES * program.graph.classes, _SCORE_BYTES * marks
    reply = max(_READY_BYTES, _RESULT_BYTES + scores + ticks)
    slot = program.image_bytes if program.image_at is None else 0
    others = _STATIC - (_SHORT_LENGTHS if program.image_bytes < 256 else 0) + (_CLOCK_BYTES + ticks if profile else 0)
    # An arena that no step uses is left out by the linker.
    is_used = any(place.source is not None or place.target is not None for place in program.layout.places)
    arena = program.arena_bytes if is_used else 0
    others += _TRACE_RAM if trace else 0
    return others + scores + reply + slot + arena + _receive_ring(program, slot, marks, board)


def _receive_ring(program: Program, slot: int, marks: int, board: Board) -> int:
    """Room for one whole IMAGE frame where the rest leaves it: then two images may be outstanding."""
    body = program.image_bytes + _FRAME_BYTES
    frame = body + body // 254 + 2
    kept = slot + program.arena_bytes + _KEPT_FREE + 2 * _SCORE_BYTES * (program.graph.classes + marks)
    assert board.ram is not None
    ring = max(frame + _RX_SPARE, _SHORT_RX)
    return ring if board.ram - kept >= ring else _SHORT_RX
