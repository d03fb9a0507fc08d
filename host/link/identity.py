"""What a board must say of itself before it gets its first image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from host.errors import DeviceError
from host.link import wire


class Carried(Protocol):
    """What READY must answer for one exported model; each kernel keeps the same integers as other bytes, hence several
    CRCs."""

    @property
    def model_hash(self) -> bytes: ...
    @property
    def weights_crcs(self) -> tuple[int, ...]: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def format(self) -> int: ...


@dataclass(frozen=True)
class Identity:
    """A model that is known by these numbers alone."""

    model_hash: bytes
    weights_crcs: tuple[int, ...]
    height: int
    width: int
    classes: int
    format: int


def check_protocol(ready: bytes) -> None:
    """Raise DeviceError where READY's first byte is another version, whose READY may have another length."""
    if ready and ready[0] != wire.PROTOCOL_VERSION:
        raise DeviceError(
            f"board: protocol: found version {ready[0]}, need {wire.PROTOCOL_VERSION}; flash the firmware again"
        )


def check_identity(ready: wire.Ready, candidates: Sequence[Carried]) -> Carried:
    """The candidate that the board carries; raise DeviceError where it carries none of them, or carries it damaged."""
    named = [candidate for candidate in candidates if candidate.model_hash == ready.model_hash]
    if not named:
        wanted = " or ".join(sorted({candidate.model_hash.hex() for candidate in candidates}))
        raise DeviceError(
            f"board: model: found {ready.model_hash.hex()}, need {wanted}; "
            "export this model and flash it: `host export MODEL` then `pio run -e uno -t upload`"
        )
    candidate = next((one for one in named if ready.weights_crc in one.weights_crcs), named[0])
    found = (ready.height, ready.width, ready.classes, ready.format)
    need = (candidate.height, candidate.width, candidate.classes, candidate.format)
    if found != need:
        raise DeviceError(
            f"board: height, width, classes, format: found {found}, need {need}; flash the firmware again"
        )
    if ready.weights_crc not in candidate.weights_crcs:
        wanted = " or ".join(f"{crc:08x}" for crc in candidate.weights_crcs)
        raise DeviceError(
            f"board: CRC of the weights in flash: found {ready.weights_crc:08x}, need {wanted}; "
            "the flash is damaged or was built from other weights: flash it again"
        )
    if ready.slots < 1 or ready.tick_hz < 1:
        raise DeviceError(
            f"board: found {ready.slots} slots and {ready.tick_hz} ticks/s, need 1 or more of each; "
            "flash the firmware again"
        )
    return candidate


def no_answer(ready: wire.Ready | None, heard: int, greetings: int, state: str) -> str:
    """The remedy where a board has not answered; `heard` counts the bytes that came from it."""
    if ready is not None:
        return f"board: stopped answering in state {state}; check the cable and run again"
    if heard:
        return (
            f"board: found {heard:,} bytes and no READY; "
            "another sketch or another baud rate answers: flash digitduino's firmware"
        )
    return (
        f"board: found no answer in {greetings} greetings, need READY; is digitduino's firmware "
        "flashed (`pio run -e uno -t upload`), and is this its port (`host ports`)?"
    )
