"""The application in process: real C, a port made of Python functions, a clock that moves when told to."""

from __future__ import annotations

import ctypes
import struct
import zlib
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.link import wire
from host.link.wire import ErrorCode, Frame, MessageType

BYTES = ctypes.POINTER(ctypes.c_uint8)
PEEK = ctypes.CFUNCTYPE(ctypes.c_uint16, ctypes.c_void_p, ctypes.POINTER(BYTES))
DROP = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint16)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, BYTES, ctypes.c_uint16)
SET_BAUD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32)
CLOCK = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
COUNT = ctypes.CFUNCTYPE(ctypes.c_uint16, ctypes.c_void_p)
CAUSE = ctypes.CFUNCTYPE(ctypes.c_uint8, ctypes.c_void_p)

# The application counts time in units of 1,024 us.
UNIT_US = 1024
READY_PERIOD_US = wire.READY_PERIOD_MS * 1000 + UNIT_US
BAUD_TRIAL_US = wire.BAUD_TRIAL_MS * 1000 + UNIT_US
EARLY_US = 2 * UNIT_US
"""So much before the end of a period it is not over yet."""

# The fixture model's numbers, as in fixture_model/model_net.h.
BIAS = ((100, -200, 300), (-70000, 5, 0))
WEIGHTS = (((10, -20, 30, -40), (127, 127, 127, 127), (-1, 2, -3, 4)), ((127, -127, 1), (-5, 6, 7), (0, 3, -9)))
MULTIPLIER, SHIFT = 129, 14

EXACT_LENGTH = {
    MessageType.HELLO: 5,
    MessageType.IMAGE: 16,
    MessageType.STATS: 0,
    MessageType.PING: 4,
    MessageType.SET_BAUD: 4,
}


class Port(ctypes.Structure):
    """app_port."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("peek", PEEK),
        ("drop", DROP),
        ("write", WRITE),
        ("set_baud", SET_BAUD),
        ("ticks", CLOCK),
        ("micros", CLOCK),
        ("overruns", COUNT),
        ("stack_free", COUNT),
        ("is_stack_whole", CAUSE),
        ("reset_cause", CAUSE),
        ("clock_hz", ctypes.c_uint32),
        ("tick_hz", ctypes.c_uint32),
        ("ram_static", ctypes.c_uint16),
        ("slots", ctypes.c_uint8),
        ("board", ctypes.c_char_p),
    )


class Board:
    """The application on a port that this object plays."""

    def __init__(self, core: ctypes.CDLL, start_us: int = 0) -> None:
        self.now_us = start_us
        self.ticks = 1000
        self.is_calibrating = True
        self.is_stack_whole = 1
        self.incoming: deque[bytes] = deque()
        self.lying = (ctypes.c_uint8 * 0)()
        self.outgoing = bytearray()
        self.bauds: list[tuple[int, int]] = []
        self.port = Port(
            None,
            PEEK(self._peek),
            DROP(self._drop),
            WRITE(lambda _, data, count: self.outgoing.extend(data[:count])),
            SET_BAUD(lambda _, baud: self.bauds.append((baud, len(self.outgoing)))),
            CLOCK(self._tick),
            CLOCK(lambda _: self.now_us & 0xFFFFFFFF),
            COUNT(lambda _: 5),
            COUNT(lambda _: 1400),
            CAUSE(lambda _: self.is_stack_whole),
            CAUSE(lambda _: 2),
            16_000_000,
            16_000_000,
            488,
            7,
            b"test-board-x",
        )
        core.shim_app_port_bytes.restype = core.shim_app_bytes.restype = ctypes.c_size_t
        core.app_step.restype = ctypes.c_uint8
        assert core.shim_app_port_bytes() == ctypes.sizeof(Port)
        self.core = core
        self.state = ctypes.create_string_buffer(b"\xa5" * core.shim_app_bytes(), core.shim_app_bytes())
        core.app_init(self.state, ctypes.byref(self.port))
        self.is_calibrating = False

    def _peek(self, _: int, place: ctypes._Pointer[ctypes._Pointer[ctypes.c_uint8]]) -> int:
        data = self.incoming[0] if self.incoming else b""
        self.lying = (ctypes.c_uint8 * len(data))(*data)  # of its exact size, for the sanitizers
        place[0] = ctypes.cast(self.lying, BYTES)
        return len(data)

    def _drop(self, _: int, count: int) -> None:
        rest = self.incoming.popleft()[count:]
        if rest:
            self.incoming.appendleft(rest)

    def _tick(self, _: int) -> int:
        """Reading it takes 40 ticks; an inference with its second reading then seems to take 75,000."""
        self.ticks += 40 if self.is_calibrating else 75_040
        return self.ticks

    def step(self) -> int:
        return int(self.core.app_step(self.state, ctypes.byref(self.port)))

    def feed(self, data: bytes, piece_bytes: int = 60_000) -> list[Frame]:
        """Bytes in, replies out, with the application run until it has nothing to do."""
        self.incoming.extend(data[i : i + piece_bytes] for i in range(0, len(data), piece_bytes))
        while self.step():
            pass
        line = bytes(self.outgoing)
        self.outgoing.clear()
        return [wire.decode(piece) for piece in wire.FrameSplitter(wire.MAX_PAYLOAD).feed(line)]

    def ask(self, kind: MessageType, payload: bytes = b"", sequence: int = 1) -> list[Frame]:
        return self.feed(wire.encode(Frame(kind, sequence, payload)))

    def pass_us(self, microseconds: int) -> list[Frame]:
        self.now_us += microseconds
        return self.feed(b"")


@pytest.fixture
def board(core: ctypes.CDLL) -> Board:
    """A board that has said READY and heard HELLO."""
    fresh = Board(core)
    fresh.ask(MessageType.HELLO, wire.Hello(wire.PROTOCOL_VERSION, 1).pack())
    return fresh


def refusal(code: ErrorCode, detail: int, sequence: int = 1) -> list[Frame]:
    return [Frame(MessageType.ERROR, sequence, wire.Refusal(code, detail).pack())]


def sums_of(layer: int, x: list[int]) -> list[int]:
    rows = zip(BIAS[layer], WEIGHTS[layer], strict=True)
    return [bias + sum(w * v for w, v in zip(row, x, strict=True)) for bias, row in rows]


def defined_scores(image: bytes) -> list[int]:
    """The fixture model in plain Python: 4x4 image, one pooled value per quarter."""
    rows = [[0] * 6, *([0, *image[4 * y : 4 * y + 4], 0] for y in range(4)), [0] * 6]
    around = [(i, j) for j in (-1, 0, 1) for i in (-1, 0, 1)]

    def smooth(x: int, y: int) -> int:
        return sum((2 - abs(i)) * (2 - abs(j)) * rows[y + j][x + i] for i, j in around)

    pooled = [max(smooth(x + i, y + j) for j in (0, 1) for i in (0, 1)) for y in (1, 3) for x in (1, 3)]
    low, high = min(pooled), max(pooled)
    x = [(v - low) * 255 // (high - low) if high > low else 0 for v in pooled]
    hidden = [min(max((s * MULTIPLIER + (1 << (SHIFT - 1))) >> SHIFT, 0), 255) for s in sums_of(0, x)]
    return sums_of(1, hidden)


def defined_result(image: bytes, ticks: int = 75_000) -> wire.Result:
    scores = defined_scores(image)
    return wire.Result(scores.index(max(scores)), zlib.crc32(image), ticks, tuple(s & 0xFFFFFFFF for s in scores))


def weights_crc() -> int:
    """Of rows: bias, the multiplier brought to a shift of 16 but for the scores, weights."""
    rom = b""
    for layer, rule in enumerate((struct.pack("<H", MULTIPLIER << 16 - SHIFT), b"")):
        for bias, row in zip(BIAS[layer], WEIGHTS[layer], strict=True):
            rom += struct.pack("<i", bias) + rule + struct.pack(f"{len(row)}b", *row)
    return zlib.crc32(rom)


def expected_ready(nonce: int) -> wire.Ready:
    model_hash = bytes.fromhex("0123456789abcdef")
    clock_hz = 16_000_000
    return wire.Ready(2, 2, nonce, model_hash, weights_crc(), 4, 4, 3, 2, 7, 0, clock_hz, clock_hz, b"test-board-x")


@pytest.mark.parametrize("start_us", [0, 123, 2**32 - 100_000])
def test_ready_is_repeated_until_hello(core: ctypes.CDLL, start_us: int) -> None:
    board = Board(core, start_us)
    unasked = [Frame(MessageType.READY, 0, expected_ready(0).pack())]
    assert board.feed(b"") == unasked
    assert board.pass_us(READY_PERIOD_US - EARLY_US) == []
    assert board.pass_us(EARLY_US) == unasked
    assert board.pass_us(READY_PERIOD_US) == unasked
    hello = wire.Hello(wire.PROTOCOL_VERSION, 0xDEADBEEF).pack()
    assert board.ask(MessageType.HELLO, hello, 77) == [Frame(MessageType.READY, 77, expected_ready(0xDEADBEEF).pack())]
    assert board.pass_us(10 * READY_PERIOD_US) == []
    assert board.ask(MessageType.HELLO, hello, 78) == [Frame(MessageType.READY, 78, expected_ready(0xDEADBEEF).pack())]


def test_the_first_byte_ends_a_frame_that_the_reset_cut_short(core: ctypes.CDLL) -> None:
    board = Board(core)
    before_reset = wire.encode(Frame(MessageType.RESULT, 1, bytes(21)))[:7]
    assert before_reset[-1:] != wire.DELIMITER
    board.step()
    pieces = wire.FrameSplitter().feed(before_reset + bytes(board.outgoing))
    assert wire.decode(pieces[1]).type == MessageType.READY


def test_hello_of_another_version_is_refused_and_ready_goes_on(core: ctypes.CDLL) -> None:
    board = Board(core)
    board.feed(b"")
    assert board.ask(MessageType.HELLO, wire.Hello(1, 5).pack()) == refusal(ErrorCode.BAD_VERSION, 1)
    assert [frame.type for frame in board.pass_us(READY_PERIOD_US)] == [MessageType.READY]


@settings(max_examples=200)
@given(images=st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=4))
def test_images_are_classified(core: ctypes.CDLL, images: list[bytes]) -> None:
    board = Board(core)
    board.ask(MessageType.HELLO, wire.Hello(wire.PROTOCOL_VERSION, 1).pack())
    for sequence, image in enumerate(images):
        (reply,) = board.ask(MessageType.IMAGE, image, sequence)
        assert (reply.type, reply.sequence) == (MessageType.RESULT, sequence)
        assert wire.Result.unpack(reply.payload, 3) == defined_result(image)


def test_the_digest_is_of_the_image_as_it_lies_behind_the_inference(board: Board) -> None:
    """What an inference does to its image must show: the clock is read right before and right behind it."""
    image, readings = bytes(range(16)), []

    def tick(_: int) -> int:
        readings.append(board.state.raw.find(image))
        if len(readings) == 2:
            board.state[readings[-1]] = b"\xff"
        return 1000 * len(readings)

    board.port.ticks = CLOCK(tick)
    (reply,) = board.ask(MessageType.IMAGE, image)
    found = wire.Result.unpack(reply.payload, 3)
    assert len(readings) == 2 and min(readings) >= 0
    assert found.predicted == defined_result(image).predicted
    assert found.digest == zlib.crc32(b"\xff" + image[1:])


def test_no_result_comes_of_a_stack_that_has_run_into_other_data(board: Board) -> None:
    board.is_stack_whole = 0
    assert board.ask(MessageType.IMAGE, bytes(16), 7)[-1:] == refusal(ErrorCode.STACK_OVERFLOW, 0, sequence=7)
    assert board.ask(MessageType.PING, b"abcd") == [Frame(MessageType.PONG, 1, b"abcd")]


def test_a_clock_too_coarse_for_the_steps_gives_zero(profiling_core: ctypes.CDLL) -> None:
    board = Board(profiling_core)
    board.port.ticks = CLOCK(lambda _: 1000)
    reply = board.ask(MessageType.IMAGE, bytes(16))[0]
    assert wire.Result.unpack(reply.payload, 3, 2).marks == (0, 0)


def test_a_short_board_name_is_filled_up_with_zeros(board: Board) -> None:
    board.port.board = b"uno"
    (reply,) = board.ask(MessageType.HELLO, wire.Hello(wire.PROTOCOL_VERSION, 1).pack())[-1:]
    assert wire.Ready.unpack(reply.payload).board == b"uno" + bytes(9)


def test_the_count_of_broken_frames_stops_at_its_end(board: Board) -> None:
    board.feed(b"\5\0" * 65_600, piece_bytes=2)
    (reply,) = board.ask(MessageType.STATS)
    assert wire.Stats.unpack(reply.payload).bad_frames == 65_535


def test_a_profiling_build_tells_each_step_without_the_cost_of_telling(profiling_core: ctypes.CDLL) -> None:
    board = Board(profiling_core)
    (ready,) = board.ask(MessageType.HELLO, wire.Hello(wire.PROTOCOL_VERSION, 1).pack())[-1:]
    assert wire.Ready.unpack(ready.payload).marks == 2
    image = bytes(range(16))
    (reply,) = board.ask(MessageType.IMAGE, image)
    # Four readings behind the first: where the inference starts, behind either step, at the end.
    expected = replace(defined_result(image, ticks=4 * 75_000), marks=(75_000, 75_000))
    assert wire.Result.unpack(reply.payload, 3, 2) == expected


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 25, 26, 64, 65, 60_000])
def test_images_that_wait_in_the_port_are_answered_in_order(board: Board, piece_bytes: int) -> None:
    images = [bytes((17 * k + i) & 255 for i in range(16)) for k in range(20)]
    line = b"".join(wire.encode(Frame(MessageType.IMAGE, k, image)) for k, image in enumerate(images))
    replies = board.feed(line, piece_bytes)
    assert [reply.sequence for reply in replies] == list(range(20))
    assert [wire.Result.unpack(reply.payload, 3) for reply in replies] == [defined_result(image) for image in images]


def test_the_port_has_its_room_back_before_the_inference(board: Board) -> None:
    left = []
    board.port.ticks = CLOCK(lambda _: left.append(sum(map(len, board.incoming))) or 0)
    line = wire.encode(Frame(MessageType.IMAGE, 1, bytes(16)))
    board.feed(line + line[:5])
    assert left == [5, 5]


def test_an_image_cut_short_by_a_delimiter_leaves_the_slot_free(board: Board) -> None:
    line = wire.encode(Frame(MessageType.IMAGE, 1, bytes(range(16))))
    assert board.feed(line[:9] + b"\0") == refusal(ErrorCode.BAD_FRAME, 0, sequence=0)
    (reply,) = board.feed(line)
    assert wire.Result.unpack(reply.payload, 3) == defined_result(bytes(range(16)))


@pytest.mark.parametrize("kind", [0x00, 0x06, 0x7F, 0x81, 0x82, 0xFF])
def test_an_unknown_type_is_refused_by_name(board: Board, kind: int) -> None:
    body = bytes([kind, 9])
    line = wire.cobs_encode(body + zlib.crc32(body).to_bytes(4, "little")) + b"\0"
    assert board.feed(line) == refusal(ErrorCode.UNKNOWN_TYPE, kind, sequence=9)


@pytest.mark.parametrize("kind", EXACT_LENGTH)
def test_every_wrong_length_is_refused(board: Board, kind: MessageType) -> None:
    for length in {0, 1, 3, 4, 5, 6, 15, 16, 17, 255, 784} - {EXACT_LENGTH[kind]}:
        assert board.ask(kind, b"\7" * length) == refusal(ErrorCode.BAD_LENGTH, length)


@pytest.mark.parametrize("garbage", [b"\1", b"\xff" * 70_000, b"\5ab", bytes.fromhex("0303c0ffee")], ids=len)
def test_garbage_is_answered_once_and_forgotten_at_the_delimiter(board: Board, garbage: bytes) -> None:
    ping = wire.encode(Frame(MessageType.PING, 4, b"abcd"))
    pong = Frame(MessageType.PONG, 4, b"abcd")
    assert board.feed(garbage + b"\0\0\0" + ping) == [*refusal(ErrorCode.BAD_FRAME, 0, sequence=0), pong]


def test_stats_count_frames_and_broken_frames(board: Board) -> None:
    board.feed(b"\1\0" * 3)
    board.ask(MessageType.PING, b"abcd")
    board.now_us = 123_456
    (reply,) = board.ask(MessageType.STATS, sequence=200)
    assert (reply.type, reply.sequence) == (MessageType.STATS_REPLY, 200)
    assert wire.Stats.unpack(reply.payload) == wire.Stats(123_456, 3, 3, 5, 1400, 488)


@pytest.mark.parametrize("baud", [0, 9600, 115201, 6_553_500, 0xFFFFFFFF])
def test_an_unlisted_rate_is_refused(board: Board, baud: int) -> None:
    detail = baud >> 8 & 0xFFFF
    assert board.ask(MessageType.SET_BAUD, wire.Baud(baud).pack()) == refusal(ErrorCode.BAD_BAUD, detail)
    assert board.bauds == []


@pytest.mark.parametrize("baud", wire.BAUD_RATES)
def test_a_confirmed_rate_stays(board: Board, baud: int) -> None:
    reply = board.ask(MessageType.SET_BAUD, wire.Baud(baud).pack(), 5)
    assert reply == [Frame(MessageType.BAUD_SET, 5, wire.Baud(baud).pack())]
    assert board.bauds == [(baud, len(wire.encode(reply[0])))], "the reply goes out before the rate changes"
    board.pass_us(BAUD_TRIAL_US - EARLY_US)
    board.ask(MessageType.PING, b"abcd")
    board.pass_us(100 * BAUD_TRIAL_US)
    assert len(board.bauds) == 1


def test_an_unconfirmed_rate_falls_back(board: Board) -> None:
    board.ask(MessageType.SET_BAUD, wire.Baud(500_000).pack())
    board.feed(b"\xfe\xfe\xfe")  # what the old rate looks like at the new one
    board.pass_us(BAUD_TRIAL_US - EARLY_US)
    assert len(board.bauds) == 1
    board.pass_us(EARLY_US)
    assert [baud for baud, _ in board.bauds] == [500_000, wire.DEFAULT_BAUD]
    assert board.ask(MessageType.PING, b"abcd") == [Frame(MessageType.PONG, 1, b"abcd")]
    board.pass_us(100 * BAUD_TRIAL_US)
    assert len(board.bauds) == 2


@settings(max_examples=200)
@given(noise=st.binary(max_size=64), cut=st.integers(0, 30))
def test_after_any_noise_and_a_delimiter_the_board_answers_right(core: ctypes.CDLL, noise: bytes, cut: int) -> None:
    board = Board(core)
    image = wire.encode(Frame(MessageType.IMAGE, 6, bytes(range(16))))
    board.feed(noise + image[:cut] + b"\0")
    (reply,) = board.feed(image)
    assert wire.Result.unpack(reply.payload, 3) == defined_result(bytes(range(16)))
