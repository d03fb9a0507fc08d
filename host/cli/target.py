"""The board that a program is chosen and foretold for, and by which compiler's figures."""

from __future__ import annotations

from host.compile.boards import Board, board
from host.link import avr_gcc


def target_board(name: str) -> Board:
    """The board, foretold as the compiler that is here builds for it; without one as the first of boards.COMPILERS."""
    found, builder = board(name), avr_gcc.builder()
    return found if builder is None else found.compiled_by(builder.version)
