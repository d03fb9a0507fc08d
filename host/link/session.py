"""The host's half of the protocol as a state machine without I/O: bytes and a clock go in, bytes and results come out.

    WAITING ──READY──► GREETING ──READY(nonce)──► [RATE ──BAUD_SET──► TRIAL ──PONG──►] RUNNING ──► CLOSING ──► DONE

A READY that nobody asked for means that the board has reset: the session greets again, checks the identity again and
sends again what was outstanding. At most `slots` images are outstanding (credits, no sleeps). Every wait has a deadline
and every retry a bound. Each index is recorded once, whatever arrives twice.

A board answers in the order in which it was asked. So a broken frame, at either end, stands for the image that was sent
longest ago, and an image whose successor is answered first was lost.

A board that resets falls back to the first rate, where a host at a higher one cannot hear it. So after several broken
frames in a row the session greets again at the first rate, and from then on at either rate in turn until it is heard.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from host.errors import DeviceError, FrameError, LinkTimeout
from host.link import wire
from host.link.identity import Identity, check_identity, check_protocol
from host.link.timing import Counters, Timing
from host.link.wire import ErrorCode, Frame, MessageType


@dataclass
class _Outstanding:
    index: int
    digest: int
    deadline: float
    tries: int = 1


class State(Enum):
    """Where the session stands; the module's docstring draws the way."""

    WAITING = auto()
    GREETING = auto()
    RATE = auto()
    TRIAL = auto()
    RUNNING = auto()
    CLOSING = auto()
    DONE = auto()


class Session:
    """Streams `images` (each H·W bytes) to a board that carries one of `candidates`.

    `record(index, result)` is called once for each image; `set_baud` when both ends are to change rate, `greeted`
    for each READY that is a candidate's. `ready` and `stats` hold the board's last words. Raise DeviceError for a wrong board, LinkTimeout when a bound is passed."""

    def __init__(
        self,
        images: Sequence[bytes],
        candidates: Sequence[Identity],
        record: Callable[[int, wire.Result], None],
        clock: Callable[[], float],
        *,
        nonce: int,
        set_baud: Callable[[int], None] | None = None,
        greeted: Callable[[wire.Ready], None] | None = None,
        baud: int = wire.DEFAULT_BAUD,
        timing: Timing | None = None,
    ) -> None:
        self._images = images
        self._candidates = candidates
        self._record = record
        self._clock = clock
        self._nonce = nonce
        self._set_baud = set_baud
        self._greeted = greeted
        self._baud = baud
        self._rate = wire.DEFAULT_BAUD
        self._timing = timing or Timing()
        self._splitter = wire.FrameSplitter()
        self._output = bytearray()
        self._outstanding: OrderedDict[int, _Outstanding] = OrderedDict()
        self._next_index = 0
        self._tries = 0
        self._trials = 0
        self._failures = 0
        self._times_lost = 0
        self._is_answered = False
        self._was_at_rate = False
        self._knows_of_reset = False
        self._deadline = clock() + self._timing.quiet_s
        self.state = State.WAITING
        self.counters = Counters()
        self._babble = 0
        self.ready: wire.Ready | None = None
        self.identity: Identity | None = None
        self.first_stats: wire.Stats | None = None
        self.stats: wire.Stats | None = None

    @property
    def done(self) -> bool:
        return self.state is State.DONE

    def take_output(self) -> bytes:
        """The bytes to send now; they are handed out once."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def seconds_to_deadline(self) -> float:
        """How long the caller may wait for bytes before it must call `tick`."""
        deadlines = [image.deadline for image in self._outstanding.values()]
        nearest = min(deadlines) if self.state is State.RUNNING else self._deadline
        return max(0.0, nearest - self._clock())

    def receive(self, data: bytes) -> None:
        """Take bytes from the board."""
        for piece in self._splitter.feed(data):
            try:
                frame = wire.decode(piece)
                self._failures = 0
                self._handle(frame)
            except FrameError:
                # Opening a port cuts into whatever was on its line: before READY this says nothing about the line.
                if self.ready is None:
                    self._babble += 1
                else:
                    self.counters.bad_frames += 1
                self._reply_was_lost()
                self._notice_failure()

    def tick(self) -> None:
        """Act on every deadline that has passed."""
        now = self._clock()
        if self.state is State.RUNNING:
            for sequence, image in list(self._outstanding.items()):
                if image.deadline <= now and self.state is State.RUNNING:
                    # Whatever is left of its first bytes at the board must not spoil the second.
                    self._output += wire.DELIMITER
                    self._resend(sequence, image)
                    self._notice_failure(3)
        elif self._deadline <= now and not self.done:
            self._ask_again()

    def _handle(self, frame: Frame) -> None:
        if frame.type is MessageType.READY:
            check_protocol(frame.payload)
            self._on_ready(wire.Ready.unpack(frame.payload))
        elif frame.type is MessageType.RESULT and self.state is State.RUNNING:
            self._on_result(frame)
        elif frame.type is MessageType.STATS_REPLY and self.state in (State.GREETING, State.CLOSING):
            self._on_stats(wire.Stats.unpack(frame.payload))
        elif frame.type is MessageType.BAUD_SET and self.state is State.RATE:
            self._on_baud_set(wire.Baud.unpack(frame.payload))
        elif frame.type is MessageType.PONG and self.state is State.TRIAL:
            if wire.Ping.unpack(frame.payload).token == self._nonce:
                self._run()
        elif frame.type is MessageType.ERROR:
            self._on_error(wire.Refusal.unpack(frame.payload))

    def _on_ready(self, ready: wire.Ready) -> None:
        if self.state is State.GREETING:
            if ready.nonce == self._nonce:
                self.identity = check_identity(ready, self._candidates)
                self.ready = ready
                if self._greeted is not None:
                    self._greeted(ready)
                self._is_answered = True
                if self._was_at_rate and self._rate == wire.DEFAULT_BAUD:
                    self._count_reset()  # only a reset takes a board back from a rate that it has confirmed
                self._was_at_rate = False
                self._request(MessageType.STATS)
            elif ready.nonce == 0:
                # HELLO is on its way to it or will be sent again; an answer to each READY would be one too many.
                self._count_reset()
        elif self.state is State.WAITING:
            self._greet()
        elif ready.nonce == 0:
            self._knows_of_reset = False
            self._count_reset()
            self._change_rate(wire.DEFAULT_BAUD)
            self._greet()

    def _count_reset(self) -> None:
        if self.ready is None or self._knows_of_reset:
            return
        self._knows_of_reset = True
        self.counters.resets += 1
        if self.counters.resets > self._timing.resets:
            found, most = self.counters.resets, self._timing.resets
            raise DeviceError(f"board: found {found} resets, need at most {most}; check its power and cable")

    def _notice_failure(self, weight: int = 1) -> None:
        """Greet again where both ends may be at different rates."""
        self._failures += weight
        if self.state is not State.RUNNING or self._rate == wire.DEFAULT_BAUD:
            return
        if self._failures >= self._timing.failures:
            self._lose_touch()

    def _lose_touch(self) -> None:
        self._times_lost += 1
        if self._times_lost > self._timing.resets:
            raise LinkTimeout(f"board: lost at {self._rate} baud {self._times_lost} times; try a lower --baud")
        self._knows_of_reset = False
        self._was_at_rate = self.state in (State.RUNNING, State.CLOSING)
        self._change_rate(wire.DEFAULT_BAUD)
        self._greet()

    def _change_rate(self, baud: int) -> None:
        if baud != self._rate and self._set_baud is not None:
            self._rate = baud
            self._set_baud(baud)

    def _greet(self) -> None:
        self.state = State.GREETING
        self._tries = 0
        self._is_answered = False
        self._failures = 0
        # The nonce changes with each greeting, so that no answer to an earlier one is taken for this one's.
        self._nonce = (self._nonce + 1) & 0xFFFFFFFF or 1
        self._say_hello()

    def _say_hello(self) -> None:
        self._output += wire.DELIMITER
        self._request(MessageType.HELLO, wire.Hello(wire.PROTOCOL_VERSION, self._nonce).pack())

    def _on_stats(self, stats: wire.Stats) -> None:
        if self.state is State.CLOSING:
            self.stats = stats
            self.state = State.DONE
            return
        if not self._is_answered:  # left over from before the greeting
            return
        if self.first_stats is None:
            self.first_stats = stats
        if self._baud != wire.DEFAULT_BAUD:
            self._trials += 1
            if self._trials > self._timing.trials:
                raise LinkTimeout(
                    f"board: found no answer at {self._baud} baud in {self._timing.trials} trials; try a lower --baud"
                )
            self.state = State.RATE
            self._tries = 0
            self._request(MessageType.SET_BAUD, wire.Baud(self._baud).pack())
        else:
            self._run()

    def _on_baud_set(self, answer: wire.Baud) -> None:
        if answer.baud != self._baud or self._set_baud is None:
            return
        self._change_rate(self._baud)
        self.state = State.TRIAL
        self._tries = 0
        self._output += wire.DELIMITER
        self._request(MessageType.PING, wire.Ping(self._nonce).pack())

    def _run(self) -> None:
        self.state = State.RUNNING
        self._tries = self._trials = 0
        for sequence, image in list(self._outstanding.items()):
            self._send_image(sequence, image)
        self._fill()

    def _fill(self) -> None:
        """Send new images while credits last; when all are recorded, ask for the closing counters."""
        assert self.ready is not None
        while len(self._outstanding) < self.ready.slots and self._next_index < len(self._images):
            if self._next_index & 0xFF in self._outstanding:
                break  # 256 images back, one is still to be answered
            index = self._next_index
            image = _Outstanding(index, zlib.crc32(self._images[index]), 0.0)
            self._outstanding[index & 0xFF] = image
            self._send_image(index & 0xFF, image)
            self._next_index += 1
        if not self._outstanding:
            self.state = State.CLOSING
            self._tries = 0
            self._request(MessageType.STATS)

    def _on_result(self, frame: Frame) -> None:
        assert self.ready is not None
        result = wire.Result.unpack(frame.payload, self.ready.classes, self.ready.marks)
        image = self._outstanding.get(frame.sequence)
        if image is None:
            return
        if result.digest != image.digest:
            self._resend(frame.sequence, image)
            return
        before = list(self._outstanding)
        del self._outstanding[frame.sequence]
        self._record(image.index, result)
        for sequence in before[: before.index(frame.sequence)]:
            self._resend(sequence, self._outstanding[sequence])
        self._fill()

    def _on_error(self, refusal: wire.Refusal) -> None:
        if refusal.code == ErrorCode.BAD_FRAME:
            self._reply_was_lost()
            return
        name = ErrorCode(refusal.code).name if refusal.code in set(ErrorCode) else str(refusal.code)
        raise DeviceError(
            f"board: refused with {name} (detail {refusal.detail}); flash the firmware of this version again"
        )

    def _reply_was_lost(self) -> None:
        if self.state is State.RUNNING and self._outstanding:
            sequence, image = next(iter(self._outstanding.items()))
            if image.tries < self._timing.quick_tries:
                self._resend(sequence, image)

    def _resend(self, sequence: int, image: _Outstanding) -> None:
        image.tries += 1
        self.counters.retries += 1
        if image.tries > self._timing.tries:
            raise LinkTimeout(
                f"image {image.index}: found no valid answer in {self._timing.tries} tries, need one; "
                "check the cable and try a lower --baud"
            )
        self._send_image(sequence, image)

    def _send_image(self, sequence: int, image: _Outstanding) -> None:
        self._outstanding.move_to_end(sequence)  # they stand in the order of sending
        payload = self._images[image.index]
        frame = wire.encode(Frame(MessageType.IMAGE, sequence, payload))
        self._output += frame
        line_s = 10 * len(frame) * len(self._outstanding) / min(self._baud, wire.DEFAULT_BAUD)
        image.deadline = self._clock() + self._timing.reply_s + line_s

    def _request(self, kind: MessageType, payload: bytes = b"") -> None:
        self._output += wire.encode(Frame(kind, self._tries & 0xFF, payload))
        wait = self._timing.greeting_s if self.state is State.GREETING else self._timing.reply_s
        self._deadline = self._clock() + wait

    def _ask_again(self) -> None:
        if self.state is State.WAITING:
            self._greet()
            return
        self._tries += 1
        if self._tries > (self._timing.regreetings if self.ready else self._timing.greetings):
            raise LinkTimeout(self._silence())
        if self.state in (State.RATE, State.TRIAL) or (self._rate != wire.DEFAULT_BAUD and self.state is State.CLOSING):
            # An unconfirmed board falls back to its first rate by itself; start again from there.
            self._lose_touch()
        elif self.state is State.GREETING:
            if self._baud != wire.DEFAULT_BAUD and self.ready is not None:
                # It may have reset, or it may have changed its rate and its word on that was lost.
                self._change_rate(self._baud if self._rate == wire.DEFAULT_BAUD else wire.DEFAULT_BAUD)
            self._is_answered = False
            self._say_hello()
        else:
            self._request(MessageType.STATS)

    def _silence(self) -> str:
        if self.ready is None and self._babble == 0:
            return (
                f"board: found no answer in {self._timing.greetings} greetings, need READY; is digitduino's firmware "
                "flashed (`pio run -e uno -t upload`), and is this its port (`host ports`)?"
            )
        if self.ready is None:
            return (
                f"board: found {self._babble} broken frames and no READY; "
                "another sketch or another baud rate answers: flash digitduino's firmware"
            )
        return f"board: stopped answering in state {self.state.name}; check the cable and run again"
