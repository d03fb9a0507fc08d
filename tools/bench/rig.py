"""Compiles a contender with avr-gcc and counts its cycles in the simulator. Knows no network and no table."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError, ToolMissing
from host.link.elf import elf_sizes

ROOT = Path(__file__).resolve().parents[2]
FLAGS = ("-O2", "-std=gnu99", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")
"""The same for all. At the end comes -lm, without which gcc takes its own float routines, several times slower."""
MAX_CYCLES = 20_000_000_000
WHOLE, DENSE = "1", "2"
"""Regions, as bench.h numbers them."""


class DoesNotBuild(Exception):
    """The compiler's or linker's own words."""


@dataclass(frozen=True)
class Program:
    """A linked test program; sizes in bytes, the frame that feeds it included."""

    elf: Path
    mcu: str
    flash: int
    ram_static: int


@dataclass(frozen=True)
class Region:
    """Cycles of one marked region over all digits."""

    mean: float
    max: int


@dataclass(frozen=True)
class Count:
    """One run: the classes it answered, its regions by number, the deepest stack in bytes."""

    classes: NDArray[np.uint8]
    regions: dict[str, Region]
    stack: int


class Rig:
    """The toolchain and the simulator; everything that is built lies below `work`."""

    def __init__(self, work: Path) -> None:
        """Raises ToolMissing with the package to install."""
        self.work = work
        self._gcc = _tool("avr-gcc", "gcc-avr avr-libc")
        self._counter = _build_counter(work / "sim")

    @property
    def compiler(self) -> str:
        """The compiler's own name and version."""
        return _run([self._gcc, "--version"]).stdout.splitlines()[0]

    def build(self, name: str, sources: list[Path], includes: list[Path], mcu: str, defines: list[str]) -> Program:
        """Raises DoesNotBuild with the reason."""
        elf = self.work / f"{name}.elf"
        folders = [f"-I{path}" for path in includes]
        macros = [f"-D{define}" for define in defines]
        result = _run([self._gcc, f"-mmcu={mcu}", *FLAGS, *macros, *folders, *sources, "-lm", "-o", elf])
        if result.returncode:
            raise DoesNotBuild(_reason(result.stderr, str(elf)))
        return Program(elf, mcu, *elf_sizes(elf))

    def count(self, program: Program, inputs: NDArray[np.uint8]) -> Count:
        """Run `program` over inputs (N, bytes). Raises InputError where it crashes or answers too little."""
        given, taken = program.elf.with_suffix(".in"), program.elf.with_suffix(".out")
        given.write_bytes(inputs.tobytes())
        options = ["--in", given, "--out", taken, "--max-cycles", MAX_CYCLES]
        result = _run([self._counter, "--mcu", program.mcu, "--elf", program.elf, *options])
        if result.returncode:
            raise InputError(f"{program.elf.name}: {result.stderr.strip()}")
        answer = json.loads(result.stdout)
        classes = np.frombuffer(taken.read_bytes(), np.uint8)
        if len(classes) != len(inputs):
            raise InputError(f"{program.elf.name}: classes: found {len(classes)}, need {len(inputs)}; look at its main")
        regions = {number: Region(region["mean"], region["max"]) for number, region in answer["regions"].items()}
        return Count(classes, regions, answer["stack_max"])


def _build_counter(folder: Path) -> Path:
    result = _run([_tool("make", "make"), "-s", "-C", ROOT / "firmware/sim", f"BUILD={folder}", f"{folder}/cyclecount"])
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        raise ToolMissing(f"cyclecount: cannot be built: {lines[0] if lines else 'no message'}; run `make setup`")
    return folder / "cyclecount"


def _tool(name: str, packages: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ToolMissing(f"{name}: not found; `apt install {packages}`")
    return path


def _run(command: list[object]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def _reason(errors: str, elf: str) -> str:
    """The first line that says what is wrong, without paths of this machine."""
    telling = [line for line in errors.splitlines() if "error" in line or "region" in line or "undefined" in line]
    line = (telling or errors.splitlines() or ["no message"])[0]
    return line.replace(elf, Path(elf).name).rpartition("ld: ")[2].strip()
