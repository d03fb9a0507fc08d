"""What one set of headers holds: the program that every compiler understands, and for an AVR the one that takes its
place there. Both compute the same bits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from host.compile.boards import Board, Family
from host.compile.kernels.kinds import PORTABLE
from host.compile.program import Program, title
from host.quantise.graph import Graph


@dataclass(frozen=True, eq=False)
class Export:
    """`avr` is None where an AVR runs the portable program too."""

    portable: Program
    avr: Program | None = None

    @property
    def graph(self) -> Graph:
        """What every program of it computes."""
        return self.portable.graph

    @property
    def kernel(self) -> str:
        """The kind of kernels, for people."""
        return PORTABLE if self.avr is None else self.avr.kind

    @property
    def on_avr(self) -> Program:
        """The program that an AVR runs."""
        return self.portable if self.avr is None else self.avr

    def on(self, board: Board) -> Program:
        """The program that `board` runs."""
        chosen = self.on_avr if board.chip.family is Family.AVR else self.portable
        return replace(chosen, chip=board.chip)

    @property
    def programs(self) -> tuple[Program, ...]:
        return (self.portable,) if self.avr is None else (self.avr, self.portable)

    @property
    def weights_crcs(self) -> tuple[int, ...]:
        """What READY may answer."""
        return tuple(program.crc for program in self.programs)

    @property
    def title(self) -> str:
        """The ops for people."""
        return title(self.graph)
