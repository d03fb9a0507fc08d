"""The boards: what each has, and what our firmware costs on it before any weight.

Flash and RAM are what a sketch may use (the bootloader is taken off). The code sizes and cycle coefficients were
measured on Debian's avr-gcc 5.4 with the committed firmware; `tests/board/test_budget.py` holds them against the
compiler and the simulator, and fails when they drift.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from host.errors import InputError


@dataclass(frozen=True)
class Board:
    """flash and ram in bytes, clock in Hz; `environment` is platformio.ini's name. `is_avr` is false for the native
    build, whose memory no one counts."""

    name: str
    mcu: str
    environment: str
    flash: int
    ram: int
    clock_hz: int

    @property
    def is_avr(self) -> bool:
        return self.mcu.startswith("atmega")

    @property
    def is_large(self) -> bool:
        """Whether its program counter has three bytes, which every call and return shows."""
        return self.is_avr and self.flash > 128 * 1024


BOARDS = {
    board.name: board
    for board in (
        Board("native", "host", "native", 1 << 30, 1 << 30, 0),
        Board("uno", "atmega328p", "uno", 32256, 2048, 16_000_000),
        Board("nanoatmega328", "atmega328p", "nanoatmega328", 30720, 2048, 16_000_000),
        Board("nanoatmega328new", "atmega328p", "nanoatmega328new", 32256, 2048, 16_000_000),
        Board("mega", "atmega2560", "mega", 253952, 8192, 16_000_000),
    )
}


def board(name: str) -> Board:
    """Raise InputError for a name that is not in BOARDS, with the nearest one."""
    if name in BOARDS:
        return BOARDS[name]
    near = difflib.get_close_matches(name, BOARDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(BOARDS)}"
    raise InputError(f"board: found {name!r}, need one of {', '.join(BOARDS)}; {hint}")
