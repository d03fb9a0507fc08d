"""Drives one session over one transport to its end."""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.candidates import Candidate
from host.compile.export import Export
from host.errors import InputError, LinkTimeout
from host.link import wire
from host.link.faults import Faults, Injected
from host.link.faulty import FaultyTransport
from host.link.identity import Carried
from host.link.journal import Journal
from host.link.session import Session
from host.link.timing import Counters, Timing
from host.link.transport import Transport

_SLICE_S = 0.5
"""The longest single wait, so that Ctrl-C and a vanished child are noticed soon."""
IDLE_LIMIT_S = 120.0
"""Without a new digit for so long the run ends, whatever the board goes on saying: longer than all tries of one image
and all greetings together, which end by themselves."""


@dataclass(frozen=True)
class Outcome:
    """What the board answered: one Result an image, in order, and both ends' counters. `board_seconds` is the board's
    own clock between first and last image, `line_bytes` what all images together are on the line, stuffing included."""

    results: tuple[wire.Result, ...]
    ready: wire.Ready
    identity: Carried
    stats: wire.Stats
    counters: Counters
    board_seconds: float
    line_bytes: int
    injected: Injected | None = None
    """What --faults did."""
    resumed: int = 0
    """So many of the results come from an earlier run."""
    probes: tuple[wire.Result, ...] = ()
    """What the board answered to the images that went first."""

    @property
    def marks(self) -> tuple[tuple[int, ...], ...]:
        """Ticks of each step, image by image; empty tuples unless the board runs a profiling build."""
        return tuple(result.marks for result in self.results)


def identity(exported: Export) -> Candidate:
    """What a board that carries `exported` must answer."""
    return Candidate(exported)


def image_bytes(image: NDArray[np.uint8]) -> bytes:
    """An image (H, W) or (C, H, W) as a board takes it: row, column, channel."""
    return (image.transpose(1, 2, 0) if image.ndim == 3 else image).tobytes()


def stream(
    transport: Transport,
    images: Sequence[bytes],
    candidates: Sequence[Carried],
    *,
    baud: int = wire.DEFAULT_BAUD,
    timing: Timing | None = None,
    progress: Callable[[int, int], None] | None = None,
    faults: Faults | None = None,
    journal: Journal | None = None,
    first: Callable[[Carried], Sequence[bytes]] | None = None,
    wall_limit_s: float | None = None,
    idle_limit_s: float = IDLE_LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Send every image of which `journal` knows no result, and collect every result. Those go before them that `first`
    asks for of what the board carries, each time, and no journal keeps their results. Raise LinkError where the board
    or the line fails or no digit comes in `idle_limit_s`, InputError where `journal` holds results of other images."""
    if journal is not None:
        _check_digests(journal, images)
    results: dict[int, wire.Result] = dict(journal.known) if journal else {}
    todo = [index for index in range(len(images)) if index not in results]
    line_bytes = sum(len(wire.encode(wire.Frame(wire.MessageType.IMAGE, 1, image))) for image in images)
    faulty = None if faults is None else FaultyTransport(transport, faults, line_bytes)
    transport = faulty or transport

    last_digit = clock()

    probes: dict[int, wire.Result] = {}

    def record(position: int, result: wire.Result) -> None:
        nonlocal last_digit
        last_digit = clock()
        if position < 0:
            probes[position] = result
            return
        if journal is not None:
            journal.record(todo[position], result)
        results[todo[position]] = result
        if progress is not None:
            progress(len(results), len(images))

    session = Session(
        [images[index] for index in todo],
        candidates,
        record,
        clock,
        nonce=secrets.randbits(32),
        set_baud=transport.set_baud,
        greeted=journal.meet if journal else None,
        first=first,
        baud=baud,
        timing=timing,
    )
    end = None if wall_limit_s is None else clock() + wall_limit_s
    while not session.done:
        if output := session.take_output():
            transport.write(output)
        if data := transport.read(min(_SLICE_S, session.seconds_to_deadline())):
            session.receive(data)
        session.tick()
        if clock() - last_digit > idle_limit_s:
            raise LinkTimeout(
                f"board: found no new digit in {idle_limit_s:.0f} s, {len(results):,} of {len(images):,} done, "
                "need one; check cable and board, then run again with --resume"
            )
        if end is not None and clock() > end:
            raise LinkTimeout(f"board: found {len(results)} of {len(images)} answers in {wall_limit_s:.0f} s; rerun")
    assert session.ready and session.identity and session.stats and session.first_stats
    elapsed_us = (session.stats.uptime_us - session.first_stats.uptime_us) & 0xFFFFFFFF
    return Outcome(
        results=tuple(results[index] for index in range(len(images))),
        ready=session.ready,
        identity=session.identity,
        stats=session.stats,
        counters=session.counters,
        board_seconds=elapsed_us / 1e6,
        line_bytes=line_bytes,
        resumed=len(images) - len(todo),
        injected=faulty.injected if faulty else None,
        probes=tuple(probes[position] for position in sorted(probes)),
    )


def _check_digests(journal: Journal, images: Sequence[bytes]) -> None:
    """What an earlier run recorded must be answers to these very images."""
    for index, result in journal.known.items():
        if result.digest != zlib.crc32(images[index]):
            raise InputError(
                f"{journal.path}: digit {index}: found the result of another image; run without --resume to start anew"
            )
