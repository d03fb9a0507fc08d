"""Asks a board for what each step of one inference puts out. The board must be greeted, and built to trace.

TRACE arms it for one image, whose OUTPUT frames come before its RESULT. Whatever gets lost on the way, the whole is
asked for again: an inference gives the same bytes each time.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from host.errors import DeviceError, FrameError, LinkTimeout
from host.link import wire
from host.link.timing import Timing
from host.link.transport import Transport
from host.link.wire import ErrorCode, Frame, MessageType

TRIES = 30
_LINE_BITS = 10
_MOST_FRAMES = 1 << 14
"""In one try; an arena of 64 KiB, sent eight times over."""


@dataclass(frozen=True)
class Traced:
    """What a board sent of one image: the bytes of each step's output by its mark, but for the last one's, which are
    the scores of `result`."""

    outputs: dict[int, bytes]
    result: wire.Result


class _LostError(Exception):
    """An answer did not come, or not whole: ask again."""


@dataclass
class _Parts:
    """A step's output as it comes in."""

    total: int
    at: dict[int, bytes] = field(default_factory=dict)

    def whole(self) -> bytes:
        """Raise _LostError where a part is missing."""
        if sorted(self.at) != list(range(0, self.total, wire.OUTPUT_DATA_BYTES)):
            raise _LostError
        return b"".join(self.at[at] for at in sorted(self.at))[: self.total]


class Tracer:
    """Traces images on a board that has answered with `ready`, over a line that stands at `baud`."""

    def __init__(
        self,
        transport: Transport,
        ready: wire.Ready,
        *,
        baud: int = wire.DEFAULT_BAUD,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport, self._ready, self._baud = transport, ready, baud
        self._timing, self._clock = timing or Timing(), clock
        self._splitter = wire.FrameSplitter()
        self._frames: list[bytes] = []
        self._heard = 0
        self._sequence = secrets.randbelow(256)

    def trace(self, image: bytes, before: bytes | None = None) -> Traced:
        """What the board puts out of `image`, right behind the image `before`, as in a run. Raise DeviceError where it
        cannot trace, LinkTimeout where nothing whole has come in so many tries."""
        for _ in range(TRIES):
            self._heard = 0
            try:
                if before is not None:
                    self._classify(before)
                self._await(self._ask(MessageType.TRACE), MessageType.TRACE_SET)
                return self._classify(image)
            except (_LostError, FrameError):
                self._transport.write(wire.DELIMITER)
        raise LinkTimeout(
            f"board: found no whole trace in {TRIES} tries, need one; check the cable, try a lower --baud"
        )

    def _classify(self, image: bytes) -> Traced:
        sequence = self._ask(MessageType.IMAGE, image)
        parts: dict[int, _Parts] = {}
        while True:
            frame = self._next(len(image))
            if frame.sequence != sequence:
                continue
            if frame.type is MessageType.OUTPUT:
                output = wire.Output.unpack(frame.payload)
                parts.setdefault(output.step, _Parts(output.total)).at[output.at] = output.data
            elif frame.type is MessageType.RESULT:
                result = wire.Result.unpack(frame.payload, self._ready.classes, self._ready.marks)
                if result.digest != zlib.crc32(image):
                    raise _LostError
                return Traced({step: part.whole() for step, part in sorted(parts.items())}, result)

    def _ask(self, kind: MessageType, payload: bytes = b"") -> int:
        self._sequence = (self._sequence + 1) & 0xFF
        self._transport.write(wire.encode(Frame(kind, self._sequence, payload)))
        return self._sequence

    def _await(self, sequence: int, kind: MessageType) -> None:
        while True:
            frame = self._next()
            if (frame.type, frame.sequence) == (kind, sequence):
                return

    def _next(self, sent: int = 0) -> Frame:
        """The next frame, waited for as long as one reply may take; `sent` bytes may still be on the line."""
        deadline = self._clock() + self._timing.reply_s + _LINE_BITS * sent / self._baud
        while not self._frames:
            left = deadline - self._clock()
            if left <= 0:
                raise _LostError
            self._frames = self._splitter.feed(self._transport.read(left))
        frame = wire.decode(self._frames.pop(0))
        self._heard += 1
        if self._heard > _MOST_FRAMES:
            raise _LostError
        if frame.type is MessageType.ERROR:
            _refused(wire.Refusal.unpack(frame.payload))
        if frame.type is MessageType.READY and wire.Ready.unpack(frame.payload).nonce == 0:
            self._greet_again()
            raise _LostError
        return frame

    def _greet_again(self) -> None:
        """The board has reset, and is at its first rate."""
        self._baud = wire.DEFAULT_BAUD
        self._transport.set_baud(self._baud)
        hello = wire.Hello(wire.PROTOCOL_VERSION, secrets.randbits(31) + 1)
        self._ask(MessageType.HELLO, hello.pack())


def _refused(refusal: wire.Refusal) -> None:
    if (refusal.code, refusal.detail) == (ErrorCode.UNKNOWN_TYPE, MessageType.TRACE):
        raise DeviceError(
            "board: trace: found firmware that does not trace, need a build with -DMODEL_TRACE: "
            "`PLATFORMIO_BUILD_FLAGS=-DMODEL_TRACE pio run -e uno -t upload`, then again"
        )
    if refusal.code == ErrorCode.STACK_OVERFLOW:
        raise DeviceError(
            "board: trace: found its stack run into its variables (STACK_OVERFLOW), need more RAM; "
            "trace it with --board mega or --board native"
        )
    raise _LostError
