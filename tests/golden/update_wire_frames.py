"""Writes tests/golden/wire_frames.json anew: frames as fields and as bytes on the line, which both codecs replay.

    python tests/golden/update_wire_frames.py        then review the diff

A changed line means that boards flashed before the change no longer understand this host.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from host.link import wire  # noqa: E402
from host.link.wire import Frame, MessageType  # noqa: E402

GOLDEN = Path(__file__).with_name("wire_frames.json")
CLOCK_HZ = 16_000_000
READY = wire.Ready(
    2, 1, 0x01020304, bytes(range(8)), 0xDEADBEEF, 16, 16, 10, 2, 2, 0, CLOCK_HZ, CLOCK_HZ, b"atmega328p"
)
FULL_BLOCKS = (252, 253, 254, 255, 256, 508, 509)

FRAMES = {
    "hello": Frame(MessageType.HELLO, 0, wire.Hello(wire.PROTOCOL_VERSION, 0xCAFE0001).pack()),
    "hello of another version": Frame(MessageType.HELLO, 1, wire.Hello(200, 0).pack()),
    "ready": Frame(MessageType.READY, 0, READY.pack()),
    "stats": Frame(MessageType.STATS, 255, b""),
    "stats reply": Frame(MessageType.STATS_REPLY, 255, wire.Stats(123_456_789, 2007, 3, 0, 1400, 488).pack()),
    "ping": Frame(MessageType.PING, 7, wire.Ping(0).pack()),
    "pong": Frame(MessageType.PONG, 7, wire.Ping(0xFFFFFFFF).pack()),
    "set baud": Frame(MessageType.SET_BAUD, 2, wire.Baud(500_000).pack()),
    "baud set": Frame(MessageType.BAUD_SET, 2, wire.Baud(500_000).pack()),
    "error": Frame(MessageType.ERROR, 9, wire.Refusal(wire.ErrorCode.BAD_LENGTH, 255).pack()),
    "result": Frame(MessageType.RESULT, 42, wire.Result(3, 0x89ABCDEF, 85_199, (0, 1, 0xFFFFFFFF, 0x80000000)).pack()),
    "result with marks": Frame(MessageType.RESULT, 43, wire.Result(0, 0, 3000, (7, 6), (2000, 700, 300)).pack()),
    "black image": Frame(MessageType.IMAGE, 0, bytes(256)),
    "image without a zero": Frame(MessageType.IMAGE, 1, bytes(1 + i % 255 for i in range(256))),
    "image of 255": Frame(MessageType.IMAGE, 2, b"\xff" * 256),
    "image 28x28": Frame(MessageType.IMAGE, 3, bytes((i * 37) & 255 for i in range(784))),
    # A COBS block is full after 254 bytes: type and sequence are non-zero here, so runs end around that length.
    **{f"run of {count}": Frame(MessageType.IMAGE, 4, b"\x55" * (count - 2)) for count in FULL_BLOCKS},
    "zero behind a full block": Frame(MessageType.IMAGE, 5, b"\x55" * 252 + bytes(2) + b"\x55"),
}


def render() -> str:
    entries = [
        {
            "name": name,
            "type": frame.type.name,
            "sequence": frame.sequence,
            "payload": frame.payload.hex(),
            "line": wire.encode(frame).hex(),
        }
        for name, frame in FRAMES.items()
    ]
    return json.dumps(entries, indent=1) + "\n"


if __name__ == "__main__":
    GOLDEN.write_text(render())
