"""How the tests compile the C core."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "firmware/lib"
FIXTURE_MODEL = Path(__file__).parent / "fixture_model"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Wvla", "-Werror"]
# -ffp-contract=off is part of the numerics, as in platformio.ini.
CORE_FLAGS = ["-std=c99", "-ffp-contract=off", *WARNINGS, *(f"-I{LIB / name}" for name in ("nn", "wire", "app"))]
CORE_SOURCES = sorted(path for name in ("nn", "wire", "app") for path in (LIB / name).glob("*.c"))


def need(tool: str, package: str) -> str:
    """Path of `tool`; without it the test is skipped, but fails in CI, where nothing may be skipped in silence."""
    path = shutil.which(tool)
    if path is None:
        message = f"{tool}: not found; apt install {package}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def make_simulators(build: Path, *programs: str) -> None:
    """The named programs of firmware/sim, or all, in `build`; without libsimavr the test goes as without a tool."""
    need("make", "make")
    command = ["make", "-s", "-C", str(ROOT / "firmware/sim"), f"BUILD={build}", f"CC={need('cc', 'gcc')}"]
    targets = [str(build / program) for program in programs]
    result = subprocess.run([*command, *targets], capture_output=True, text=True, check=False)
    if "libsimavr-dev" in result.stderr and not os.environ.get("CI"):
        pytest.skip(result.stderr.strip().splitlines()[0])
    assert result.returncode == 0, result.stderr


def compile_c(command: list[str | Path]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stderr}"
