"""The codec compiled for AVR and simulated: the same bits as on the PC, in the cycles that its headers name."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_build import LIB
from needed import need

from host.errors import FrameError
from host.link import wire
from host.link.wire import Frame, MessageType

Count = Callable[..., "subprocess.CompletedProcess[str]"]
WIRE = LIB / "wire"
PROGRAMS = Path(__file__).parent / "programs"
SWITCHES = ["", "-DWIRE_CRC_FAST", "-DWIRE_PORTABLE"]
IMAGE_BYTES = 256
REQUEST_BYTES = 5
FRAME, BROKEN = 1, 2

# (the CRC, a byte inside a block, a block that stands for a zero), as the headers of the assembly say.
CYCLES = {"": (51, 58, 62), "-DWIRE_CRC_FAST": (27, 34, 38)}
CALL_CYCLES = 80
"""More than a call of either routine costs beside its bytes."""


def build(folder: Path, switch: str, mcu: str) -> Path:
    elf = folder / f"wire_vectors{switch}.elf"
    sources = [PROGRAMS / "wire_vectors.c", *sorted(WIRE.glob("*.c")), *sorted(WIRE.glob("avr/*.S"))]
    flags = [f"-mmcu={mcu}", "-Os", "-std=gnu99", f"-I{WIRE}", *filter(None, [switch])]
    command = [need("avr-gcc", "gcc-avr avr-libc"), *flags, *map(str, sources), "-o", str(elf)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return elf


def stream(seed: int) -> bytes:
    """Frames good and bad, in between garbage, ended by a delimiter."""
    dice = random.Random(seed)
    out = bytearray()
    for _ in range(60):
        size = dice.choice([0, 1, 4, 5, 6, 200, 255, 256, 256, 256, 257, 300])
        zeros = dice.choice([0, 0, 0.1, 0.7, 1])
        payload = bytes(0 if dice.random() < zeros else dice.randrange(256) for _ in range(size))
        line = bytearray(wire.encode(Frame(dice.choice(list(MessageType)), dice.randrange(256), payload)))
        for _ in range(dice.choice([0, 0, 0, 1, 2])):
            line[dice.randrange(len(line))] = dice.choice([0, 1, 255, dice.randrange(256)])
        out += line[: dice.choice([len(line)] * 4 + [dice.randrange(len(line))])]
        out += dice.randbytes(dice.choice([0, 0, 0, 1, 30]))
    return bytes(out) + wire.DELIMITER


def expected(data: bytes) -> bytes:
    out = bytearray()
    for piece in wire.FrameSplitter(0xFFFF).feed(data):
        try:
            raw = wire.cobs_decode(piece)
        except FrameError:
            raw = b""
        if len(raw) < 6 or zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little"):
            out.append(BROKEN)
            continue
        payload = raw[2:-4]
        kept = payload[: IMAGE_BYTES if raw[0] == MessageType.IMAGE else REQUEST_BYTES]
        out += struct.pack("<BBBHI", FRAME, raw[0], raw[1], len(payload), zlib.crc32(kept))
    return bytes(out)


def pieces(data: bytes, seed: int) -> bytes:
    """As the program takes them: each with its length in front."""
    dice = random.Random(seed)
    out = bytearray()
    while data:
        size = min(len(data), dice.choice([1, 2, 7, 64, 255]))
        out += bytes([size]) + data[:size]
        data = data[size:]
    return bytes(out)


@pytest.mark.parametrize("mcu", ["atmega328p", "atmega2560"])
@pytest.mark.parametrize("switch", SWITCHES)
def test_avr_and_pc_agree_on_any_stream(count: Count, tmp_path: Path, switch: str, mcu: str) -> None:
    elf = build(tmp_path, switch, mcu)
    for seed in range(6):
        data = stream(seed)
        (tmp_path / "in").write_bytes(pieces(data, seed))
        result = count(elf, "--in", tmp_path / "in", "--out", tmp_path / "out", mcu=mcu)
        assert result.returncode == 0, result.stderr
        answer = expected(data)
        assert answer.count(FRAME) > 10 and (tmp_path / "out").read_bytes() == answer


@pytest.mark.parametrize("switch", CYCLES)
def test_the_assembly_takes_the_cycles_that_it_names(count: Count, tmp_path: Path, switch: str) -> None:
    result = json.loads(count(build(tmp_path, switch, "atmega328p")).stdout)
    for region, count_bytes, cycles in zip("123", (256, 200, 200), CYCLES[switch], strict=True):
        assert 0 < result["regions"][region]["mean"] - count_bytes * cycles < CALL_CYCLES, region
