"""The board that a program is chosen and foretold for, and by which compiler's figures."""

from __future__ import annotations

from host.compile.boards import Board, Family, board
from host.link import avr_gcc


def target_board(name: str) -> Board:
    """The board, foretold as the compiler that builds for it here makes its programs."""
    found = board(name)
    return found.compiled_by(avr_gcc.builder_version()) if found.chip.family is Family.AVR else found
