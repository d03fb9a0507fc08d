"""Asks a board for what each step of one inference puts out. The board must be greeted, and built to trace.

TRACE arms it for one image, whose OUTPUT frames come before its RESULT. Whatever gets lost on the way, the whole is
asked for again: an inference gives the same bytes each time.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from host.errors import DeviceError, FrameError, LinkTimeout
from host.link import wire
from host.link.timing import Timing
from host.link.transport import Transport
from host.link.wire import ErrorCode, Frame, MessageType

TRIES = 30
_LINE_BITS = 10
_ANOTHER_EXPORT = "its headers are of another export: export again, and flash that with -DMODEL_TRACE"
_MOST_FRAMES = 1 << 14
"""In one try; an arena of 64 KiB, sent eight times over."""


@dataclass(frozen=True)
class Traced:
    """What a board sent of one image: the bytes of each step's output by its mark, but for the last one's, which are
    the scores of `result`."""

    outputs: dict[int, bytes]
    result: wire.Result


class OtherStepsError(DeviceError):
    """The board runs other steps than it should."""


class _LostError(Exception):
    """An answer did not come, or not whole: ask again."""


def _whole(parts: Mapping[int, bytes], size: int) -> bytes:
    """A step's output of `size` bytes; raise _LostError where a part is missing."""
    if sorted(parts) != list(range(0, size, wire.OUTPUT_DATA_BYTES)):
        raise _LostError
    return b"".join(parts[at] for at in sorted(parts))[:size]


class Tracer:
    """Traces images on a board that has answered with `ready`, over a line that stands at `baud`. `sizes` are the bytes
    of each step's output by its mark, but for the last one's."""

    def __init__(
        self,
        transport: Transport,
        ready: wire.Ready,
        sizes: Mapping[int, int],
        *,
        baud: int = wire.DEFAULT_BAUD,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport, self._ready, self._sizes, self._baud = transport, ready, sizes, baud
        self._timing, self._clock = timing or Timing(), clock
        self._splitter = wire.FrameSplitter()
        self._frames: list[bytes] = []
        self._heard = 0
        self._sequence = secrets.randbelow(256)

    def trace(self, image: bytes, before: bytes | None = None) -> Traced:
        """What the board puts out of `image`, right behind the image `before`, as in a run. Raise DeviceError where it
        cannot trace, or traces another program, LinkTimeout where nothing whole has come in so many tries."""
        silent = 0
        for _ in range(TRIES):
            self._heard = 0
            try:
                if before is not None:
                    self._classify(before)
                self._await(self._ask(MessageType.TRACE), MessageType.TRACE_SET)
                result, parts = self._classify(image)
                silent += not parts
                outputs = {step: _whole(parts.get(step, {}), size) for step, size in self._sizes.items()}
                return Traced(outputs, result)
            except (_LostError, FrameError):
                self._transport.write(wire.DELIMITER)
        if silent == TRIES:
            raise OtherStepsError(
                f"board: trace: found no output of any step, need {len(self._sizes)}; {_ANOTHER_EXPORT}"
            )
        raise LinkTimeout(
            f"board: found no whole trace in {TRIES} tries, need one; check the cable, try a lower --baud"
        )

    def _classify(self, image: bytes) -> tuple[wire.Result, dict[int, dict[int, bytes]]]:
        """RESULT, and before it the parts of each step's output by their place in it."""
        sequence = self._ask(MessageType.IMAGE, image)
        parts: dict[int, dict[int, bytes]] = {}
        while True:
            frame = self._next(len(image))
            if frame.sequence != sequence:
                continue
            if frame.type is MessageType.OUTPUT:
                output = wire.Output.unpack(frame.payload)
                self._check(output)
                parts.setdefault(output.step, {})[output.at] = output.data
            elif frame.type is MessageType.RESULT:
                result = wire.Result.unpack(frame.payload, self._ready.classes, self._ready.marks)
                if result.digest != zlib.crc32(image):
                    raise _LostError
                return result, parts

    def _check(self, output: wire.Output) -> None:
        size = self._sizes.get(output.step)
        if output.total != size:
            found = f"found {output.total:,} bytes of its output, need {size or 'none'}"
            raise OtherStepsError(f"board: trace: step {output.step}: {found}; {_ANOTHER_EXPORT}")

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
