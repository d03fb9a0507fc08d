"""How the tests compile the C core."""

from __future__ import annotations

import subprocess
from pathlib import Path

from needed import lacking, need

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "firmware/lib"
FIXTURE_MODEL = Path(__file__).parent / "fixture_model"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Wvla", "-Werror"]
# -ffp-contract=off is part of the numerics, as in platformio.ini.
CORE_FLAGS = ["-std=c99", "-ffp-contract=off", *WARNINGS, *(f"-I{LIB / name}" for name in ("nn", "wire", "app"))]
CORE_SOURCES = sorted(path for name in ("nn", "wire", "app") for path in (LIB / name).glob("*.c"))


def make_simulators(build: Path, *programs: str) -> None:
    """The named programs of firmware/sim, or all, in `build`; without libsimavr the test goes as without a tool."""
    need("make", "make")
    command = ["make", "-s", "-C", str(ROOT / "firmware/sim"), f"BUILD={build}", f"CC={need('cc', 'gcc')}"]
    targets = [str(build / program) for program in programs]
    result = subprocess.run([*command, *targets], capture_output=True, text=True, check=False)
    if "libsimavr-dev" in result.stderr:
        lacking(result.stderr.strip().splitlines()[0])
    assert result.returncode == 0, result.stderr


def compile_c(command: list[str | Path]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stderr}"
