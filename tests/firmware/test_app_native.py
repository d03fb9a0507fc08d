"""The native program, as the host will start it, with the sanitizers on."""

from __future__ import annotations

import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import LIMIT_S

from host.link import wire
from host.link.wire import Frame, MessageType

Process = subprocess.Popen[bytes]


@pytest.fixture
def program(native_program: Path) -> Iterator[Process]:
    process = subprocess.Popen([native_program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    yield process
    process.kill()
    process.communicate()


def read_frame(process: Process) -> Frame:
    """The next frame; byte by byte, so that nothing of a later one is lost."""
    assert process.stdout is not None
    line = bytearray()
    while (byte := process.stdout.read(1)) != wire.DELIMITER or not line:
        assert byte, "the program ended"
        line += byte.strip(wire.DELIMITER)
    return wire.decode(bytes(line))


def send(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)


def greet(process: Process) -> wire.Ready:
    send(process, wire.encode(Frame(MessageType.HELLO, 7, wire.Hello(wire.PROTOCOL_VERSION, 0xC0FFEE).pack())))
    while (reply := read_frame(process)).sequence != 7:
        pass
    return wire.Ready.unpack(reply.payload)


@pytest.fixture
def before() -> float:
    """The time before there is a program; a busy machine may show what it says long after it was said."""
    return time.monotonic()


def test_it_says_ready_by_itself_and_again(before: float, program: Process) -> None:
    first = wire.Ready.unpack(read_frame(program).payload)
    second = wire.Ready.unpack(read_frame(program).payload)
    assert first == second
    assert first.nonce == 0
    assert time.monotonic() - before > 0.99 * wire.READY_PERIOD_MS / 1000
    assert (first.board.rstrip(b"\0"), first.tick_hz, first.slots) == (b"native", 1_000_000, 2)


def test_a_session(program: Process) -> None:
    assert greet(program).nonce == 0xC0FFEE
    for sequence in range(300):
        image = bytes((sequence * (i + 3)) & 255 for i in range(16))
        send(program, wire.encode(Frame(MessageType.IMAGE, sequence & 255, image)))
        reply = read_frame(program)
        assert (reply.type, reply.sequence) == (MessageType.RESULT, sequence & 255)
        assert wire.Result.unpack(reply.payload, 3).digest == zlib.crc32(image)
    send(program, wire.encode(Frame(MessageType.STATS, 1, b"")))
    stats = wire.Stats.unpack(read_frame(program).payload)
    assert (stats.frames, stats.bad_frames, stats.stack_free) == (302, 0, 0xFFFF)
    send(program, wire.encode(Frame(MessageType.SET_BAUD, 2, wire.Baud(500_000).pack())))
    assert read_frame(program).type == MessageType.BAUD_SET


def test_it_answers_what_was_asked_before_the_end_of_input(native_program: Path) -> None:
    requests = b"".join(wire.encode(Frame(MessageType.PING, i, bytes([i] * 4))) for i in range(200))
    result = subprocess.run([native_program], input=requests, capture_output=True, check=False, timeout=LIMIT_S)
    assert (result.returncode, result.stderr) == (0, b"")
    frames = [wire.decode(piece) for piece in wire.FrameSplitter().feed(result.stdout)]
    assert [f.sequence for f in frames if f.type == MessageType.PONG] == list(range(200))


def test_end_of_input_ends_it(native_program: Path) -> None:
    result = subprocess.run([native_program], input=b"", capture_output=True, check=False, timeout=LIMIT_S)
    assert (result.returncode, result.stderr) == (0, b"")
