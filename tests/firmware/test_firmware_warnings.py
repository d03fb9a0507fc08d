"""Every C file compiles without a warning, on the PC and for AVR, at the sizes of `int` that each has."""

from __future__ import annotations

from pathlib import Path

import pytest
from firmware_build import CORE_FLAGS, CORE_SOURCES, FIXTURE_MODEL, ROOT, compile_c
from needed import need

SRC = ROOT / "firmware/src"
MCUS = ["atmega328p", "atmega168", "atmega1284p", "atmega2560"]


def without_standard(flags: list[str]) -> list[str]:
    return [flag for flag in flags if not flag.startswith("-std=")]


@pytest.mark.parametrize("optimisation", ["-O0", "-O2", "-Os"])
def test_pc(cc: str, tmp_path: Path, optimisation: str) -> None:
    for source in [*CORE_SOURCES, SRC / "native_main.c"]:
        compile_c([cc, optimisation, *CORE_FLAGS, f"-I{FIXTURE_MODEL}", "-c", source, "-o", tmp_path / "x.o"])


@pytest.mark.parametrize("mcu", MCUS)
def test_avr_core_in_strict_c99(tmp_path: Path, mcu: str) -> None:
    avr_gcc = need("avr-gcc", "gcc-avr avr-libc")
    flags = [f"-mmcu={mcu}", "-Os", *CORE_FLAGS, f"-I{FIXTURE_MODEL}"]
    for source in CORE_SOURCES:
        compile_c([avr_gcc, *flags, "-c", source, "-o", tmp_path / "x.o"])


@pytest.mark.parametrize("mcu", MCUS)
def test_avr_board_files(tmp_path: Path, mcu: str) -> None:
    avr_gcc = need("avr-gcc", "gcc-avr avr-libc")
    flags = [f"-mmcu={mcu}", "-Os", "-std=gnu99", "-DARDUINO=10812", "-DF_CPU=16000000L", *without_standard(CORE_FLAGS)]
    flags.append(f"-I{FIXTURE_MODEL}")
    for source in sorted(SRC.glob("*_avr.c")):
        compile_c([avr_gcc, *flags, "-c", source, "-o", tmp_path / "x.o"])


@pytest.mark.parametrize("flag", ["-DMODEL_PROFILE", "-DMODEL_TRACE", "-DWIRE_PORTABLE", "-DWIRE_CRC_FAST"])
def test_every_switch(cc: str, tmp_path: Path, flag: str) -> None:
    avr_gcc = need("avr-gcc", "gcc-avr avr-libc")
    for source in CORE_SOURCES:
        compile_c([cc, *CORE_FLAGS, flag, f"-I{FIXTURE_MODEL}", "-c", source, "-o", tmp_path / "x.o"])
        flags = ["-mmcu=atmega328p", "-Os", *CORE_FLAGS, flag, f"-I{FIXTURE_MODEL}"]
        compile_c([avr_gcc, *flags, "-c", source, "-o", tmp_path / "x.o"])
