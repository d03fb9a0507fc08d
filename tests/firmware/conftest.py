"""Builds the C core for the tests: once as a shared library for ctypes, once as the native program."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "firmware/lib"
FIXTURE_MODEL = Path(__file__).parent / "fixture_model"
WARNINGS = "-Wall -Wextra -Wconversion -Wshadow -Wdouble-promotion -Wvla -Werror".split()
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


def compile_c(command: list[str | Path]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stderr}"


@pytest.fixture(scope="session")
def cc() -> str:
    return need("cc", "gcc")


@pytest.fixture(scope="session")
def core(cc: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """nn, wire and app with the fixture model, and shim.c, which shows the tests what is private or a macro."""
    library = tmp_path_factory.mktemp("core") / "core.so"
    shim = Path(__file__).parent / "shim.c"
    compile_c([cc, "-O2", "-g", "-shared", "-fPIC", *CORE_FLAGS, f"-I{FIXTURE_MODEL}", shim, *CORE_SOURCES, "-o", library])
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="session")
def native_program(cc: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native program, with the sanitizers on."""
    program = tmp_path_factory.mktemp("native") / "program"
    sanitize = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    main = ROOT / "firmware/src/native_main.c"
    compile_c([cc, "-O1", *sanitize, *CORE_FLAGS, f"-I{FIXTURE_MODEL}", main, *CORE_SOURCES, "-o", program])
    return program
