"""Whatever answers at a port, or does not: one line with a remedy, exit code 3, and an end."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import termios
import threading
import tty
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import serial
from fake_board import IDENTITY, FakeBoard, ready
from networks import random_network

from host.cli import main
from host.errors import LinkTimeout, PortError
from host.link import transport as transport_module
from host.link import wire
from host.link.boards import connect_port
from host.link.journal import open_journal
from host.link.run import IDLE_LIMIT_S, stream
from host.link.timing import Timing
from host.link.transport import SerialTransport
from host.modelfile import file as model_file

QUICK = {"quiet_s": 0.05, "greeting_s": 0.03, "reply_s": 0.2, "greetings": 3, "regreetings": 4}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.h5"
    model_file.save(random_network(shape=(16, 16), classes=10), path)
    return path


@pytest.fixture
def refused(model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`refused(port)` is the one line of a `host verify` that ends with exit code 3; its waits are short."""
    monkeypatch.setattr("host.link.session.Timing", partial(Timing, **QUICK))  # type: ignore[arg-type]

    def verify(port: object) -> str:
        code = main(["verify", str(model), "--data", "digits", "--format", "int8", "--port", str(port)])
        said = capsys.readouterr().err
        assert code == 3, said
        assert said.startswith("host: ") and said.count("\n") == 1 and said[:-1].isprintable(), said
        assert ";" in said, f"no remedy: {said}"
        return said

    return verify


Behaviour = Callable[[bytes], bytes]


@contextmanager
def device(behaviour: Behaviour, leaves_after: int | None = None) -> Iterator[str]:
    """A port at whose other end `behaviour` answers what arrives (b"" each 10 ms of silence)."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stop = threading.Event()

    def serve() -> None:
        heard = 0
        while not stop.is_set():
            data = os.read(master, 4096) if select.select([master], [], [], 0.01)[0] else b""
            heard += len(data)
            if leaves_after is not None and heard > leaves_after:
                os.close(master)
                return
            answer = behaviour(data)
            if answer and select.select([], [master], [], 0)[1]:
                os.write(master, answer[:1024])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        stop.set()
        thread.join()
        os.close(slave)
        if leaves_after is None:
            os.close(master)


def silent(_: bytes) -> bytes:
    return b""


def test_a_missing_port(refused: Callable[..., str]) -> None:
    assert "no such port; ports here:" in refused("/dev/ttyNone7")


def test_a_regular_file_a_folder_and_a_pipe_are_no_serial_devices(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("file", "folder", "pipe"):
        assert f"{name}: not a serial device; see `host ports`" in refused(tmp_path / name)
    assert (tmp_path / "file").read_text() == "text"
    assert "not a serial device" in refused("/dev/null")


def test_a_port_without_permission(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise serial.SerialException(13, "could not open port /dev/ttyACM0: [Errno 13] Permission denied")

    monkeypatch.setattr(serial, "serial_for_url", denied)
    assert "permission denied; on Linux `sudo usermod -aG dialout $USER`" in refused("/dev/ttyACM0")


def test_a_port_that_another_verify_has(refused: Callable[..., str]) -> None:
    holder = (
        "import sys, time\nfrom host.link.boards import connect_port\n"
        "with connect_port(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(3600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with device(silent) as port:
        command = [sys.executable, "-c", holder, port]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            assert f"in use by process {process.pid}, another `host verify`; wait" in refused(port)
            process.kill()


def test_a_port_that_another_program_has(refused: Callable[..., str]) -> None:
    with device(silent) as port, serial.Serial(port, exclusive=True):
        assert "in use by another program; close the serial monitor" in refused(port)


def test_a_silent_device(refused: Callable[..., str]) -> None:
    with device(silent) as port:
        assert "found no answer in 3 greetings, need READY; is digitduino's firmware flashed" in refused(port)


FOREIGN: dict[str, Behaviour] = {
    "plain text": lambda _: b"Temperature: 21.5 C\r\n",
    "Firmata": lambda data: b"\xf9\x02\x05\xf0\x79\x02\x05\x53\x00\x74\x00\xf7" if data else b"\xe0\x7f\x00",
    "garbage of a wrong rate": lambda _: bytes((7 * k) % 255 + 1 for k in range(64)),
    "garbage with zeros": lambda _: bytes((37 * k * k) % 256 for k in range(200)),
    "zeros": lambda _: bytes(100),
    "an echo": lambda data: data,
    "a flood": lambda _: b"\xff" * 1024,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_another_sketch(refused: Callable[..., str], name: str) -> None:
    with device(FOREIGN[name]) as port:
        said = refused(port)
    if name == "an echo":  # HELLO comes back, a sound frame that no board sends
        assert "no READY" in said
    else:
        assert "bytes and no READY; another sketch or another baud rate answers: flash digitduino's" in said


@pytest.mark.parametrize("version", [1, 255])
@pytest.mark.parametrize("length", [1, 30, 60])
def test_firmware_of_another_protocol_version(refused: Callable[..., str], version: int, length: int) -> None:
    payload = (bytes((version,)) + ready().pack()[1:] + bytes(60))[:length]
    answer = wire.encode(wire.Frame(wire.MessageType.READY, 0, payload))
    with device(lambda data: answer if data else b"") as port:
        assert f"board: protocol: found version {version}, need 2; flash the firmware again" in refused(port)


def test_a_board_with_another_model(refused: Callable[..., str]) -> None:
    board = FakeBoard()
    board.reset()

    def answer(data: bytes) -> bytes:
        board.feed(data)
        return board.take()

    with device(answer) as port:
        assert "board: model: found 0102030405060708, need" in refused(port)
    assert board.images == 0


def test_a_port_that_vanishes(refused: Callable[..., str]) -> None:
    with device(silent, leaves_after=5) as port:
        assert "vanished while in use" in refused(port)


def test_a_port_whose_other_end_is_gone(refused: Callable[..., str]) -> None:
    master, slave = os.openpty()
    port = os.ttyname(slave)
    os.close(master)
    try:  # an open slave keeps its number from being given to another test's terminal
        said = refused(port)
    finally:
        os.close(slave)
    assert "its other end is gone" in said or "no such port" in said


def test_a_port_that_takes_no_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where hardware holds the line: its buffer fills up, and nobody reads."""
    monkeypatch.setattr(transport_module, "_WRITE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(transport_module, "_DRAIN_TIMEOUT_S", 0.2)
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        line = SerialTransport(os.ttyname(slave))
        with pytest.raises(PortError, match=r"took no bytes for .* s; reset the board, check the cable"):
            line.write(bytes(1 << 20))
        termios.tcflush(slave, termios.TCIOFLUSH)
        line.close()
    finally:
        os.close(master)
        os.close(slave)


def test_a_rate_is_changed_within_bounded_time_though_nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    class Stuck:
        out_waiting = 5
        baudrate = 115200

    monkeypatch.setattr(transport_module, "_DRAIN_TIMEOUT_S", 0.05)
    monkeypatch.setattr("time.sleep", waits.append)
    line = SerialTransport.__new__(SerialTransport)
    line._port, line._serial = "stuck", Stuck()
    line.set_baud(250_000)
    assert Stuck.baudrate == 115200 and line._serial.baudrate == 250_000 and waits


def test_a_url_that_nobody_serves(refused: Callable[..., str]) -> None:
    assert "socket://127.0.0.1:1: cannot be opened" in refused("socket://127.0.0.1:1")
    assert "cannot be opened" in refused("nonsense://x")


def test_a_port_is_free_again_after_a_refusal(refused: Callable[..., str]) -> None:
    with device(silent) as port:
        refused(port)
        with connect_port(port) as line:
            assert line.port == port


# --- no run without end: in fake time ----------------------------------------------------------------------------


class FakeLine:
    """Answers by `say(data, now)`; each read costs what it waits, and one millisecond at least."""

    def __init__(self, say: Callable[[bytes, float], bytes]) -> None:
        self.now = 1000.0
        self._say = say
        self._heard = b""
        self.reads = 0

    def read(self, timeout_s: float) -> bytes:
        self.reads += 1
        assert self.reads < 1_000_000, "no end"
        heard, self._heard = self._heard, b""
        answer = self._say(heard, self.now)
        self.now += 0.001 if answer else max(timeout_s, 0.001)
        return answer

    def write(self, data: bytes) -> None:
        self._heard += data

    def set_baud(self, baud: int) -> None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


IMAGES = [bytes((7 * k + j) % 251 for j in range(16)) for k in range(20)]


def ends(say: Callable[[bytes, float], bytes], words: str, **options: object) -> FakeLine:
    line = FakeLine(say)
    with pytest.raises(LinkTimeout, match=words) as caught:
        stream(line, IMAGES, [IDENTITY], clock=lambda: line.now, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value) and ";" in str(caught.value)
    assert line.now - 1000 <= IDLE_LIMIT_S * 1.05
    return line


def test_a_line_that_never_answers_ends() -> None:
    assert ends(lambda data, now: b"", "found no answer in 8 greetings").now < 1000 + 20


def board_of(**options: object) -> FakeBoard:
    board = FakeBoard(**options)
    board.reset()
    return board


FIRST = [bytes(16), bytes(range(16)), bytes(16 * [255])]


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("reset_at", [None, 1, 3, 7])
def test_what_is_asked_for_once_the_board_is_known_goes_first_and_is_kept_apart(
    slots: int, reset_at: int | None
) -> None:
    """Also over a reset, and once: the board is known then."""
    board, asked, resets = board_of(slots=slots), [], []

    def say(data: bytes, now: float) -> bytes:
        if reset_at is not None and board.images >= reset_at and not resets:
            resets.append(reset_at)
            board.answers.clear()
            board.reset()
        board.feed(data)
        return board.take()

    def first(carried: object) -> list[bytes]:
        asked.append(carried)
        return FIRST

    line = FakeLine(say)
    outcome = stream(line, IMAGES, [IDENTITY], clock=lambda: line.now, first=first)
    assert asked == [IDENTITY]
    assert [result.digest for result in outcome.probes] == [zlib.crc32(image) for image in FIRST]
    assert [result.digest for result in outcome.results] == [zlib.crc32(image) for image in IMAGES]
    assert outcome.counters.resets == (reset_at is not None) and board.images >= len(FIRST) + len(IMAGES)


def test_they_are_asked_again_of_a_run_that_goes_on_and_no_journal_keeps_them(tmp_path: Path) -> None:
    path, facts = tmp_path / "run.journal", {"of": "tests"}
    for known, resume in ((0, False), (len(IMAGES), True)):
        board = board_of()
        line = FakeLine(lambda data, now, board=board: (board.feed(data), board.take())[1])
        with open_journal(path, facts, len(IMAGES), resume=resume) as journal:
            assert len(journal.known) == known
            outcome = stream(
                line, IMAGES, [IDENTITY], clock=lambda line=line: line.now, first=lambda _: FIRST, journal=journal
            )
        assert len(outcome.probes) == len(FIRST) and len(outcome.results) == len(IMAGES)
        assert board.images == len(FIRST) + len(IMAGES) - known


def test_a_board_that_greets_for_ever_ends() -> None:
    """READY with the right nonce again and again puts off the deadline of the question that follows it."""
    board = board_of()
    nonce = 0

    def say(data: bytes, now: float) -> bytes:
        nonlocal nonce
        for piece in wire.FrameSplitter().feed(data):
            frame = wire.decode(piece)
            if frame.type is wire.MessageType.HELLO:
                nonce = wire.Hello.unpack(frame.payload).nonce
        if nonce:
            return wire.encode(wire.Frame(wire.MessageType.READY, 0, ready(nonce).pack()))
        return board.take()

    ends(
        say, "found no new digit in 120 s, 0 of 20 done, need one; check cable and board, then run again with --resume"
    )


@pytest.mark.parametrize("kind", [wire.MessageType.PONG, wire.MessageType.STATS_REPLY, wire.MessageType.IMAGE])
def test_a_board_that_says_other_things_for_ever_ends(kind: wire.MessageType) -> None:
    sizes = {wire.MessageType.PONG: 4, wire.MessageType.STATS_REPLY: 16, wire.MessageType.IMAGE: 16}
    board = board_of()

    def say(data: bytes, now: float) -> bytes:
        board.feed(data)
        if board.images:
            board.answers.clear()
            return wire.encode(wire.Frame(kind, 0, bytes(sizes[kind])))
        return board.take()

    ends(say, "no valid answer in 30 tries|no new digit")


def test_a_board_that_answers_with_another_images_digest_for_ever_ends() -> None:
    board = board_of()

    def say(data: bytes, now: float) -> bytes:
        board.feed(data)
        answer = board.take()
        for piece in wire.FrameSplitter().feed(answer):
            frame = wire.decode(piece)
            if frame.type is wire.MessageType.RESULT:
                result = replace(wire.Result.unpack(frame.payload, 3), digest=7)
                return wire.encode(replace(frame, payload=result.pack()))
        return answer

    ends(say, "no valid answer in 30 tries")


def test_a_board_that_stops_in_the_middle_ends_and_one_that_is_slow_does_not() -> None:
    board = board_of()

    def stops(data: bytes, now: float) -> bytes:
        board.feed(data)
        return board.take() if board.images < 10 else b""

    line = FakeLine(stops)
    with pytest.raises(LinkTimeout, match="image 9: found no valid answer in 30 tries"):
        stream(line, IMAGES, [IDENTITY], clock=lambda: line.now)
    slow_board, waiting = board_of(), []

    def slow(data: bytes, now: float) -> bytes:
        slow_board.feed(data)
        while answer := slow_board.take():
            waiting.append((now + 2.5, answer))
        return waiting.pop(0)[1] if waiting and waiting[0][0] <= now else b""

    line = FakeLine(slow)
    outcome = stream(line, IMAGES, [IDENTITY], clock=lambda: line.now, idle_limit_s=30)
    assert len(outcome.results) == 20 and line.now - 1000 > 45


def test_a_slow_but_steady_run_outlasts_the_watchdog_and_a_stuck_one_does_not() -> None:
    board = board_of()
    line = FakeLine(lambda data, now: (board.feed(data), board.take())[1])
    assert len(stream(line, IMAGES, [IDENTITY], clock=lambda: line.now, idle_limit_s=1).results) == 20
    ends(lambda data, now: b"x", "found no new digit in 5 s, 0 of 20", idle_limit_s=5)
