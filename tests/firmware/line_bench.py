"""One session against the C core in process, in fake time, through a line that does what a test wants."""

from __future__ import annotations

import ctypes
import random
from collections import deque
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Protocol

from firmware_build import CORE_FLAGS, CORE_SOURCES, FIXTURE_MODEL, compile_c

from host.link import wire
from host.link.faults import Direction, Event, Faults, FaultyLine, Injected, Stall
from host.link.identity import Identity
from host.link.session import Session
from host.link.timing import Timing

IMAGE_BYTES, CLASSES = 16, 3
_IDLE_S = wire.READY_PERIOD_MS / 1000
_MOST_STEPS_PER_IMAGE = 2000
Item = bytes | Stall | Event


class Line(Protocol):
    """One direction."""

    def carry(self, data: bytes) -> Iterable[Item]: ...


class StruckLine:
    """Nothing happens but at byte `at`, in whose place `becomes` comes."""

    def __init__(self, at: int, becomes: Iterable[Item] | int) -> None:
        self._at, self._becomes, self.count = at, becomes, 0

    def carry(self, data: bytes) -> Iterable[Item]:
        place = self._at - self.count
        self.count += len(data)
        if not 0 <= place < len(data):
            return (data,)
        if isinstance(self._becomes, int):
            return (data[:place], bytes((data[place] ^ self._becomes,)), data[place + 1 :])
        return (data[:place], *self._becomes, data[place:])


class CutLine(StruckLine):
    """Byte `at` and what follows it up to the next delimiter are lost; with `count` bytes only so many."""

    def __init__(self, at: int, count: int | None = None) -> None:
        super().__init__(at, 0)
        self._left = count

    def carry(self, data: bytes) -> Iterable[Item]:
        out = bytearray()
        for byte in data:
            lost = self.count >= self._at and self._left != 0
            self.count += 1
            if lost and self._left is None and byte == 0:
                self._left, lost = 0, False
            elif lost and self._left is not None:
                self._left -= 1
            if not lost:
                out.append(byte)
        return (bytes(out),)


def compile_board(folder: Path, compiler: str = "cc") -> ctypes.CDLL:
    """The C core with link_board.c as a shared library in `folder`."""
    library = folder / "link_board.so"
    source = Path(__file__).with_name("link_board.c")
    compile_c(
        [compiler, "-O2", "-shared", "-fPIC", *CORE_FLAGS, f"-I{FIXTURE_MODEL}", source, *CORE_SOURCES, "-o", library]
    )
    board = ctypes.CDLL(str(library))
    board.link_board_run.restype = board.link_board_baud.restype = ctypes.c_uint32
    board.link_board_run.argtypes = [ctypes.c_char_p, ctypes.c_uint16, ctypes.c_uint32]
    board.link_board_said.restype = ctypes.c_void_p
    return board


@cache
def image(index: int) -> bytes:
    """Another one for each index; every fourth full of zeros and repetitions, for the stuffing."""
    dice = random.Random(index)
    return (
        bytes(dice.choice((0, 0, 255)) for _ in range(IMAGE_BYTES)) if index % 4 == 3 else dice.randbytes(IMAGE_BYTES)
    )


class LineBench:
    """`run` a session of `count` images to its end; `check` that each was recorded once and right."""

    def __init__(
        self, board: ctypes.CDLL, count: int, there: Line, back: Line, *, slots: int = 2, baud: int = wire.DEFAULT_BAUD
    ) -> None:
        self.board, self.count, self.slots = board, count, slots
        self.there, self.back = there, back
        self.now = 0.0
        self.host_baud = wire.DEFAULT_BAUD
        self.recorded: dict[int, wire.Result] = {}
        self.pending: deque[Item] = deque()
        board.link_board_reset(slots)
        self.session = Session(
            [image(index) for index in range(count)],
            [identity_of(board)],
            self._record,
            lambda: self.now,
            nonce=count,
            set_baud=self._set_baud,
            baud=baud,
            timing=Timing(resets=1_000_000),
        )

    def run(self) -> LineBench:
        for _ in range(_MOST_STEPS_PER_IMAGE * (self.count + 10)):
            for item in self.there.carry(self.session.take_output()):
                self._to_board(item)
            if self.pending:
                self._to_host(self.pending.popleft())
            elif not self.session.done:
                self.now += min(_IDLE_S, max(self.session.seconds_to_deadline(), 1e-4))
                self._to_board(b"")
            self.session.tick()
            if self.session.done:
                return self
        raise AssertionError(f"no end in state {self.session.state}")

    def check(self) -> None:
        assert sorted(self.recorded) == list(range(self.count)), "digits were lost"
        for index, result in self.recorded.items():
            assert (result.predicted, result.digest, result.scores) == truth(self.board, index), (
                f"digit {index} is wrong"
            )

    def _record(self, index: int, result: wire.Result) -> None:
        assert index not in self.recorded, f"digit {index} was recorded twice"
        self.recorded[index] = result

    def _set_baud(self, baud: int) -> None:
        self.host_baud = baud

    def _to_board(self, item: Item) -> None:
        if isinstance(item, Stall):
            self.now += item.seconds
        elif item is Event.RESET:
            self.pending.clear()
            self.board.link_board_reset(self.slots)
        elif isinstance(item, bytes):
            # Frame by frame, since a frame may change the rate at which the next is heard.
            *frames, rest = item.split(wire.DELIMITER)
            for piece in (*(frame + wire.DELIMITER for frame in frames), rest):
                for start in range(0, len(piece) or 1, 60_000):
                    self._tell(piece[start : start + 60_000])

    def _tell(self, data: bytes) -> None:
        if self.host_baud != self.board.link_board_baud():
            data = b"\x55" * len(data)
        before = self.board.link_board_baud()
        said = self.board.link_board_run(data, len(data), int(self.now * 1e6) & 0xFFFFFFFF)
        if said:
            answer = ctypes.string_at(self.board.link_board_said(), said)
            if before != self.host_baud:
                answer = b"\x0f\xf0\x00" * (said // 3)
            self.pending.extend(item for item in self.back.carry(answer) if item)

    def _to_host(self, item: Item) -> None:
        if isinstance(item, bytes):
            self.session.receive(item)
        else:
            self._to_board(item)


_TRUTH: dict[int, tuple[int, int, tuple[int, ...]]] = {}
_IDENTITY: list[Identity] = []


def _ask(board: ctypes.CDLL, kind: wire.MessageType, payload: bytes) -> bytes:
    line = wire.encode(wire.Frame(kind, 0, payload))
    said = ctypes.string_at(board.link_board_said(), board.link_board_run(line, len(line), 0))
    return wire.decode(wire.FrameSplitter().feed(said)[-1]).payload


def identity_of(board: ctypes.CDLL) -> Identity:
    """What the board says of itself; the board is reset."""
    if not _IDENTITY:
        board.link_board_reset(1)
        ready = wire.Ready.unpack(_ask(board, wire.MessageType.HELLO, wire.Hello(wire.PROTOCOL_VERSION, 1).pack()))
        _IDENTITY.append(
            Identity(ready.model_hash, (ready.weights_crc,), ready.height, ready.width, ready.classes, ready.format)
        )
        board.link_board_reset(1)
    return _IDENTITY[0]


def truth(board: ctypes.CDLL, index: int) -> tuple[int, int, tuple[int, ...]]:
    """What the board answers to an image on a clean line; other tests hold that against the definition."""
    if index not in _TRUTH:
        result = wire.Result.unpack(_ask(board, wire.MessageType.IMAGE, image(index)), CLASSES)
        _TRUTH[index] = (result.predicted, result.digest, result.scores)
    return _TRUTH[index]


def inject(board: ctypes.CDLL, faults: Faults, count: int, **options: int) -> tuple[LineBench, Injected]:
    """One checked session of `count` images through a line with `faults`."""
    injected = Injected()
    line_bytes = count * 25
    there = FaultyLine(faults, Direction.TO_BOARD, injected, line_bytes)
    back = FaultyLine(faults, Direction.FROM_BOARD, injected)
    bench = LineBench(board, count, there, back, **options).run()
    bench.check()
    return bench, injected
