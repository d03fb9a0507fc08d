"""Every C file and every kind of rendered header without a warning, from three compilers and at two sizes of `int`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from firmware_build import FIXTURE_MODEL, LIB, ROOT, WARNINGS, compile_c
from needed import lacking, need

STRICT = [*WARNINGS, "-Wsign-conversion"]
INCLUDES = [f"-I{LIB / name}" for name in ("nn", "wire", "app")]
WIRE, APP, NN = (sorted((LIB / name).glob("*.c")) for name in ("wire", "app", "nn"))
SIM = sorted((ROOT / "firmware/sim").glob("*.c"))
FUZZ = sorted((ROOT / "firmware/fuzz").glob("*.c"))
AVR = [*sorted((LIB / "nn/avr").glob("*.c")), *sorted((ROOT / "firmware/src").glob("*_avr.c"))]
ON_AVR = ["-mmcu=atmega328p", "-Os", "-std=gnu99", "-DARDUINO=10812", "-DF_CPU=16000000L"]
COMPILERS = {"gcc": "gcc", "clang": "clang"}
NETS = ("int8", "float16", "float32", "conv")


def check(compiler: str, sources: list[Path], *flags: str | Path) -> None:
    """All in one call: -fsyntax-only, but with the warnings that only the optimiser finds, so it does compile."""
    compile_c([compiler, *STRICT, *flags, *INCLUDES, "-c", *sources])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Objects go where the compiler is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_core_on_a_pc(here: Path, compiler: str) -> None:
    sources = [*WIRE, *APP, *NN, ROOT / "firmware/src/native_main.c", *FUZZ]
    check(need(compiler, COMPILERS[compiler]), sources, "-std=c99", "-O2", f"-I{FIXTURE_MODEL}")


def test_the_core_and_the_board_on_an_avr(here: Path) -> None:
    check(need("avr-gcc", "gcc-avr avr-libc"), [*WIRE, *APP, *NN, *AVR], *ON_AVR, f"-I{FIXTURE_MODEL}")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_simulated_board(here: Path, compiler: str) -> None:
    path = need(compiler, COMPILERS[compiler])
    if not Path("/usr/include/simavr/sim_avr.h").exists():
        lacking("sim_avr.h: not found; apt install libsimavr-dev")
    check(path, SIM, "-std=c11", "-D_GNU_SOURCE", "-O2", "-isystem", "/usr/include/simavr")


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("profile", [[], ["-DMODEL_PROFILE"]], ids=["", "profiling"])
def test_rendered_headers(here: Path, rendered: dict[str, Path], net: str, profile: list[str]) -> None:
    source = [LIB / "app/app_net.c"]
    model = f"-I{rendered[net]}"
    check(need("gcc", "gcc"), source, "-std=c99", "-O2", model, *profile)
    check(need("clang", "clang"), source, "-std=c99", "-O2", model, *profile)
    check(need("avr-gcc", "gcc-avr avr-libc"), source, *ON_AVR, model, *profile)


def test_cppcheck_has_nothing_to_say(here: Path, rendered: dict[str, Path]) -> None:
    need("cppcheck", "cppcheck")
    command = [
        *("cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--std=c99", "--language=c"),
        *("--enable=warning,performance,portability", "--platform=avr8", "--suppress=missingIncludeSystem"),
        *(f"--suppressions-list={ROOT / 'tests/analysis/cppcheck.txt'}", *INCLUDES, f"-I{rendered['int8']}"),
        *map(str, [*WIRE, *APP, *NN, *FUZZ]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_clang_tidy_has_nothing_to_say(here: Path, rendered: dict[str, Path]) -> None:
    need("clang-tidy", "clang-tidy")
    sources = [*WIRE, *APP, *NN, ROOT / "firmware/src/native_main.c", *FUZZ]
    configuration = f"--config-file={ROOT / 'tests/analysis/clang-tidy.yaml'}"
    flags = ["-std=c99", *INCLUDES, f"-I{rendered['conv']}"]
    command = ["clang-tidy", "--quiet", configuration, *map(str, sources), "--", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "warning:" not in done.stdout, done.stdout
