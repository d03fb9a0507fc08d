"""Builds an export and runs it on a simulated board, for what the board tells of its memory and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import Board
from host.compile.export import Export
from host.link.boards import connect_board
from host.link.build import Built, build_firmware
from host.link.run import Outcome, identity, stream
from host.link.wire import DEFAULT_BAUD
from host.quantise.reference import infer

BAUD = 1_000_000


@dataclass(frozen=True)
class Measured:
    """Bytes as the linker placed them; mean cycles over the images, of the whole and in a profiling build of each part;
    the deepest stack in bytes."""

    flash: int
    ram_static: int
    cycles: float
    parts: tuple[float, ...]
    stack: int


class Workbench:
    """What `host verify` does, without the command, and with flags of the compiler's."""

    def check(
        self, exported: Export, board: Board, images: NDArray[np.uint8], flags: str = ""
    ) -> tuple[Built, Outcome]:
        """Run `images`; every class and score must be the reference's."""
        built = build_firmware(exported, board, flags=flags)
        baud = BAUD if board.counts_memory else DEFAULT_BAUD
        with connect_board(board, built) as line:
            outcome = stream(line.transport, [image.tobytes() for image in images], [identity(exported)], baud=baud)
        reference = infer(exported.graph, images)
        assert [result.predicted for result in outcome.results] == reference.classes.tolist()
        assert np.array_equal(np.array([result.scores for result in outcome.results], np.uint32), reference.words)
        return built, outcome

    def measure(self, exported: Export, board: Board, images: NDArray[np.uint8], flags: str = "") -> Measured:
        """What `check` shows of memory and time."""
        built, outcome = self.check(exported, board, images, flags)
        assert built.flash is not None and built.ram_static is not None and board.ram is not None
        return Measured(
            flash=built.flash,
            ram_static=built.ram_static,
            cycles=float(np.mean([result.ticks for result in outcome.results])),
            parts=tuple(np.mean(outcome.marks, axis=0).tolist()),
            stack=board.ram - built.ram_static - outcome.stats.stack_free,
        )
