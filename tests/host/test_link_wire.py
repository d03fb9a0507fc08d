"""Frames: round trips, every single-byte fault refused, streams cut anywhere."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import FrameError
from host.link import wire
from host.link.wire import Frame, FrameSplitter, MessageType

frames = st.builds(
    Frame, st.sampled_from(MessageType), st.integers(0, 255), st.binary(max_size=600) | st.just(bytes(300))
)


@given(st.binary(max_size=1200))
def test_cobs_round_trips_without_zeros(data):
    coded = wire.cobs_encode(data)
    assert 0 not in coded
    assert len(coded) <= len(data) + len(data) // 254 + 1
    assert wire.cobs_decode(coded) == data


@pytest.mark.parametrize("length", [0, 1, 253, 254, 255, 508, 509])
def test_cobs_block_limits(length):
    for data in (b"\1" * length, b"\0" * length, b"\1" * length + b"\0"):
        assert wire.cobs_decode(wire.cobs_encode(data)) == data


def test_cobs_known_values():
    assert wire.cobs_encode(b"").hex() == "01"
    assert wire.cobs_encode(b"\0\0").hex() == "010101"
    assert wire.cobs_encode(b"\x11\x22\x00\x33").hex() == "0311220233"


@given(frames)
def test_a_frame_round_trips(frame):
    data = wire.encode(frame)
    assert data.endswith(b"\0") and data.count(0) == 1
    assert wire.decode(data[:-1]) == frame


def test_every_changed_byte_is_refused():
    data = wire.encode(Frame(MessageType.IMAGE, 7, bytes(range(40))))[:-1]
    for position in range(len(data)):
        for value in range(1, 256):
            if value != data[position]:
                with pytest.raises(FrameError):
                    wire.decode(data[:position] + bytes([value]) + data[position + 1 :])


def test_every_shortened_frame_is_refused():
    data = wire.encode(Frame(MessageType.PING, 7, bytes(range(40))))[:-1]
    for length in range(len(data)):
        with pytest.raises(FrameError):
            wire.decode(data[:length])


def test_an_unknown_type_is_refused():
    body = bytes([0x7E, 1])
    with pytest.raises(FrameError, match="0x7e"):
        wire.decode(wire.cobs_encode(body + zlib.crc32(body).to_bytes(4, "little")))


@given(st.lists(frames, max_size=5), st.data())
def test_the_splitter_cuts_wherever_the_stream_was_cut(sent, data):
    stream = b"".join(wire.encode(frame) for frame in sent)
    splitter, got = FrameSplitter(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += [wire.decode(piece) for piece in splitter.feed(stream[:size])]
        stream = stream[size:]
    assert got == sent


def test_the_splitter_forgets_endless_garbage():
    splitter = FrameSplitter(max_payload=16)
    for _ in range(1000):
        assert splitter.feed(b"\xaa" * 64) == []
    assert len(splitter._buffer) <= 64
    splitter.feed(b"\0")
    frame = Frame(MessageType.PING, 1, b"abcd")
    assert [wire.decode(piece) for piece in splitter.feed(wire.encode(frame))] == [frame]


@pytest.mark.parametrize(
    "payload",
    [
        wire.Hello(1, 0xDEADBEEF),
        wire.Stats(1, 2, 3, 4, 5, 6),
        wire.Ping(9),
        wire.Baud(500000),
        wire.Refusal(3, 77),
        wire.Ready(2, 2, 3, b"12345678", 4, 16, 16, 10, 2, 2, 3, 16000000, 16000000, b"atmega328p\0\0"),
    ],
)
def test_payloads_round_trip_and_need_their_exact_length(payload):
    data = payload.pack()
    assert type(payload).unpack(data) == payload
    for wrong in (data[:-1], data + b"\0"):
        with pytest.raises(FrameError, match=type(payload).__name__):
            type(payload).unpack(wrong)


def test_a_result_carries_raw_words():
    result = wire.Result(2, 0x12345678, 99, (0, 0xFFFFFFFF, 5))
    assert wire.Result.unpack(result.pack(), 3) == result
    with pytest.raises(FrameError):
        wire.Result.unpack(result.pack(), 4)
    profile = wire.Result(2, 0, 99, (0, 1, 2), (70, 29))
    assert wire.Result.unpack(profile.pack(), 3, 2) == profile
    assert len(profile.pack()) == wire.Result.size(3, 2) == len(result.pack()) + 8
    with pytest.raises(FrameError):
        wire.Result.unpack(profile.pack(), 3)
    with pytest.raises(FrameError, match="class"):
        wire.Result.unpack(wire.Result(3, 0, 0, (0, 0, 0)).pack(), 3)
