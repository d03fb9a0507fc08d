"""A board that carries anything but the model asked for, whole, is refused before its first image."""

from __future__ import annotations

import _ctypes
import ctypes
import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from firmware_build import CORE_FLAGS, CORE_SOURCES, compile_c
from networks import random_images, random_network

from host.compile.export import Export
from host.compile.exports import formats, plain_export
from host.compile.render import write_headers
from host.errors import DeviceError, LinkError
from host.link import wire
from host.link.run import identity, stream
from host.nn.formats import WeightFormat

FLIPS = 1000
SHARED = [*CORE_FLAGS, "-O1", "-shared", "-fPIC"]


class ProcessTransport:
    """The C core in this process as a line; counts the images that reach it."""

    def __init__(self, board: ctypes.CDLL, change: Callable[[bytes], bytes] = lambda data: data) -> None:
        self._board, self._change = board, change
        self._answers = b""
        self.images = 0
        self.now = 0.0
        board.link_board_run.restype = ctypes.c_uint32
        board.link_board_run.argtypes = [ctypes.c_char_p, ctypes.c_uint16, ctypes.c_uint32]
        board.link_board_said.restype = ctypes.c_void_p
        board.link_board_reset(1)
        self._feed(b"")

    def read(self, timeout_s: float) -> bytes:
        if not self._answers:
            self.now += timeout_s
            self._feed(b"")
        answers, self._answers = self._answers, b""
        return answers

    def write(self, data: bytes) -> None:
        for piece in wire.FrameSplitter().feed(data):
            self.images += wire.decode(piece).type is wire.MessageType.IMAGE
        self._feed(data)

    def set_baud(self, baud: int) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...

    def _feed(self, data: bytes) -> None:
        said = self._board.link_board_run(data, len(data), int(self.now * 1e6) & 0xFFFFFFFF)
        self._answers += self._change(ctypes.string_at(self._board.link_board_said(), said))


def on_each_ready(**changes: object) -> Callable[[bytes], bytes]:
    """What the board says, with other values in READY."""

    def change(said: bytes) -> bytes:
        out = b""
        for piece in wire.FrameSplitter().feed(said):
            frame = wire.decode(piece)
            if frame.type is wire.MessageType.READY:
                ready = dataclasses.replace(wire.Ready.unpack(frame.payload), **changes)  # type: ignore[arg-type]
                frame = dataclasses.replace(frame, payload=ready.pack())
            out += wire.encode(frame)
        return out

    return change


@dataclasses.dataclass
class Core:
    """An export and the shared library that carries it."""

    export: Export
    library: Path

    def verify(self, library: Path, change: Callable[[bytes], bytes] = lambda data: data) -> ProcessTransport:
        """Stream three digits; the transport hangs on the error that ends it."""
        board = ctypes.CDLL(str(library))
        line = ProcessTransport(board, change)
        try:
            images = [image.tobytes() for image in random_images(count=3)]
            stream(line, images, [identity(self.export)], clock=lambda: line.now)
        except LinkError as error:
            error.line = line  # type: ignore[attr-defined]
            raise
        finally:
            _ctypes.dlclose(board._handle)
        return line


@pytest.fixture(scope="module")
def core(cc: str, tmp_path_factory: pytest.TempPathFactory) -> Core:
    folder = tmp_path_factory.mktemp("core")
    export = plain_export(random_network(), WeightFormat.INT8)
    write_headers(export, folder)
    library = folder / "board.so"
    board = Path(__file__).with_name("link_board.c")
    compile_c([cc, *SHARED, f"-I{folder}", board, *CORE_SOURCES, "-o", library])
    return Core(export, library)


def test_the_whole_board_is_accepted(core: Core) -> None:
    assert core.verify(core.library).images == 3


def test_each_of_a_thousand_flipped_bits_in_its_flash_is_refused_before_the_first_image(
    core: Core, tmp_path: Path
) -> None:
    whole = core.library.read_bytes()
    rom = core.export.portable.rom
    assert whole.count(rom) == 1, "the weights do not lie in the program as planned"
    start = whole.index(rom)
    dice = random.Random(4)
    for flip in range(FLIPS):
        bit = dice.randrange(8 * len(rom))
        hurt = bytearray(whole)
        hurt[start + bit // 8] ^= 1 << bit % 8
        library = tmp_path / f"{flip}.so"
        library.write_bytes(hurt)
        with pytest.raises(DeviceError, match="CRC of the weights in flash: found") as caught:
            core.verify(library)
        assert caught.value.exit_code == 3
        assert caught.value.line.images == 0, f"bit {bit}"  # type: ignore[attr-defined]
        library.unlink()


def test_a_flipped_bit_in_each_byte_of_what_a_step_is_told_is_refused_before_the_first_image(
    core: Core, tmp_path: Path
) -> None:
    whole, dice, flips = core.library.read_bytes(), random.Random(5), 0
    for place, start in descriptions(core.library).items():
        description = dict(core.export.portable.described)[int(place.removeprefix("model_stage"))]
        count = len(description.bytes)
        assert whole[start : start + count] == description.bytes
        for at in range(count):
            hurt = bytearray(whole)
            hurt[start + at] ^= 1 << dice.randrange(8)
            library = tmp_path / f"{place}-{at}.so"
            library.write_bytes(hurt)
            with pytest.raises(DeviceError, match="CRC of the weights in flash: found") as caught:
                core.verify(library)
            assert caught.value.line.images == 0, (place, at)  # type: ignore[attr-defined]
            library.unlink()
            flips += 1
    assert flips == sum(len(description.bytes) for _, description in core.export.portable.described) == 23


def descriptions(library: Path) -> dict[str, int]:
    """Where in the file each stage's description begins."""
    with library.open("rb") as file:
        elf = ELFFile(file)
        found = {}
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol.name.startswith("model_stage"):
                section = elf.get_section(symbol["st_shndx"])
                found[symbol.name] = section["sh_offset"] + symbol["st_value"] - section["sh_addr"]
        return found


REFUSALS: dict[str, tuple[dict[str, object], str]] = {
    "another model": ({"model_hash": bytes(8)}, "model: found 0000000000000000, need"),
    "another CRC": ({"weights_crc": 1}, "CRC of the weights in flash: found 00000001"),
    "another height": ({"height": 9}, "height, width, classes, format: found"),
    "another width": ({"width": 16}, "height, width, classes, format: found"),
    "other classes": ({"classes": 10}, "height, width, classes, format: found"),
    "another format": ({"format": 0}, "height, width, classes, format: found"),
    "no format": ({"format": 255}, "height, width, classes, format: found"),
    "a newer protocol": ({"protocol": wire.PROTOCOL_VERSION + 1}, "protocol: found version 3, need 2"),
    "an older protocol": ({"protocol": 1}, "protocol: found version 1, need 2"),
    "no slots": ({"slots": 0}, "found 0 slots"),
    "no clock": ({"tick_hz": 0}, "0 ticks/s"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_wrong_board_is_refused_before_the_first_image(core: Core, case: str) -> None:
    changes, words = REFUSALS[case]
    with pytest.raises(DeviceError, match=words) as caught:
        core.verify(core.library, on_each_ready(**changes))
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value) and ";" in str(caught.value)
    assert caught.value.line.images == 0  # type: ignore[attr-defined]


def test_a_board_that_turns_into_another_one_in_mid_run_gets_no_further_image(core: Core) -> None:
    """As where somebody swaps the board on the cable: READY unasked, then another model."""
    line: list[ProcessTransport] = []

    class Swapped(ProcessTransport):
        def write(self, data: bytes) -> None:
            super().write(data)
            if self.images == 2 and not line:
                line.append(self)
                self._change = on_each_ready(model_hash=b"another!")
                self._board.link_board_reset(1)
                self._answers = b""
                self._feed(b"")

    board = ctypes.CDLL(str(core.library))
    swapped = Swapped(board)
    results = []
    with pytest.raises(DeviceError, match="model: found 616e6f7468657221"):
        stream(
            swapped,
            [image.tobytes() for image in random_images(count=9)],
            [identity(core.export)],
            clock=lambda: swapped.now,
            progress=lambda done, total: results.append(done),
        )
    assert line and swapped.images == 2 and len(results) == 1


def test_identities_of_all_exports_of_one_network_differ() -> None:
    network = random_network()
    found = [identity(plain_export(network, fmt)) for fmt in formats(network)]
    assert len({one.model_hash for one in found}) == len(found) == len(WeightFormat)
    assert all(one.weights_crcs for one in found)
