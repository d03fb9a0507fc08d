"""The chips and boards: what each has, as data, and by which compilers their firmware may be built. What it costs
there stands in measured/."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from host.errors import InputError, near

COMPILERS = ("5.4.0", "7.3.0")
"""The versions of avr-gcc whose code was measured: Debian's, and the one that Arduino and PlatformIO ship."""


class Family(Enum):
    """Chips for which the same kernels exist."""

    HOST = "host"
    AVR = "avr"


class Runner(Enum):
    """What can run a board's firmware where the board itself is not at hand."""

    NATIVE = "a process of this machine"
    SIMAVR = "the simulated board"


@dataclass(frozen=True)
class Chip:
    """`flash` in bytes, None where nobody counts; `compiler` is the one of COMPILERS whose code is foretold."""

    name: str
    family: Family
    flash: int | None = None
    compiler: str = COMPILERS[0]

    @property
    def far_flash(self) -> bool:
        """Whether some of its flash is out of a pointer's reach."""
        return self.flash is not None and self.flash > 64 * 1024

    @property
    def long_calls(self) -> bool:
        """Whether its program counter has three bytes, which every call and return shows."""
        return self.flash is not None and self.flash > 128 * 1024


@dataclass(frozen=True)
class Board:
    """flash and ram in bytes, as a sketch may use them (the bootloader is taken off), None where nobody counts; clock
    in Hz; `environment` is platformio.ini's name."""

    name: str
    chip: Chip
    environment: str
    runner: Runner
    flash: int | None = None
    ram: int | None = None
    clock_hz: int = 0

    @property
    def counts_memory(self) -> bool:
        return self.flash is not None and self.ram is not None

    def compiled_by(self, version: str) -> Board:
        """The same, foretold by the figures of 5.4 where avr-gcc `version` is a 5, else by those of 7.3."""
        compiler = COMPILERS[0] if version.split(".")[0] == "5" else COMPILERS[1]
        return replace(self, chip=replace(self.chip, compiler=compiler))


HOST = Chip("host", Family.HOST)
ATMEGA328P = Chip("atmega328p", Family.AVR, 32 * 1024)
ATMEGA1284P = Chip("atmega1284p", Family.AVR, 128 * 1024)
ATMEGA2560 = Chip("atmega2560", Family.AVR, 256 * 1024)
BOARDS = {
    board.name: board
    for board in (
        Board("native", HOST, "native", Runner.NATIVE),
        Board("uno", ATMEGA328P, "uno", Runner.SIMAVR, 32256, 2048, 16_000_000),
        Board("nanoatmega328", ATMEGA328P, "nanoatmega328", Runner.SIMAVR, 30720, 2048, 16_000_000),
        Board("nanoatmega328new", ATMEGA328P, "nanoatmega328new", Runner.SIMAVR, 32256, 2048, 16_000_000),
        Board("mega", ATMEGA2560, "mega", Runner.SIMAVR, 253952, 8192, 16_000_000),
        Board("atmega1284p", ATMEGA1284P, "atmega1284p", Runner.SIMAVR, 130048, 16384, 16_000_000),
    )
}


def board(name: str) -> Board:
    """Raise InputError for a name that is not in BOARDS, with the nearest one."""
    if name in BOARDS:
        return BOARDS[name]
    raise InputError(f"board: found {name!r}{near(name, BOARDS)}, need one of {', '.join(BOARDS)}; choose one")
