"""Calls single AVR routines in the simulator: registers and memory in, memory, cycles and stack out."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from firmware_build import LIB, compile_c
from needed import need
from numpy.typing import NDArray

HERE = Path(__file__).parent
AVR = LIB / "nn/avr"
CALLS_A_RUN = 255
"""Each call is a region of its own, and there are so many."""
OVERHEAD_CYCLES = 4
"""What a region counts around the routine itself; see avr_call.S."""
RAM_BIT = 0x800000
"""What avr-gcc adds to the addresses of data."""
_ANSWER_BYTES = 3


@dataclass(frozen=True)
class Byte:
    """An argument of type uint8_t: the other half of its register pair holds anything."""

    value: int


@dataclass(frozen=True)
class Far:
    """An argument of type nn_far where that is no pointer: two register pairs."""

    value: int


Argument = int | Byte | Far


@dataclass(frozen=True)
class Call:
    """Write `memory` (address, bytes), call, read `wanted` (address, length) back. Arguments take a register pair each,
    from r25 downwards, but a Far two."""

    function: str
    arguments: tuple[Argument, ...]
    memory: tuple[tuple[int, bytes], ...] = ()
    wanted: tuple[tuple[int, int], ...] = ()

    @property
    def c_cycles(self) -> int:
        """What calling it from C adds: two registers for each argument, and CALL."""
        return 2 * len(self.arguments) + 4


CONVOLUTIONS = ("nn_avr_patch", "nn_avr_depth", "nn_avr_windows")
MONITOR = (HERE / "avr_monitor.c", HERE / "avr_call.S")
KERNELS = sorted(AVR.glob("*.S"))
FLAGS = ("-O2", "-std=gnu99", "-Wall", "-Wextra", "-Werror", f"-I{LIB / 'nn'}")


def _compiler() -> str:
    return need("avr-gcc", "gcc-avr avr-libc")


@functools.cache
def _compiled(source: Path, folder: Path, mcu: str, room_bytes: int) -> Path:
    """The object that all machines of this chip share, in a folder of this run's."""
    found = folder / f"{source.stem}-{mcu}-{room_bytes}.o"
    flags = (f"-mmcu={mcu}", *FLAGS, "-ffunction-sections", f"-DROOM_BYTES={room_bytes}")
    compile_c([_compiler(), *flags, "-c", source, "-o", found])
    return found


@dataclass(frozen=True)
class Answer:
    """`value` is r25:r24. `cycles` are those of the routine, RET included, and of a call from C, as docs/avr-kernels.md
    counts them; `stack` in bytes, the return address included."""

    value: int
    cycles: int
    stack: int
    memory: tuple[NDArray[np.uint8], ...] = field(repr=False)


class Machine:
    """A chip with the assembly kernels, `blob` in its flash, and what `sources` add. The convolutions may be
    left out: beside large blobs there is no room for them; with a `root` only what that function calls is in the
    program. `blob_at` is where in flash the blob shall lie."""

    def __init__(
        self,
        folder: Path,
        cyclecount: Path,
        blob: bytes = b"\0",
        sources: Sequence[Path] = (),
        has_convolutions: bool = True,
        mcu: str = "atmega328p",
        blob_at: int | None = None,
        room_bytes: int = 1500,
        root: str | None = None,
    ) -> None:
        self._cyclecount = cyclecount
        self._mcu = mcu
        self._folder = folder
        (folder / "blob.S").write_text(_blob_text(blob, ".progmem.data" if blob_at is None else ".blob"))
        flags = [f"-mmcu={mcu}", *FLAGS, f"-I{folder}"]
        if blob_at is not None:
            flags.append(f"-Wl,--section-start=.blob={blob_at:#x}")
        if root is not None:
            flags += ["-ffunction-sections", "-Wl,--gc-sections", "-Wl,-u,room", f"-Wl,-u,{root}"]
        kernels = [path for path in KERNELS if has_convolutions or not path.stem.startswith(CONVOLUTIONS)]
        parts = [_compiled(path, cyclecount.parent, mcu, room_bytes) for path in (*MONITOR, *kernels)]
        parts += [folder / "blob.S", *sources]
        self._elf = folder / "machine.elf"
        compile_c([_compiler(), *flags, *parts, "-lm", "-o", self._elf])
        with self._elf.open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            self._symbols = {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}

    @property
    def room(self) -> int:
        """RAM to work in: 1,500 bytes, or as many as were asked for."""
        return self._symbols["room"] - RAM_BIT

    @property
    def blob(self) -> int:
        """Where in flash the blob lies."""
        return self._symbols["blob"]

    def run(self, calls: Sequence[Call]) -> list[Answer]:
        """Each call's answer. Fails where a routine does not keep the registers that C wants kept."""
        answers = []
        for start in range(0, len(calls), CALLS_A_RUN):
            answers += self._run(calls[start : start + CALLS_A_RUN])
        return answers

    def _run(self, calls: Sequence[Call]) -> list[Answer]:
        given, taken = self._folder / "given", self._folder / "taken"
        given.write_bytes(b"".join(self._commands(call, region) for region, call in enumerate(calls, start=1)))
        command = [self._cyclecount, "--mcu", self._mcu, "--elf", self._elf, "--in", given, "--out", taken]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        regions, rest = json.loads(result.stdout)["regions"], np.frombuffer(taken.read_bytes(), np.uint8)
        answers = []
        for region, call in enumerate(calls, start=1):
            head, memory = rest[:_ANSWER_BYTES], []
            rest = rest[_ANSWER_BYTES:]
            assert head[2] == 0, f"{call.function}: left {head[2]} registers changed"
            for _, length in call.wanted:
                memory.append(rest[:length])
                rest = rest[length:]
            counted = regions[str(region)]
            cycles = counted["min"] - OVERHEAD_CYCLES + call.c_cycles
            answers.append(Answer(int(head[0]) | int(head[1]) << 8, cycles, counted["stack"], tuple(memory)))
        return answers

    def _commands(self, call: Call, region: int) -> bytes:
        # Whatever is no argument, or only half of one, is filled with something that is neither 0 nor always the same.
        registers = bytearray((7 * region + 37 * number) % 255 + 1 for number in range(2, 26))
        low = 24
        for argument in call.arguments:
            low -= 4 if isinstance(argument, Far) else 2
            value = argument if isinstance(argument, int) else argument.value
            registers[low] = value & 0xFF
            if not isinstance(argument, Byte):
                registers[low + 1] = value >> 8 & 0xFF
            if isinstance(argument, Far):
                registers[low + 2] = value >> 16 & 0xFF
                registers[low + 3] = value >> 24 & 0xFF
        function = self._symbols[call.function] // 2
        commands = b"".join(b"P" + _words(at, len(data)) + data for at, data in call.memory)
        commands += b"C" + bytes(registers) + _words(function) + bytes([region])
        return commands + b"".join(b"G" + _words(at, length) for at, length in call.wanted)


def _blob_text(blob: bytes, section: str) -> str:
    """In assembly: C knows no object of more than 32 KiB there."""
    lines = (".byte " + ", ".join(map(str, blob[at : at + 64])) for at in range(0, len(blob), 64))
    return "\n".join([f'.section {section}, "a", @progbits', ".global blob", "blob:", *lines, ".balign 2", ""])


def _words(*numbers: int) -> bytes:
    return np.array(numbers, "<u2").tobytes()
