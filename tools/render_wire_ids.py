"""Renders firmware/lib/wire/wire_ids.h from host/link/wire.py, so that each number of the protocol stands once.

`python tools/render_wire_ids.py` writes the header; with `--check` it writes nothing, and exits with 1 if the header
is not what wire.py says.
"""

from __future__ import annotations

import argparse
import struct
import sys
import zlib
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path

import jinja2

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from host.link import wire  # noqa: E402  (the repository need not be installed for its header to be rendered)

HEADER = ROOT / "firmware/lib/wire/wire_ids.h"
PAYLOADS = {
    "HELLO": wire.Hello,
    "READY": wire.Ready,
    "STATS": wire.Stats,
    "PING": wire.Ping,
    "BAUD": wire.Baud,
    "OUTPUT": wire.Output,
    "ERROR": wire.Refusal,
}
REQUESTS = (wire.Hello, wire.Ping, wire.Baud)


@dataclass(frozen=True)
class EnumView:
    """An enumeration's members, named as in C."""

    name: str
    members: list[tuple[str, int]]


@dataclass(frozen=True)
class PayloadView:
    """Each field's name and where it starts; size 0 where the shapes decide it."""

    name: str
    fields: list[tuple[str, int]]
    size: int


def enum_view(enum: type[IntEnum], prefix: str) -> EnumView:
    return EnumView(enum.__name__, [(f"{prefix}_{member.name}", member.value) for member in enum])


def split_layout(layout: str) -> list[str]:
    """The format of each field.

    >>> split_layout("BI8s")
    ['B', 'I', '8s']
    """
    out, count = [], ""
    for char in layout:
        count += char
        if not char.isdigit():
            out.append(count)
            count = ""
    return out


def payload_view(name: str, payload: type[wire.Payload]) -> PayloadView:
    offset, places = 0, []
    for field, part in zip(fields(payload), split_layout(payload.layout), strict=True):
        places.append((field.name.upper(), offset))
        offset += struct.calcsize("<" + part)
    assert offset == payload.size()
    return PayloadView(name, places, offset)


def result_view() -> PayloadView:
    """RESULT's fixed part, read off a packed example: each field of it holds its own mark."""
    packed = wire.Result(1, 0x02020202, 0x03030303, (0x04040404,)).pack()
    names = ("PREDICTED", "DIGEST", "TICKS", "SCORES")
    places = [(name, packed.index(mark)) for mark, name in enumerate(names, start=1)]
    return PayloadView("RESULT", places, 0)


def crc_table() -> list[str]:
    """The table, taken from zlib itself: the CRC of one byte is a single step from all ones, inverted."""
    steps = (zlib.crc32(bytes([index ^ 0xFF])) ^ 0xFF000000 for index in range(256))
    return [f"0x{step:08X}" for step in steps]


def crc_residue() -> int:
    return zlib.crc32(struct.pack("<I", zlib.crc32(b""))) ^ 0xFFFFFFFF


def render() -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    constants = [
        ("PROTOCOL_VERSION", wire.PROTOCOL_VERSION, ""),
        ("DELIMITER", wire.DELIMITER[0], ""),
        ("DEFAULT_BAUD", f"{wire.DEFAULT_BAUD}UL", ""),
        ("MODEL_HASH_BYTES", wire.MODEL_HASH_BYTES, ""),
        ("BOARD_NAME_BYTES", wire.BOARD_NAME_BYTES, ""),
        ("OUTPUT_DATA_BYTES", wire.OUTPUT_DATA_BYTES, "of a step's output in one frame"),
        ("READY_PERIOD_MS", wire.READY_PERIOD_MS, "READY is repeated until HELLO"),
        ("BAUD_TRIAL_MS", wire.BAUD_TRIAL_MS, "back to the first rate unless a valid frame arrives"),
    ]
    enums = [(wire.MessageType, "TYPE"), (wire.ErrorCode, "ERROR"), (wire.ResetCause, "RESET")]
    return environment.get_template("wire_ids.h.j2").render(
        constants=constants,
        enums=[enum_view(*entry) for entry in enums],
        payloads=[payload_view(name, payload) for name, payload in PAYLOADS.items()] + [result_view()],
        request_bytes=max(payload.size() for payload in REQUESTS),
        baud_rates=wire.BAUD_RATES,
        header_bytes=wire.HEADER_BYTES,
        crc_bytes=wire.CRC_BYTES,
        crc_table=crc_table(),
        crc_residue=crc_residue(),
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the header is out of date")
    text = render()
    if not parser.parse_args(arguments).check:
        HEADER.write_text(text)
        return 0
    if HEADER.is_file() and HEADER.read_text() == text:
        return 0
    print(f"{HEADER.relative_to(ROOT)}: differs from host/link/wire.py; run `python tools/render_wire_ids.py`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
