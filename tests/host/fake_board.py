"""A board in Python for tests of the session: answers frames as docs/protocol.md says, and can be told to misbehave."""

import zlib
from collections import deque
from dataclasses import replace

from host.link import wire
from host.link.identity import Identity
from host.link.wire import ErrorCode, Frame, FrameSplitter, MessageType

IDENTITY = Identity(b"\1\2\3\4\5\6\7\x08", (0xCAFEBABE,), 4, 4, 3, 2)


def ready(nonce=0, slots=1, **changes):
    """READY of a board that carries IDENTITY."""
    answer = wire.Ready(
        protocol=wire.PROTOCOL_VERSION,
        reset_cause=2,
        nonce=nonce,
        model_hash=IDENTITY.model_hash,
        weights_crc=IDENTITY.weights_crcs[0],
        height=IDENTITY.height,
        width=IDENTITY.width,
        classes=IDENTITY.classes,
        format=IDENTITY.format,
        slots=slots,
        marks=0,
        clock_hz=16_000_000,
        tick_hz=16_000_000,
        board=b"fake",
    )
    return replace(answer, **changes)


def expected_scores(image):
    """What the fake board computes: three numbers that depend on the image."""
    return (image[0], image[1] + 1, zlib.crc32(image) & 0xFFFF)


class FakeBoard:
    """Feed it the host's bytes; take its answers. `mangle(frame bytes) -> bytes` stands for the way back."""

    def __init__(self, slots=1, mangle=lambda data: data, outputs=None, **changes):
        self.splitter = FrameSplitter()
        self.answers = deque()
        self.slots, self.mangle, self.changes = slots, mangle, changes
        self.images = 0
        self.outputs, self.is_tracing = outputs, False  # bytes of each step but the last; None: no build that traces
        self.greeted = False
        self.uptime = 0
        self.baud = wire.DEFAULT_BAUD

    def reset(self):
        self.greeted = False
        self.splitter = FrameSplitter()
        self.say(MessageType.READY, 0, ready(0, self.slots, **self.changes).pack())

    def say(self, kind, sequence, payload):
        self.answers.append(self.mangle(wire.encode(Frame(kind, sequence, payload))))

    def feed(self, data):
        for piece in self.splitter.feed(data):
            try:
                frame = wire.decode(piece)
            except wire.FrameError:
                self.say(MessageType.ERROR, 0, wire.Refusal(ErrorCode.BAD_FRAME, 0).pack())
                continue
            self.handle(frame)

    def handle(self, frame):
        self.uptime += 1000
        if frame.type is MessageType.HELLO:
            self.greeted = True
            nonce = wire.Hello.unpack(frame.payload).nonce
            self.say(MessageType.READY, frame.sequence, ready(nonce, self.slots, **self.changes).pack())
        elif frame.type is MessageType.STATS:
            self.say(
                MessageType.STATS_REPLY, frame.sequence, wire.Stats(self.uptime, self.images, 0, 0, 900, 600).pack()
            )
        elif frame.type is MessageType.SET_BAUD:
            self.baud = wire.Baud.unpack(frame.payload).baud
            self.say(MessageType.BAUD_SET, frame.sequence, frame.payload)
        elif frame.type is MessageType.PING:
            self.say(MessageType.PONG, frame.sequence, frame.payload)
        elif frame.type is MessageType.IMAGE and self.greeted:
            self.images += 1
            self.send_outputs(frame.sequence)
            scores = expected_scores(frame.payload)
            marks = tuple(range(self.changes.get("marks", 0)))
            answer = wire.Result(scores.index(max(scores)), zlib.crc32(frame.payload), 1234, scores, marks)
            self.say(MessageType.RESULT, frame.sequence, answer.pack())

        elif frame.type is MessageType.TRACE and self.outputs is not None:
            self.is_tracing = True
            self.say(MessageType.TRACE_SET, frame.sequence, b"")
        elif frame.type is MessageType.TRACE:
            refusal = wire.Refusal(ErrorCode.UNKNOWN_TYPE, MessageType.TRACE)
            self.say(MessageType.ERROR, frame.sequence, refusal.pack())

    def send_outputs(self, sequence):
        """What each step has put out, where TRACE has asked for it."""
        for step, output in enumerate(self.outputs if self.is_tracing else ()):
            for at in range(0, len(output), wire.OUTPUT_DATA_BYTES):
                part = output[at : at + wire.OUTPUT_DATA_BYTES].ljust(wire.OUTPUT_DATA_BYTES, b"\0")
                self.say(MessageType.OUTPUT, sequence, wire.Output(step, len(output), at, part).pack())
        self.is_tracing = False

    def take(self):
        return self.answers.popleft() if self.answers else b""
