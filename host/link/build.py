"""Builds the firmware for an exported model in a private directory, and the simulated board; both cached by content.

PlatformIO does the building, or decides how it is done (host/link/replay.py), from the same platformio.ini and sources
that a user builds by hand. A build appears in the cache whole or not at all, so that two runs at once cannot see each
other's halves.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.assets import asset_root
from host.cache import cache_directory, tree_digest
from host.compile.boards import Board
from host.compile.export import Export
from host.errors import InputError, ToolMissing
from host.link.elf import elf_sizes
from host.link.process import last_error, run_tool
from host.link.project import project_digest, stage_project
from host.link.replay import PROGRAMS, build, surroundings_digest


@dataclass(frozen=True)
class Built:
    """A built firmware; flash and ram_static in bytes, None for the native program."""

    directory: Path
    flash: int | None
    ram_static: int | None

    @property
    def program(self) -> Path:
        """The native executable, or the board's ELF file."""
        native = self.directory / "program"
        return native if native.exists() else self.directory / "firmware.elf"


def build_firmware(
    export: Export, board: Board, *, profile: bool = False, trace: bool = False, flags: str = ""
) -> Built:
    """Compile `export` for `board`, or find it in the cache; with `profile` it times every layer, with `trace` it can
    send what each puts out, and `flags` are handed to the compiler. Raise ToolMissing or InputError with the compiler's
    words."""
    wanted = " ".join([flags, *["-DMODEL_PROFILE"] * profile, *["-DMODEL_TRACE"] * trace]).strip()
    state = f"{project_digest(export)} {surroundings_digest()} {wanted}"
    final = cache_directory() / "builds" / f"{board.environment}-{hashlib.sha256(state.encode()).hexdigest()[:24]}"
    if not final.is_dir():
        with _workspace(final.parent) as work:
            stage_project(export, work)
            made = build(work, board.environment, wanted, cache_directory() / "objects")
            _publish(made, PROGRAMS, final)
    elf = final / "firmware.elf"
    return Built(final, *elf_sizes(elf)) if elf.exists() else Built(final, None, None)


def build_simulator() -> Path:
    """The path of `simboard`, compiled on first use. Raise ToolMissing where libsimavr or a compiler is missing."""
    sources = asset_root() / "firmware" / "sim"
    final = cache_directory() / "simulator" / tree_digest(sources)
    if not final.is_dir():
        with _workspace(final.parent) as work:
            command = ["make", "-C", str(sources), f"BUILD={work}"]
            try:
                result = run_tool(command)
            except FileNotFoundError as error:
                raise ToolMissing("simulated board: make is not installed; `apt install make gcc`") from error
            if result.returncode:
                raise ToolMissing(
                    f"simulated board: cannot be built: {last_error(result)}; "
                    "`apt install gcc libsimavr-dev libelf-dev`"
                )
            _publish(work, ("simboard",), final)
    return final / "simboard"


@contextmanager
def _workspace(parent: Path) -> Iterator[Path]:
    """A temporary directory inside the cache, so that a finished build can be moved into place."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=parent))
    except OSError as error:
        raise InputError(
            f"{parent}: cannot be written: {error.strerror}; set DIGITDUINO_CACHE to another place"
        ) from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _publish(source: Path, names: tuple[str, ...], final: Path) -> None:
    """Move the named files into `final`, which appears in one step; another run may have been faster."""
    gathered = Path(tempfile.mkdtemp(prefix=".made-", dir=final.parent))
    for name in names:
        if (source / name).exists():
            shutil.copy2(source / name, gathered / name)
    try:
        gathered.rename(final)
    except OSError:
        shutil.rmtree(gathered, ignore_errors=True)
        if not final.is_dir():
            raise
