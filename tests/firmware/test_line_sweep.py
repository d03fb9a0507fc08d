"""Faults at every place of a session with the C core, and many at random: nothing wrong, lost, or twice."""

from __future__ import annotations

import ctypes
import os
import random
from collections.abc import Callable

import pytest
from line_bench import CutLine, Line, LineBench, StruckLine, compile_board, inject

from host.errors import DeviceError
from host.link import wire
from host.link.faults import Event, Faults, Stall

FAST = 500_000
RANDOM_FAULTS = int(os.environ.get("DIGITDUINO_FAULTS", "250000"))
"""`make soak` injects more."""
SHARES = 4
"""Tests that share them, for as many processes."""
NOISE = Faults(drop=0.002, flip=0.002, dup=0.0015, insert=0.0015, truncate=0.01, stall=0.002, stall_s=1.0)

KINDS: dict[str, Callable[[int], Line]] = {
    "drop": lambda at: CutLine(at, 1),
    "drop 30": lambda at: CutLine(at, 30),
    "dup": lambda at: StruckLine(at, (b"\x41",)),
    "insert 0": lambda at: StruckLine(at, (b"\0",)),
    "insert 1": lambda at: StruckLine(at, (b"\1",)),
    "insert 255": lambda at: StruckLine(at, (b"\xff",)),
    "truncate": CutLine,
    "stall": lambda at: StruckLine(at, (Stall(3.5),)),
    "reset": lambda at: StruckLine(at, (Event.RESET,)),
    "two resets": lambda at: StruckLine(at, (Event.RESET, Stall(0.3), Event.RESET)),
    "1,000 bytes of garbage": lambda at: StruckLine(at, (random.Random(at).randbytes(1000),)),
    **{f"flip {bit}": lambda at, bit=bit: StruckLine(at, 1 << bit) for bit in range(8)},  # type: ignore[misc]
}


@pytest.fixture(scope="session")
def board(cc: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return compile_board(tmp_path_factory.mktemp("link_board"), cc)


def clean() -> StruckLine:
    return StruckLine(-1, 0)


@pytest.mark.parametrize("baud", [115_200, FAST])
@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_one_fault_at_every_byte_of_three_images_changes_nothing(
    board: ctypes.CDLL, kind: str, slots: int, baud: int
) -> None:
    there, back = clean(), clean()
    LineBench(board, 3, there, back, slots=slots, baud=baud).run().check()
    assert there.count > 100 and back.count > 150
    for at in range(there.count):
        LineBench(board, 3, KINDS[kind](at), clean(), slots=slots, baud=baud).run().check()
    for at in range(back.count):
        LineBench(board, 3, clean(), KINDS[kind](at), slots=slots, baud=baud).run().check()


@pytest.mark.parametrize("kilobytes", [1, 8, 64])
def test_garbage_before_between_and_after_frames(board: ctypes.CDLL, kilobytes: int) -> None:
    garbage = random.Random(kilobytes).randbytes(1024 * kilobytes)
    for at in (0, 14, 60, 95):
        LineBench(board, 3, StruckLine(at, (garbage,)), clean()).run().check()
        LineBench(board, 3, clean(), StruckLine(at, (garbage,))).run().check()


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_random_faults_lose_nothing_and_believe_nothing_wrong(board: ctypes.CDLL, share: int) -> None:
    total, seed = 0, share * RANDOM_FAULTS
    while total < RANDOM_FAULTS / SHARES:
        faults = Faults(**{**vars(NOISE), "seed": seed, "reset": 20})
        bench, injected = inject(board, faults, 1000, slots=1 + seed % 4, baud=(115_200, FAST)[seed % 2])
        assert bench.session.counters.retries > 100
        total += injected.total
        seed += 1


def test_a_host_that_believes_frames_without_their_crc_would_be_caught(
    board: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    def believe(data: bytes) -> wire.Frame:
        raw = wire.cobs_decode(data)
        return wire.Frame(wire.MessageType(raw[0]), raw[1], raw[2:-4])

    monkeypatch.setattr(wire, "decode", believe)
    with pytest.raises((AssertionError, ValueError, IndexError, DeviceError)):
        _flip_everywhere(board)


def _flip_everywhere(board: ctypes.CDLL) -> None:
    for at in range(200):
        LineBench(board, 3, clean(), StruckLine(at, 1)).run().check()
