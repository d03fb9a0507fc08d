"""Machine code of the AVR instructions that compiled weights use, so that the host knows the bytes which lie in flash
without any toolchain. Encodings: AVR Instruction Set Manual (Microchip DS40002198). A test compares with avr-gcc's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from host.compile.kernels.unrolled.avr_ops import Op

# Two registers, five bits each: oooo oord dddd rrrr
_TWO_REGISTERS = {"add": 0x0C00, "adc": 0x1C00, "sub": 0x1800, "sbc": 0x0800, "mov": 0x2C00, "mul": 0x9C00,
                  "cp": 0x1400, "cpc": 0x0400, "cpse": 0x1000, "eor": 0x2400, "and": 0x2000, "or": 0x2800}  # fmt: skip
# The same register twice under a name of its own.
_ALIASES = {"lsl": "add", "rol": "adc", "clr": "eor", "tst": "and"}
# One register: oooo oood dddd oooo
_ONE_REGISTER = {"push": 0x920F, "pop": 0x900F, "lsr": 0x9406}
# A register of r16..r31 and a byte: oooo KKKK dddd KKKK
_IMMEDIATE = {"ldi": 0xE000, "subi": 0x5000, "sbci": 0x4000}
# A register pair and six bits: oooo oooo KKdd KKKK
_PAIR_IMMEDIATE = {"sbiw": 0x9700}
# A condition and a signed distance in words: oooo ookk kkkk ksss
_BRANCHES = {"breq": 0xF001, "brmi": 0xF002, "brsh": 0xF400, "brge": 0xF404}


def machine_code(ops: Iterable[Op]) -> bytes:
    """The bytes of `ops` in flash order. Labels are resolved among `ops`."""
    ops = list(ops)
    places: dict[str, int] = {}
    at = 0
    for op in ops:
        if op.text.endswith(":"):
            places[op.text[:-1]] = at
        at += op.words
    code = bytearray()
    for op in ops:
        if not op.text.endswith(":"):
            code += (_word(op.text) | _branch(op.text, len(code) // 2, places)).to_bytes(2, "little")
    return bytes(code)


@cache
def _word(text: str) -> int:
    """An instruction's, of a branch without its distance. There are some thousands, and each stands many times."""
    name, _, rest = text.partition(" ")
    operands = [operand.strip() for operand in rest.split(",")] if rest else []
    if name in _ALIASES:
        name, operands = _ALIASES[name], [operands[0], operands[0]]
    if name in _TWO_REGISTERS:
        to, source = map(_register, operands)
        return _TWO_REGISTERS[name] | (source & 0x10) << 5 | to << 4 | (source & 0x0F)
    if name in _ONE_REGISTER:
        return _ONE_REGISTER[name] | _register(operands[0]) << 4
    if name in _IMMEDIATE:
        value = _byte(operands[1])
        return _IMMEDIATE[name] | (value & 0xF0) << 4 | (_register(operands[0]) - 16) << 4 | (value & 0x0F)
    if name in _PAIR_IMMEDIATE:
        value = int(operands[1])
        return _PAIR_IMMEDIATE[name] | (value & 0x30) << 2 | (_register(operands[0]) - 24) // 2 << 4 | (value & 0x0F)
    if name in _BRANCHES:
        return _BRANCHES[name]
    if name == "movw":
        to, source = map(_register, operands)
        return 0x0100 | to // 2 << 4 | source // 2
    if name == "sbrc":
        return 0xFC00 | _register(operands[0]) << 4 | int(operands[1])
    if name in ("ldd", "std"):
        register, pointer = operands if name == "ldd" else operands[::-1]
        offset = int(pointer.removeprefix("Z+"))
        store = 0x0200 if name == "std" else 0
        return 0x8000 | store | (offset & 0x20) << 8 | (offset & 0x18) << 7 | _register(register) << 4 | (offset & 0x07)
    if text.startswith("st Z+,"):
        return 0x9201 | _register(operands[1]) << 4
    if text == "ret":
        return 0x9508
    raise AssertionError(f"unknown instruction {text!r}")


def _register(text: str) -> int:
    return int(text.removeprefix("r"))


def _byte(text: str) -> int:
    """A literal, or lo8(n) and hi8(n) as the assembler understands them."""
    half = re.fullmatch(r"(lo8|hi8)\((-?-?\d+)\)", text)
    if half is None:
        return int(text) & 0xFF
    value = int(half[2].replace("--", "")) & 0xFFFF
    return value & 0xFF if half[1] == "lo8" else value >> 8


def _branch(text: str, at: int, places: dict[str, int]) -> int:
    """The distance of a branch in its place: words from the instruction after it to its target, a label or .+bytes."""
    name, _, target = text.partition(" ")
    if name not in _BRANCHES:
        return 0
    distance = int(target[2:]) // 2 if target.startswith(".+") else places[target] - at - 1
    return (distance & 0x7F) << 3
