"""Which outside tools are there: a list for `host doctor`."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from host.assets import asset_root
from host.errors import DigitduinoError
from host.link import avr_gcc
from host.link.build import build_simulator
from host.link.process import run_tool

_PACKAGES = {"gcc": "gcc", "make": "make", "avrdude": "avrdude"}
_REQUIRED = ("gcc", "make")
_PLATFORM = re.compile(r"^platform = platformio/(native|atmelavr)@([\d.]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Check:
    """One thing looked for. `detail` is where it is, or the command that brings it."""

    name: str
    ok: bool
    detail: str
    required: bool = True


def checks() -> list[Check]:
    """The programs, PlatformIO and what it builds with, and the simulated board."""
    found = []
    for program, packages in _PACKAGES.items():
        path = shutil.which(program)
        detail = path or f"`apt install {packages}`, or let PlatformIO download its own"
        found.append(Check(program, path is not None, detail, required=program in _REQUIRED))
    found += [_compiler_check(), *_platformio_checks()]
    try:
        found.append(Check("simulated board", True, str(build_simulator())))
    except DigitduinoError as error:
        found.append(Check("simulated board", False, str(error)))
    return found


def _compiler_check() -> Check:
    """PlatformIO's own platforms bring their avr-gcc, so that another is not required."""
    stand_ins = avr_gcc.has_stand_ins()
    try:
        compiler = avr_gcc.compiler()
    except DigitduinoError as error:
        return Check("avr-gcc", False, str(error))
    if compiler is None:
        detail = "`apt install gcc-avr avr-libc`, or let PlatformIO download its own"
        return Check("avr-gcc", False, detail, required=stand_ins)
    builds = "builds firmware" if stand_ins else "PlatformIO builds firmware with its own"
    return Check("avr-gcc", True, f"{compiler.version}, {compiler.path}; {builds}")


def _platformio_checks() -> Iterator[Check]:
    done = run_tool([sys.executable, "-m", "platformio", "--version"])
    if done.returncode:
        yield Check("PlatformIO", False, "`pip install platformio`, for the Python that runs `host`")
        return
    yield Check("PlatformIO", True, f"{done.stdout.strip().rpartition(' ')[2]}, {avr_gcc.core_directory()}")
    platforms = avr_gcc.core_directory() / "platforms"
    for name, version in _PLATFORM.findall((asset_root() / "platformio.ini").read_text(encoding="utf-8")):
        there = any(
            f'"version": "{version}"' in path.read_text(encoding="utf-8") for path in platforms.glob(f"*{name}*/.piopm")
        )
        detail = (
            f"{version}{', from the system' if avr_gcc.has_stand_ins() else ''}"
            if there
            else (f"{version} is not there; PlatformIO downloads it for the first build, or run `make setup`")
        )
        yield Check(f"platform {name}", there, detail, required=False)
