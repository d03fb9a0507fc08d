"""The C codec against host.link.wire: the same golden frames, the same verdict on every stream of bytes."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import FrameError
from host.link import wire

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = json.loads((ROOT / "tests/golden/wire_frames.json").read_text())
SEEN = ctypes.CFUNCTYPE(
    None, ctypes.c_int, ctypes.c_uint8, ctypes.c_uint8, ctypes.POINTER(ctypes.c_uint8), ctypes.c_uint16
)
FRAME = 1
IMAGE_BYTES = 784


@dataclass(frozen=True)
class Seen:
    """One frame as C saw it; `payload` is what fitted its place, `length` what came."""

    type: int
    sequence: int
    payload: bytes
    length: int


def decode(
    core: ctypes.CDLL, line: bytes, slot_bytes: int = IMAGE_BYTES, piece_bytes: int = 0xFFFF
) -> list[Seen | None]:
    """The frames that C finds in `line`, handed over in pieces; None stands for a broken one."""
    found: list[Seen | None] = []
    slot = (ctypes.c_uint8 * (slot_bytes + 4))()
    slot[:] = [0xA5] * len(slot)

    def seen(event: int, kind: int, sequence: int, payload: ctypes._Pointer[ctypes.c_uint8], length: int) -> None:
        if event != FRAME:
            found.append(None)
            return
        room = slot_bytes if kind == wire.MessageType.IMAGE else 5
        kept = bytes(payload[: min(length, room)]) if payload else b""
        found.append(Seen(kind, sequence, kept, length))

    core.shim_decode(line, ctypes.c_size_t(len(line)), slot, slot_bytes, piece_bytes, SEEN(seen))
    assert bytes(slot[-4:]) == b"\xa5" * 4, "wrote past the slot"
    return found


def encode(core: ctypes.CDLL, kind: int, sequence: int, payload: bytes) -> bytes:
    core.shim_encode.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(payload) + 8 + len(payload) // 254 + 1)
    count = core.shim_encode(kind, sequence, payload, len(payload), out)
    return out.raw[:count]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["name"])
def test_both_codecs_replay_the_golden_frames(core: ctypes.CDLL, golden: dict[str, str]) -> None:
    kind, sequence = wire.MessageType[golden["type"]], int(golden["sequence"])
    payload, line = bytes.fromhex(golden["payload"]), bytes.fromhex(golden["line"])
    assert wire.encode(wire.Frame(kind, sequence, payload)) == line
    assert wire.decode(line[:-1]) == wire.Frame(kind, sequence, payload)
    assert encode(core, kind, sequence, payload) == line
    room = IMAGE_BYTES if kind == wire.MessageType.IMAGE else 5
    assert decode(core, line) == [Seen(kind, sequence, payload[:room], len(payload))]


def test_golden_frames_change_only_by_the_update_command() -> None:
    sys.path.insert(0, str(ROOT / "tests/golden"))
    import update_wire_frames

    assert json.loads(update_wire_frames.render()) == GOLDEN, "run `python tests/golden/update_wire_frames.py`, review"


PIECES = st.sampled_from([b"\0", b"\1", b"\xff", b"x" * 253, b"x" * 254])
PAYLOADS = st.binary(max_size=40) | st.lists(PIECES, max_size=5).map(b"".join)


@given(kind=st.sampled_from(list(wire.MessageType)), sequence=st.integers(0, 255), payload=PAYLOADS)
def test_c_encodes_as_python_does(core: ctypes.CDLL, kind: wire.MessageType, sequence: int, payload: bytes) -> None:
    assert encode(core, kind, sequence, payload) == wire.encode(wire.Frame(kind, sequence, payload))


@given(payload=PAYLOADS, sequence=st.integers(0, 255))
def test_c_decodes_what_python_encodes(core: ctypes.CDLL, payload: bytes, sequence: int) -> None:
    line = wire.encode(wire.Frame(wire.MessageType.IMAGE, sequence, payload))
    kept = payload[:IMAGE_BYTES]
    assert decode(core, line) == [Seen(wire.MessageType.IMAGE, sequence, kept, len(payload))]


# Close to valid: stuffed bodies with a right CRC in most, cut, joined and spoilt at will.
BODIES = st.binary(max_size=12).map(lambda body: wire.cobs_encode(body + zlib.crc32(body).to_bytes(4, "little")))
STREAMS = st.lists(BODIES | st.binary(max_size=6) | st.just(b"\0"), max_size=12).map(b"".join)


@given(stream=STREAMS, piece_bytes=st.integers(1, 20) | st.just(0xFFFF))
def test_c_and_python_agree_on_any_stream_however_it_is_cut(core: ctypes.CDLL, stream: bytes, piece_bytes: int) -> None:
    stream += b"\0"
    expected = []
    for piece in wire.FrameSplitter(IMAGE_BYTES).feed(stream):
        try:
            raw = wire.cobs_decode(piece)
        except FrameError:
            expected.append(None)
            continue
        good = len(raw) >= 6 and zlib.crc32(raw[:-4]) == int.from_bytes(raw[-4:], "little")
        expected.append((raw[0], raw[1], len(raw) - 6) if good else None)
    got = [seen and (seen.type, seen.sequence, seen.length) for seen in decode(core, stream, IMAGE_BYTES, piece_bytes)]
    assert got == expected


def test_every_flipped_bit_of_an_image_is_noticed(core: ctypes.CDLL) -> None:
    line = wire.encode(wire.Frame(wire.MessageType.IMAGE, 1, bytes(range(16)) * 4))
    for bit in range(8 * (len(line) - 1)):
        spoilt = bytearray(line)
        spoilt[bit // 8] ^= 1 << bit % 8
        assert all(seen is None for seen in decode(core, bytes(spoilt)))


def test_an_image_without_room_is_counted_and_stored_nowhere(core: ctypes.CDLL) -> None:
    line = wire.encode(wire.Frame(wire.MessageType.IMAGE, 9, b"\7" * 256))
    assert decode(core, line, 0) == [Seen(wire.MessageType.IMAGE, 9, b"", 256)]


def test_a_frame_longer_than_the_counter_stays_inside_the_slot(core: ctypes.CDLL) -> None:
    line = wire.encode(wire.Frame(wire.MessageType.IMAGE, 9, bytes(range(256)) * 300))
    assert decode(core, line, 256) == [Seen(wire.MessageType.IMAGE, 9, bytes(range(256)), 0xFFFF - 6)]


def test_the_next_delimiter_ends_any_garbage(core: ctypes.CDLL) -> None:
    line = wire.encode(wire.Frame(wire.MessageType.PING, 3, b"abcd"))
    for garbage in (b"\xff" * 1000, b"\5ab", b"\1", line[:-3]):
        assert decode(core, garbage + b"\0\0" + line) == [None, Seen(wire.MessageType.PING, 3, b"abcd", 4)]


def test_wire_ids_h_is_what_wire_py_says() -> None:
    tool = ROOT / "tools/render_wire_ids.py"
    result = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
