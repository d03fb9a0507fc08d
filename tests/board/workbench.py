"""Builds plan after plan in one PlatformIO project, so that Arduino's own files compile once, and runs each on a
simulated board."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from host.deploy.plan import Plan
from host.deploy.reference import infer
from numpy.typing import NDArray
from patience import LIMIT_S

from host.compile.boards import Board
from host.compile.render import write_headers
from host.link.boards import connect_board
from host.link.build import Built, elf_sizes
from host.link.project import stage_project
from host.link.run import identity, stream

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
    """One project below `folder` for each board and set of compiler flags."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, planned: Plan, board: Board, flags: str = "") -> Built:
        """Render and compile; the program stays until the next build with the same board and flags."""
        project = self._folder / f"{board.name}{flags}"
        if project.exists():
            write_headers(planned, project / "firmware/model")
        else:
            stage_project(planned, project)
        command = [sys.executable, "-m", "platformio", "run", "-s", "-d", str(project), "-e", board.environment]
        environment = {**os.environ, "PLATFORMIO_BUILD_FLAGS": flags}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S)
        assert result.returncode == 0, result.stdout + result.stderr
        made = project / ".pio/build" / board.environment
        if not board.is_avr:
            return Built(made, None, None)
        # What a build directory of ours holds, and nothing of the objects beside it.
        final = project / "made"
        final.mkdir(exist_ok=True)
        shutil.copy2(made / "firmware.elf", final / "firmware.elf")
        return Built(final, *elf_sizes(final / "firmware.elf"))

    def measure(self, planned: Plan, board: Board, images: NDArray[np.uint8], flags: str = "") -> Measured:
        """Run `images`; every class and score must be the reference's."""
        built = self.build(planned, board, flags)
        with connect_board(board, built) as line:
            outcome = stream(line.transport, [image.tobytes() for image in images], [identity(planned)], baud=BAUD)
        reference = infer(planned.net, images)
        assert [result.predicted for result in outcome.results] == reference.classes.tolist()
        assert np.array_equal(np.array([result.scores for result in outcome.results], np.uint32), reference.words)
        assert built.flash is not None and built.ram_static is not None
        return Measured(
            flash=built.flash,
            ram_static=built.ram_static,
            cycles=float(np.mean([result.ticks for result in outcome.results])),
            parts=tuple(np.mean(outcome.marks, axis=0).tolist()),
            stack=board.ram - built.ram_static - outcome.stats.stack_free,
        )
