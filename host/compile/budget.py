"""What a program will cost on a board, before anything is compiled.

Sizes in bytes, times in CPU cycles; measured/ holds what they are made of.
"""

from __future__ import annotations

from dataclasses import dataclass

from host.compile import firmware_size
from host.compile.boards import BOARDS, Board
from host.compile.kernels.avr_dense import MAX_NEAR_BYTES
from host.compile.program import Program


@dataclass(frozen=True)
class Budget:
    """Predicted for one board: bytes of flash, of weights that only near flash reads reach, of RAM (static, and kept
    free for the stack), and mean cycles of each part of one inference, named as the profiling build names them; all
    as `compiler` builds it, one of boards.COMPILERS."""

    flash: int
    near_weights: int
    ram_static: int
    stack: int
    parts: tuple[tuple[str, int], ...]
    compiler: str

    @property
    def cycles(self) -> int:
        return sum(cycles for _, cycles in self.parts)

    def lacking(self, board: Board) -> tuple[str, ...]:
        """What `board` has too little of, with the bytes; nothing where the program fits or nobody counts."""
        if board.flash is None or board.ram is None:
            return ()
        needs = []
        if self.flash > board.flash:
            needs.append(f"flash: found {self.flash:,} bytes needed, {board.flash:,} there")
        if self.ram_static + self.stack > board.ram:
            needs.append(f"RAM: found {self.ram_static:,} + {self.stack} stack needed, {board.ram:,} there")
        if self.near_weights > MAX_NEAR_BYTES:
            needs.append(
                f"weights: found {self.near_weights:,} bytes, need {MAX_NEAR_BYTES:,} at most for near flash reads"
            )
        return tuple(needs)

    def fits(self, board: Board) -> bool:
        return not self.lacking(board)


def predict(program: Program, board: Board, *, profile: bool = False, trace: bool = False) -> Budget:
    """The budget of `program` on `board`, with `profile` of a build that times every step, with `trace` of one that can
    send its output; where nobody counts a board's memory the figures are an Uno's."""
    counted = board if board.counts_memory else BOARDS["uno"].compiled_by(board.chip.compiler)
    return Budget(
        flash=firmware_size.flash(program, counted.chip, trace=trace),
        near_weights=program.near_bytes,
        ram_static=firmware_size.ram_static(program, counted, profile=profile, trace=trace),
        stack=max(cost.stack for cost in program.costs),
        parts=program.parts,
        compiler=board.chip.compiler,
    )


def fits(program: Program, board: Board) -> bool:
    return predict(program, board).fits(board)
