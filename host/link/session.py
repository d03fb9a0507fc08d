"""The host's half of the protocol as a state machine without I/O: bytes and a clock go in, bytes and results come out.

    WAITING ──READY──► GREETING ──READY(nonce)──► [RATE ──BAUD_SET──► TRIAL ──PONG──►] RUNNING ──► CLOSING ──► DONE

A READY that nobody asked for means that the board has reset: the session greets again, checks the identity again and
sends again what was outstanding. Every wait has a deadline and every retry a bound. Which images are on their way is
host.link.window's affair.

A board that resets falls back to the first rate, where a host at a higher one cannot hear it. So after several broken
frames in a row the session greets again at the first rate, and from then on at either rate in turn until it is heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto

from host.errors import DeviceError, FrameError, LinkTimeout
from host.link import wire
from host.link.identity import Carried, check_identity, check_protocol, no_answer
from host.link.timing import Counters, Timing
from host.link.window import Window
from host.link.wire import ErrorCode, Frame, MessageType, ResetCause


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

    `record(index, result)` is called once for each image; `set_baud` when both ends are to change rate; `greeted` with
    each READY of a candidate. `first` says which images go before the others once it is known what the board carries;
    they are recorded at -len(first)..-1. `ready` and `stats` hold the board's last words. Raise DeviceError for a wrong
    board, LinkTimeout when a bound is passed."""

    def __init__(
        self,
        images: Sequence[bytes],
        candidates: Sequence[Carried],
        record: Callable[[int, wire.Result], None],
        clock: Callable[[], float],
        *,
        nonce: int,
        set_baud: Callable[[int], None] | None = None,
        greeted: Callable[[wire.Ready], None] | None = None,
        first: Callable[[Carried], Sequence[bytes]] | None = None,
        baud: int = wire.DEFAULT_BAUD,
        timing: Timing | None = None,
    ) -> None:
        self._candidates = candidates
        self._clock = clock
        self._nonce = nonce
        self._set_baud = set_baud
        self._greeted = greeted
        self._first = first
        self._baud = baud
        self._rate = wire.DEFAULT_BAUD
        self._timing = timing or Timing()
        self._splitter = wire.FrameSplitter()
        self._output = bytearray()
        self._tries = 0
        self._trials = 0
        self._failures = 0
        self._times_lost = 0
        self._is_answered = self._is_heard = False
        self._is_known = False
        self._was_at_rate = False
        self._knows_of_reset = False
        self._deadline = clock() + self._timing.quiet_s
        self.state = State.WAITING
        self.counters = Counters()
        self._window = Window(images, record, self._output.extend, clock, self._timing, self.counters)
        self._window.rate = min(baud, wire.DEFAULT_BAUD)
        self._bytes_heard = 0
        self.ready: wire.Ready | None = None
        self.identity: Carried | None = None
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
        nearest = self._window.deadline if self.state is State.RUNNING else self._deadline
        return max(0.0, nearest - self._clock())

    def receive(self, data: bytes) -> None:
        """Take bytes from the board."""
        self._bytes_heard += len(data)
        for piece in self._splitter.feed(data):
            try:
                frame = wire.decode(piece)
                self._failures = 0
                self._is_heard = self._is_known = True
                self._handle(frame)
            except FrameError:
                # Opening a port cuts into whatever was on its line: before READY this says nothing about the line.
                if self.ready is not None:
                    self.counters.bad_frames += 1
                self._reply_was_lost()
                self._notice_failure()

    def tick(self) -> None:
        """Act on every deadline that has passed."""
        if self.state is State.RUNNING:
            if self._window.resend_late():
                self._notice_failure(3)
        elif self._deadline <= self._clock() and not self.done:
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
                if self._first is not None:
                    self._window.begin_with(self._first(self.identity))
                    self._first = None
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
            hint = "check its power and cable"
            if self.ready.reset_cause == ResetCause.WATCHDOG:
                hint = "its program hangs, and the watchdog restarts it; flash the firmware of this version again"
            raise DeviceError(f"board: found {found} resets, need at most {most}; {hint}")

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
        self._is_answered = self._is_heard = False
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
        assert self.ready is not None
        self._window.slots = self.ready.slots
        self._window.send_all_again()
        self._window.fill()
        self._close_if_done()

    def _close_if_done(self) -> None:
        """When all is recorded, ask for the closing counters."""
        if self._window.is_done:
            self.state = State.CLOSING
            self._tries = 0
            self._request(MessageType.STATS)

    def _on_result(self, frame: Frame) -> None:
        assert self.ready is not None
        self._window.take(frame.sequence, wire.Result.unpack(frame.payload, self.ready.classes, self.ready.marks))
        self._close_if_done()

    def _on_error(self, refusal: wire.Refusal) -> None:
        if refusal.code == ErrorCode.BAD_FRAME:
            self._reply_was_lost()
            return
        if refusal.code == ErrorCode.STACK_OVERFLOW:
            raise DeviceError(
                "board: found its stack run into its variables (STACK_OVERFLOW), need more RAM; "
                "export a smaller net or choose a larger --board"
            )
        name = ErrorCode(refusal.code).name if refusal.code in set(ErrorCode) else str(refusal.code)
        raise DeviceError(
            f"board: refused with {name} (detail {refusal.detail}); flash the firmware of this version again"
        )

    def _reply_was_lost(self) -> None:
        if self.state is State.RUNNING:
            self._window.answer_was_lost()

    def _request(self, kind: MessageType, payload: bytes = b"") -> None:
        self._output += wire.encode(Frame(kind, self._tries & 0xFF, payload))
        wait = self._timing.greeting_s if self.state is State.GREETING else self._timing.reply_s
        self._deadline = self._clock() + wait

    def _ask_again(self) -> None:
        if self.state is State.WAITING:
            self._greet()
            return
        self._tries += 1
        if self._tries > (self._timing.regreetings if self._is_known else self._timing.greetings):
            raise LinkTimeout(no_answer(self.ready, self._bytes_heard, self._tries - 1, self.state.name))
        if self.state in (State.RATE, State.TRIAL) or (self._rate != wire.DEFAULT_BAUD and self.state is State.CLOSING):
            # An unconfirmed board falls back to its first rate by itself; start again from there.
            self._lose_touch()
        elif self.state is State.GREETING:
            if self._is_answered and self._tries % 4:
                self._output += wire.DELIMITER
                self._request(MessageType.STATS)
                return
            if self._baud != wire.DEFAULT_BAUD and self.ready is not None and not self._is_heard:
                # It may have reset, or it may have changed its rate and its word on that was lost.
                self._change_rate(self._baud if self._rate == wire.DEFAULT_BAUD else wire.DEFAULT_BAUD)
            self._is_answered = self._is_heard = False
            self._say_hello()
        else:
            self._request(MessageType.STATS)
