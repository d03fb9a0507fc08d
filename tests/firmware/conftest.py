"""Builds the C core for the tests: once as a shared library for ctypes, once as the native program."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avr_machine import Machine
from firmware_build import CORE_FLAGS, CORE_SOURCES, FIXTURE_MODEL, ROOT, compile_c, make_simulators
from needed import need


@pytest.fixture(scope="session")
def cc() -> str:
    return need("cc", "gcc")


@pytest.fixture(scope="session")
def core(cc: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """nn, wire and app with the fixture model, and shim.c, which shows the tests what is private or a macro."""
    library = tmp_path_factory.mktemp("core") / "core.so"
    shim = Path(__file__).parent / "shim.c"
    sources = [f"-I{FIXTURE_MODEL}", shim, *CORE_SOURCES]
    compile_c([cc, "-O2", "-g", "-shared", "-fPIC", *CORE_FLAGS, *sources, "-o", library])
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="session")
def profiling_core(cc: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """As `core`, but it reads the clock behind each step of the inference."""
    library = tmp_path_factory.mktemp("profiling") / "core.so"
    sources = ["-DMODEL_PROFILE", f"-I{FIXTURE_MODEL}", Path(__file__).parent / "shim.c", *CORE_SOURCES]
    compile_c([cc, "-O2", "-g", "-shared", "-fPIC", *CORE_FLAGS, *sources, "-o", library])
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="session")
def native_program(cc: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native program, with the sanitizers on."""
    program = tmp_path_factory.mktemp("native") / "program"
    sanitize = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    main = ROOT / "firmware/src/native_main.c"
    compile_c([cc, "-O1", *sanitize, *CORE_FLAGS, f"-I{FIXTURE_MODEL}", main, *CORE_SOURCES, "-o", program])
    return program


@pytest.fixture(scope="session")
def cyclecount(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cycle counter of firmware/sim."""
    build = tmp_path_factory.mktemp("sim")
    make_simulators(build, "cyclecount")
    return build / "cyclecount"


@pytest.fixture(scope="module")
def machine(cyclecount: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Machine]:
    """`machine(blob, …)` is a simulated chip with the assembly kernels; the rest is as Machine has it."""
    need("avr-gcc", "gcc-avr avr-libc")

    def build(blob: bytes = b"\0", **options: Any) -> Machine:
        return Machine(tmp_path_factory.mktemp("machine"), cyclecount, blob, **options)

    return build
