"""Builds the firmware for an exported model in a private directory, and the simulated board; both cached by content.

PlatformIO does the building from the same platformio.ini and sources that a user builds by hand. A build appears in the
cache whole or not at all, so that two runs at once cannot see each other's halves.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from host.assets import asset_root
from host.cache import cache_directory
from host.compile.boards import Board
from host.compile.export import Export
from host.errors import InputError, ToolMissing
from host.link.project import stage_project

_PROGRAMS = ("firmware.elf", "firmware.hex", "program")
# Ends a build that hangs, never a slow one: it takes seconds on a desktop, minutes on the smallest computer.
_BUILD_TIMEOUT_S = 3600
_STOP_TIMEOUT_S = 5


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


def build_firmware(export: Export, board: Board, *, profile: bool = False) -> Built:
    """Compile `export` for `board`, or find it in the cache; with `profile` it times every layer. Raise ToolMissing or
    InputError with the compiler's words."""
    with _workspace("builds") as work:
        stage_project(export, work)
        final = work.parent / f"{board.environment}{'-profile' if profile else ''}-{_digest(work)}"
        if not final.is_dir():
            _run_platformio(work, board.environment, "-DMODEL_PROFILE" if profile else "")
            _publish(work / ".pio" / "build" / board.environment, _PROGRAMS, final)
    elf = final / "firmware.elf"
    return Built(final, *elf_sizes(elf)) if elf.exists() else Built(final, None, None)


def build_simulator() -> Path:
    """The path of `simboard`, compiled on first use. Raise ToolMissing where libsimavr or a compiler is missing."""
    sources = asset_root() / "firmware" / "sim"
    with _workspace("simulator") as work:
        final = work.parent / _digest(sources)
        if not final.is_dir():
            command = ["make", "-C", str(sources), f"BUILD={work}"]
            try:
                result = _run_tool(command)
            except FileNotFoundError as error:
                raise ToolMissing("simulated board: make is not installed; `apt install make gcc`") from error
            if result.returncode:
                raise ToolMissing(
                    f"simulated board: cannot be built: {_last_error(result)}; "
                    "`apt install gcc libsimavr-dev libelf-dev`"
                )
            _publish(work, ("simboard",), final)
    return final / "simboard"


def elf_sizes(elf: Path) -> tuple[int, int]:
    """(flash, static RAM) in bytes, as the linker placed them: .data counts for both."""
    flash = ram = 0
    with elf.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC or section.name in (".eeprom", ".fuse", ".lock"):
                continue
            stored = section["sh_type"] != "SHT_NOBITS"
            writable = bool(section["sh_flags"] & SH_FLAGS.SHF_WRITE)
            flash += section["sh_size"] if stored else 0
            ram += section["sh_size"] if writable else 0
    return flash, ram


def _run_platformio(project: Path, environment: str, flags: str) -> None:
    command = [sys.executable, "-m", "platformio", "run", "-s", "-d", str(project), "-e", environment]
    # PlatformIO takes its settings from PLATFORMIO_*; a user's build directory must not leak into the private one.
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(("PLATFORMIO_BUILD", "PLATFORMIO_SRC"))}
    surroundings["PLATFORMIO_BUILD_FLAGS"] = flags
    result = _run_tool(command, surroundings)
    if result.returncode == 0:
        return
    reason = _last_error(result)
    if "overflowed" in reason or "will not fit" in reason or "size is greater" in reason:
        raise InputError(f"{environment}: the firmware does not fit: {reason}; choose a smaller model or --format int8")
    raise ToolMissing(f"PlatformIO: {environment} cannot be built: {reason}; run `make setup`, then `host doctor`")


def _run_tool(command: list[str], surroundings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a build to its end. Where it must be broken off, its compilers end with it: they would go on writing into
    a directory that is being deleted."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings, start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=_BUILD_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            _end_group(process)
            raise ToolMissing(
                f"{Path(command[0]).name}: found no end after {error.timeout:.0f} s; run `make setup` and try again"
            ) from error
        except BaseException:
            _end_group(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _end_group(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT_S)


def _last_error(result: subprocess.CompletedProcess[str]) -> str:
    """The line of a failed build that says most: the first with `error`, else the last one."""
    lines = [line.strip() for line in (result.stderr + "\n" + result.stdout).splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "overflow" in line.lower()]
    return (telling or lines or ["no message"])[0 if telling else -1][:300]


@contextmanager
def _workspace(kind: str) -> Iterator[Path]:
    """A temporary directory inside the cache, so that a finished build can be moved into place."""
    parent = cache_directory() / kind
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


def _digest(directory: Path) -> str:
    state = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "build" not in path.relative_to(directory).parts[:-1]:
            state.update(path.relative_to(directory).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()[:24]
