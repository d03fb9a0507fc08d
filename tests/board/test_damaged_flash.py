"""The simulated Uno with one flipped bit in its flash is refused before the first image, and unharmed it passes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from host.compile.boards import BOARDS
from host.compile.export import Export
from host.compile.exports import plain_export
from host.errors import DeviceError
from host.link import wire
from host.link.boards import connect_board
from host.link.build import Built, build_firmware
from host.link.run import identity, stream
from host.nn.formats import WeightFormat

from networks import random_images, random_network  # isort: skip

FLIPS = 3


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
