"""Which outside tools are there: a list for `host doctor`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from host.errors import DigitduinoError
from host.link.build import build_simulator

_PACKAGES = {"gcc": "gcc", "make": "make", "avr-gcc": "gcc-avr avr-libc", "avrdude": "avrdude"}


@dataclass(frozen=True)
class Check:
    """One thing looked for. `detail` is where it is, or the command that brings it."""

    name: str
    ok: bool
    detail: str
    required: bool = True


def checks() -> list[Check]:
    """The programs and the simulated board. PlatformIO brings its own avr-gcc where its registry answers, so that and
    avrdude are not required."""
    found = []
    for program, packages in _PACKAGES.items():
        path = shutil.which(program)
        detail = path or f"`apt install {packages}`, or let PlatformIO download its own"
        found.append(Check(program, path is not None, detail, required=program in ("gcc", "make")))
    try:
        found.append(Check("simulated board", True, str(build_simulator())))
    except DigitduinoError as error:
        found.append(Check("simulated board", False, str(error)))
    return found
