"""The simulated Uno with one flipped bit in its flash is refused before the first image, and unharmed it passes.

A bit of one byte of each step's description is flipped, or with DIGITDUINO_EVERY_BYTE=1 of each byte."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from host.compile.boards import BOARDS
from host.compile.export import Export
from host.compile.exports import plain_export
from host.compile.select import choose
from host.errors import DeviceError, LinkError
from host.link import wire
from host.link.boards import connect_board
from host.link.build import Built, build_firmware
from host.link.run import identity, stream
from host.link.timing import Timing
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.nn.network import Network
from host.quantise.lower import lower
from host.quantise.probes import probes
from host.report.probes import compare_probes

from networks import network_of, random_images, random_network  # isort: skip

FLIPS = 3
EVERY_BYTE = bool(os.environ.get("DIGITDUINO_EVERY_BYTE"))
IN_FRONT = (*preconv_layers(63), Flatten(), Dense(12), ReLU())
DESCRIBED = {
    "front end": (IN_FRONT, "asm"),
    "weights as code": (IN_FRONT, "unrolled"),
    "convolution": ((Conv2d(7, 3), ReLU(), MaxPool2d(), Flatten()), "asm"),
    "portable pools": ("pools", "portable"),
}
"""Layers, and the kernels that run them."""
HASTY = Timing(reply_s=1.0, tries=2, resets=2, regreetings=3)


@pytest.fixture(scope="module")
def firmware() -> tuple[Export, Built]:
    exported = plain_export(random_network(), WeightFormat.INT8)
    return exported, build_firmware(exported, BOARDS["uno"])


def measure(exported: Export, program: Path) -> tuple[int, int]:
    """(digits done, image frames sent)."""
    sent = 0
    with connect_board(BOARDS["uno"], Built(program.parent, 0, 0)) as line:
        write = line.transport.write

        def count(data: bytes) -> None:
            nonlocal sent
            for piece in wire.FrameSplitter().feed(data):
                sent += wire.decode(piece).type is wire.MessageType.IMAGE
            write(data)

        line.transport.write = count  # type: ignore[method-assign]
        try:
            images = [image.tobytes() for image in random_images(count=3)]
            return len(stream(line.transport, images, [identity(exported)]).results), sent
        except DeviceError as error:
            error.sent = sent  # type: ignore[attr-defined]
            raise


def test_a_flipped_bit_in_the_flash_of_a_simulated_uno(firmware: tuple[Export, Built], tmp_path: Path) -> None:
    exported, built = firmware
    whole = built.program.read_bytes()
    rom = exported.portable.rom
    assert whole.count(rom) == 1
    start = whole.index(rom)
    with built.program.open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        assert text["sh_offset"] <= start < text["sh_offset"] + text["sh_size"], "the weights are not in flash"
    program = tmp_path / "firmware.elf"
    program.write_bytes(whole)
    assert measure(exported, program) == (3, 3)
    dice = random.Random(6)
    for _ in range(FLIPS):
        bit = dice.randrange(8 * len(rom))
        hurt = bytearray(whole)
        hurt[start + bit // 8] ^= 1 << bit % 8
        program.write_bytes(hurt)
        with pytest.raises(DeviceError, match="CRC of the weights in flash: found") as caught:
            measure(exported, program)
        assert caught.value.sent == 0  # type: ignore[attr-defined]


def described(name: str) -> Export:
    layers, kernel = DESCRIBED[name]
    network: Network = network_of(layers)
    return choose(
        lower(network, WeightFormat.INT8, top=network.top if layers is IN_FRONT else 255), BOARDS["uno"], kernel
    )


def places(program: Path) -> dict[str, tuple[int, int]]:
    """(offset in the file, bytes) of each object of the model's by name."""
    with program.open("rb") as file:
        elf = ELFFile(file)
        text = elf.get_section_by_name(".text")
        found = {}
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol.name.startswith(("model_stage", "model_descriptions")):
                at = text["sh_offset"] + symbol["st_value"] - text["sh_addr"]
                found[symbol.name.partition(".")[0]] = (at, symbol["st_size"])
        return found


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_flipped_bit_in_what_a_step_is_told(name: str, tmp_path: Path) -> None:
    export = described(name)
    built = build_firmware(export, BOARDS["uno"])
    whole, dice, program = built.program.read_bytes(), random.Random(7), tmp_path / "firmware.elf"
    found = places(built.program)
    told = {f"model_stage{index}": description.bytes for index, description in export.on_avr.described}
    assert set(found) == {"model_descriptions", *told}
    for place, (start, size) in found.items():
        count = len(told.get(place, bytes(size)))
        assert whole[start : start + count] == told.get(place, whole[start : start + size])
        for at in range(count) if EVERY_BYTE else [dice.randrange(count)]:
            program.write_bytes(flipped(whole, start + at, dice.randrange(8)))
            with pytest.raises(DeviceError, match="CRC of the weights in flash: found") as caught:
                measure(export, program)
            assert caught.value.sent == 0, (place, at)  # type: ignore[attr-defined]


@pytest.mark.skipif(not EVERY_BYTE, reason="one of each kind shows in the other tests; DIGITDUINO_EVERY_BYTE=1")
def test_a_flipped_bit_in_the_address_of_a_routine_is_harmless_or_caught(tmp_path: Path) -> None:
    """It is no number, and the CRC leaves it out."""
    export = described("convolution")
    built = build_firmware(export, BOARDS["uno"])
    (_, description), *_ = export.on_avr.described
    start, size = places(built.program)["model_stage0"]
    whole, program = built.program.read_bytes(), tmp_path / "firmware.elf"
    caught = 0
    for at in range(len(description.bytes), size):
        for bit in range(8):
            program.write_bytes(flipped(whole, start + at, bit))
            caught += not all_probes_agree(export, program)
    assert caught > 8


def flipped(whole: bytes, at: int, bit: int) -> bytes:
    hurt = bytearray(whole)
    hurt[at] ^= 1 << bit
    return bytes(hurt)


def all_probes_agree(export: Export, program: Path) -> bool:
    first = [image.tobytes() for image in probes(export.graph).images]
    try:
        with connect_board(BOARDS["uno"], Built(program.parent, 0, 0)) as line:
            answers = stream(line.transport, [], [identity(export)], first=lambda _: first, timing=HASTY).probes
    except LinkError:
        return False
    return compare_probes(export.graph, answers).agrees
