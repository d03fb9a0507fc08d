"""The wire protocol, specified once: frame layout, message identifiers, payload fields.

Pure bytes: no port, no clock, no state beyond the frame splitter's buffer. The C identifiers and the CRC table in
`firmware/lib/wire/wire_ids.h` are rendered from this module, and `docs/protocol.md` is tested against it.

A frame on the line is

    COBS( type u8 | sequence u8 | payload | crc32 u32 )  0x00

with all integers little-endian and the CRC (zlib's, over type, sequence and payload) checked before anything else is
believed. Every type has one exact payload length; IMAGE and RESULT take theirs from what READY announced.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import ClassVar, TypeVar

from host.errors import FrameError

PROTOCOL_VERSION = 2
DEFAULT_BAUD = 115200
BAUD_RATES = (115200, 250000, 500000, 1000000)
DELIMITER = b"\0"
HEADER_BYTES = 2
CRC_BYTES = 4
MAX_PAYLOAD = 28 * 28
MODEL_HASH_BYTES = 8
BOARD_NAME_BYTES = 12
OUTPUT_DATA_BYTES = 32
"""Of a step's output in one frame: fewer than READY has, so that a trace needs no more RAM for replies."""
READY_PERIOD_MS = 250
"""The board repeats READY this often from a reset until it hears HELLO."""
BAUD_TRIAL_MS = 500
"""After SET_BAUD the board returns to its first rate unless a valid frame arrives within this time."""


class MessageType(IntEnum):
    """Requests are below 0x80; a reply is its request plus 0x80. OUTPUT goes before a RESULT that TRACE asked it of."""

    HELLO = 0x01
    IMAGE = 0x02
    STATS = 0x03
    PING = 0x04
    SET_BAUD = 0x05
    TRACE = 0x06
    READY = 0x81
    RESULT = 0x82
    STATS_REPLY = 0x83
    PONG = 0x84
    BAUD_SET = 0x85
    TRACE_SET = 0x86
    OUTPUT = 0x87
    ERROR = 0xFF


class ErrorCode(IntEnum):
    """Why the board refused. BAD_FRAME answers bytes whose CRC failed, so its sequence number means nothing.
    STACK_OVERFLOW stands in a RESULT's place: the stack has run into other data, and no score is to be trusted."""

    BAD_FRAME = 1
    UNKNOWN_TYPE = 2
    BAD_LENGTH = 3
    BAD_BAUD = 4
    BAD_VERSION = 5
    STACK_OVERFLOW = 6


class ResetCause(IntEnum):
    """What started the firmware; the values follow MCUSR's bits where the chip has them."""

    UNKNOWN = 0
    POWER_ON = 1
    EXTERNAL = 2
    BROWN_OUT = 4
    WATCHDOG = 8


PayloadT = TypeVar("PayloadT", bound="Payload")


@dataclass(frozen=True)
class Payload:
    """A payload of fixed fields; `layout` is a `struct` format without byte order."""

    layout: ClassVar[str]

    @classmethod
    def size(cls) -> int:
        return struct.calcsize("<" + cls.layout)

    def pack(self) -> bytes:
        return struct.pack("<" + self.layout, *(getattr(self, field.name) for field in fields(self)))

    @classmethod
    def unpack(cls: type[PayloadT], payload: bytes) -> PayloadT:
        """Raise FrameError unless the length is exact."""
        if len(payload) != cls.size():
            raise FrameError(f"{cls.__name__}: payload: found {len(payload)} bytes, need {cls.size()}")
        return cls(*struct.unpack("<" + cls.layout, payload))


@dataclass(frozen=True)
class Hello(Payload):
    """The host's greeting; READY echoes its nonce."""

    layout = "BI"
    protocol: int
    nonce: int


@dataclass(frozen=True)
class Ready(Payload):
    """`nonce` is HELLO's, or 0 when the board speaks first after a reset. `weights_crc` is computed from flash.
    `slots` images may be outstanding at once. RESULT carries `marks` times besides the scores, in a profiling build
    alone. `tick_hz` is the unit of RESULT's times."""

    layout = f"BBI{MODEL_HASH_BYTES}sIBBBBBBII{BOARD_NAME_BYTES}s"
    protocol: int
    reset_cause: int
    nonce: int
    model_hash: bytes
    weights_crc: int
    height: int
    width: int
    classes: int
    format: int
    slots: int
    marks: int
    clock_hz: int
    tick_hz: int
    board: bytes


@dataclass(frozen=True)
class Stats(Payload):
    """Counters since reset. `stack_free` and `ram_static` are bytes, 0xFFFF where the board cannot tell."""

    layout = "IIHHHH"
    uptime_us: int
    frames: int
    bad_frames: int
    overruns: int
    stack_free: int
    ram_static: int


@dataclass(frozen=True)
class Ping(Payload):
    """Payload of PING and PONG."""

    layout = "I"
    token: int


@dataclass(frozen=True)
class Baud(Payload):
    """Payload of SET_BAUD and BAUD_SET."""

    layout = "I"
    baud: int


@dataclass(frozen=True)
class Output(Payload):
    """A part of what a step has put out, `at` bytes behind its beginning and `total` in all; zeros behind its end."""

    layout = f"BHH{OUTPUT_DATA_BYTES}s"
    step: int
    total: int
    at: int
    data: bytes


@dataclass(frozen=True)
class Refusal(Payload):
    """ERROR's payload. `detail` is the type or length that was refused."""

    layout = "BH"
    code: int
    detail: int


@dataclass(frozen=True)
class Result:
    """RESULT's payload; `scores` holds one raw 32-bit word per class: int32 for INT8, else float32 bits.
    `digest` is the CRC-32 of the image as it lay in RAM behind the inference, `ticks` the inference's own time, without
    the interrupts that fell into it. `marks` are the times of its steps, in a profiling build."""

    predicted: int
    digest: int
    ticks: int
    scores: tuple[int, ...]
    marks: tuple[int, ...] = ()

    @staticmethod
    def size(classes: int, marks: int = 0) -> int:
        return 9 + 4 * (classes + marks)

    def pack(self) -> bytes:
        words = (*self.scores, *self.marks)
        return struct.pack(f"<BII{len(words)}I", self.predicted, self.digest, self.ticks, *words)

    @classmethod
    def unpack(cls, payload: bytes, classes: int, marks: int = 0) -> Result:
        if len(payload) != cls.size(classes, marks):
            raise FrameError(f"Result: payload: found {len(payload)} bytes, need {cls.size(classes, marks)}")
        predicted, digest, ticks, *words = struct.unpack(f"<BII{classes + marks}I", payload)
        if predicted >= classes:
            raise FrameError(f"Result: class: found {predicted}, need 0..{classes - 1}")
        return cls(predicted, digest, ticks, tuple(words[:classes]), tuple(words[classes:]))


@dataclass(frozen=True)
class Frame:
    """One message as it travels: `sequence` is echoed by the reply."""

    type: MessageType
    sequence: int
    payload: bytes


_SHORT_RUN = tuple(bytes((length + 1,)) for length in range(254))


def cobs_encode(data: bytes) -> bytes:
    r"""Consistent Overhead Byte Stuffing (Cheshire and Baker 1999); no delimiter added.

    >>> cobs_encode(b"\x11\x00\x22").hex()
    '02110222'
    """
    runs = data.split(DELIMITER)
    if max(map(len, runs)) < 254:
        return b"".join([_SHORT_RUN[len(run)] + run for run in runs])
    out = bytearray()
    for index, run in enumerate(runs):
        last = index == len(runs) - 1
        while len(run) >= 254:
            out += b"\xff" + run[:254]
            run = run[254:]
            if not run and last:
                return bytes(out)
        out += _SHORT_RUN[len(run)]
        out += run
    return bytes(out)


def cobs_decode(data: bytes) -> bytes:
    """Inverse of `cobs_encode`; raise FrameError on a zero byte or a block that runs past the end."""
    out = bytearray()
    position = 0
    while position < len(data):
        code = data[position]
        block = data[position + 1 : position + code]
        if code == 0 or len(block) != code - 1 or 0 in block:
            raise FrameError(f"COBS: broken block at byte {position} of {len(data)}")
        out += block
        position += code
        if code != 0xFF and position < len(data):
            out.append(0)
    return bytes(out)


def encode(frame: Frame) -> bytes:
    """The frame's bytes on the line, delimiter included."""
    body = struct.pack("<BB", frame.type, frame.sequence) + frame.payload
    return cobs_encode(body + struct.pack("<I", zlib.crc32(body))) + DELIMITER


def decode(data: bytes) -> Frame:
    """One frame from the bytes between two delimiters; raise FrameError if anything is off."""
    raw = cobs_decode(data)
    if len(raw) < HEADER_BYTES + CRC_BYTES:
        raise FrameError(f"frame: length: found {len(raw)} bytes, need at least {HEADER_BYTES + CRC_BYTES}")
    body, (crc,) = raw[:-CRC_BYTES], struct.unpack("<I", raw[-CRC_BYTES:])
    if zlib.crc32(body) != crc:
        raise FrameError(f"frame: CRC-32: found {crc:08x}, need {zlib.crc32(body):08x}")
    try:
        kind = MessageType(body[0])
    except ValueError:
        raise FrameError(f"frame: type: found 0x{body[0]:02x}, which this host does not know") from None
    return Frame(kind, body[1], body[2:])


class FrameSplitter:
    """Cuts a byte stream at delimiters. Bytes beyond the longest possible frame are dropped up to the next one."""

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        body = max_payload + HEADER_BYTES + CRC_BYTES
        self._limit = body + body // 254 + 1
        self._buffer = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The complete, still encoded frames that `data` finished; empty ones between delimiters are left out."""
        out = []
        *ended, rest = data.split(DELIMITER)
        for piece in ended:
            self._keep(piece)
            if self._buffer:
                out.append(bytes(self._buffer))
            self._buffer.clear()
            self._skipping = False
        self._keep(rest)
        return out

    def _keep(self, piece: bytes) -> None:
        if self._skipping:
            return
        self._buffer += piece
        if len(self._buffer) > self._limit:
            self._buffer.clear()
            self._skipping = True
