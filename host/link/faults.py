"""What a bad cable does, on purpose and reproducibly: a SPEC such as `drop=0.001,flip=0.001,reset=10,seed=7`.

Each direction has its own counter of bytes and its own dice, so what happens to byte N depends on the SPEC, the
direction and the bytes before it, never on time or on how the bytes were cut into pieces.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import accumulate
from typing import Any

from host.errors import InputError, near
from host.link.wire import DELIMITER

_LONGEST_CUT = 64
"""A truncated frame loses its end from a byte between the first and this one."""
_RESET_PERIOD = 50_000
"""Bytes between resets where nobody knows how long the run will be."""
_NEVER = 1 << 62
"""Bytes."""
_MOST_RESETS = 10_000
"""Each has a place in memory before the run begins."""


class Direction(Enum):
    """Which way bytes go."""

    TO_BOARD = "to"
    FROM_BOARD = "from"


class Kind(Enum):
    """What can happen to a byte or at it."""

    DROP = "drop"
    FLIP = "flip"
    DUP = "dup"
    INSERT = "insert"
    TRUNCATE = "truncate"
    STALL = "stall"
    RESET = "reset"
    UNPLUG = "unplug"


@dataclass(frozen=True)
class Spot:
    """`kind` strikes at byte number `byte` of one direction, counted from 0."""

    byte: int
    kind: Kind
    direction: Direction = Direction.TO_BOARD


@dataclass(frozen=True)
class Faults:
    """A parsed SPEC. drop, flip, dup, insert: probability for each byte. truncate, stall: for each frame. Both ways."""

    drop: float = 0.0
    flip: float = 0.0
    dup: float = 0.0
    insert: float = 0.0
    truncate: float = 0.0
    stall: float = 0.0
    stall_s: float = 0.2
    reset: int = 0
    unplug: int | None = None
    seed: int = 0
    at: tuple[Spot, ...] = ()


_PROBABILITIES = ("drop", "flip", "dup", "insert", "truncate")
_KEYS = (*_PROBABILITIES, "stall", "reset", "unplug", "at", "seed")


def parse_faults(spec: str) -> Faults:
    """The faults that SPEC asks for; raise InputError naming the part that cannot be read.

    >>> parse_faults("drop=0.001,stall=0.01:0.5,at=120:flip:from,seed=3").at
    (Spot(byte=120, kind=<Kind.FLIP: 'flip'>, direction=<Direction.FROM_BOARD: 'from'>),)
    """
    faults = Faults()
    given: set[str] = set()
    for part in spec.split(","):
        key, equals, text = part.strip().partition("=")
        if key not in _KEYS:
            raise InputError(f"--faults: key: found {key!r}{near(key, _KEYS)}, need one of {', '.join(_KEYS)}")
        if not equals or (key in given and key != "at"):
            raise InputError(
                f"--faults: {key}: found {part.strip()!r}, need {key}=VALUE once; see `host verify --help`"
            )
        given.add(key)
        faults = _with(faults, key, text)
    if faults.drop + faults.flip + faults.dup + faults.insert > 1:
        raise InputError("--faults: drop, flip, dup, insert: found a sum above 1, need at most 1; lower them")
    _check_places(faults)
    return faults


def _check_places(faults: Faults) -> None:
    """Raise InputError where two faults of the SPEC claim one byte, of which only one could strike."""
    taken: dict[tuple[int, Direction], Kind] = {}
    unplugging = () if faults.unplug is None else (Spot(faults.unplug, Kind.UNPLUG),)
    for spot in (*faults.at, *unplugging):
        place = (spot.byte, spot.direction)
        if place in taken:
            raise InputError(
                f"--faults: byte {spot.byte} {spot.direction.value} the board: found {taken[place].value} and "
                f"{spot.kind.value}, need one fault at a place; move one or leave it out"
            )
        taken[place] = spot.kind


def _with(faults: Faults, key: str, text: str) -> Faults:
    if key == "at":
        return replace(faults, at=(*faults.at, _spot(text)))
    if key == "stall":
        share, colon, seconds = text.partition(":")
        longest = _number(key, seconds, 3600) if colon else faults.stall_s
        return replace(faults, stall=_number(key, share, 1), stall_s=longest)
    value: Any = (
        _number(key, text, 1) if key in _PROBABILITIES else _count(key, text, _MOST_RESETS if key == "reset" else None)
    )
    return replace(faults, **{key: value})


def _spot(text: str) -> Spot:
    byte, _, rest = text.partition(":")
    kind, _, direction = rest.partition(":")
    kinds = [one.value for one in Kind]
    if kind not in kinds:
        found, need = f"{kind!r}{near(kind, kinds)}", f"one of {', '.join(kinds)}"
        raise InputError(f"--faults: at={text}: kind: found {found}, need {need} in at=BYTE:KIND")
    if direction not in ("", "to", "from"):
        raise InputError(f"--faults: at={text}: direction: found {direction!r}, need to or from (the board)")
    return Spot(_count("at", byte), Kind(kind), Direction(direction or "to"))


def _number(key: str, text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise InputError(f"--faults: {key}: found {text!r}, need a number from 0 to {most:g}; write {key}=0.001, say")
    return value


def _count(key: str, text: str, most: int | None = None) -> int:
    is_count = text.isascii() and text.isdigit() and len(text) < 16
    if not is_count or (most is not None and int(text) > most):
        up_to = "" if most is None else f" to {most:,}"
        raise InputError(f"--faults: {key}: found {text!r}, need a whole number from 0{up_to}; write {key}=10, say")
    return int(text)


@dataclass(frozen=True)
class Stall:
    """The line is silent so long."""

    seconds: float


class Event(Enum):
    """What bytes cannot say."""

    RESET = "reset"
    UNPLUG = "unplug"


@dataclass
class Injected:
    """How often each kind has struck."""

    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        return ", ".join(f"{count:,} {kind.value}" for kind, count in self.counts.items() if count) or "none"


class FaultyLine:
    """One direction of a line: bytes in; bytes, silences and events out, in order."""

    def __init__(
        self, faults: Faults, direction: Direction, injected: Injected, expected_bytes: int | None = None
    ) -> None:
        self._faults = faults
        self._injected = injected
        self._dice = random.Random(f"{faults.seed} {direction.value}")
        self._spots = {spot.byte: spot.kind for spot in faults.at if spot.direction is direction}
        if direction is Direction.TO_BOARD:
            self._spots = {**_resets(faults, expected_bytes), **self._spots}
            if faults.unplug is not None:
                self._spots[faults.unplug] = Kind.UNPLUG
        self._places = deque(sorted(self._spots))
        rates = {Kind.DROP: faults.drop, Kind.FLIP: faults.flip, Kind.DUP: faults.dup, Kind.INSERT: faults.insert}
        self._kinds, self._weights = list(rates), list(accumulate(rates.values()))
        self._rate = self._weights[-1]
        self._has_frame_faults = faults.truncate > 0 or faults.stall > 0
        self._count = 0
        self._at_start = True
        self._left: int | None = None
        self._next_draw = self._draw_gap()

    def carry(self, data: bytes) -> Iterator[bytes | Stall | Event]:
        """What becomes of `data`."""
        out = bytearray()
        at = 0
        while at < len(data):
            if self._at_start and self._has_frame_faults and data[at] != DELIMITER[0]:
                silence = self._start_frame()
                if silence:
                    yield bytes(out)
                    out.clear()
                    yield silence
            end = self._end_of_calm(data, at)
            if end > at:
                out += self._uncut(data[at:end])
                self._count += end - at
                at = end
                continue
            kind = self._kind_here()
            if kind in (Kind.STALL, Kind.RESET, Kind.UNPLUG):
                self._injected.counts[kind] += 1
                yield bytes(out)
                out.clear()
                yield Stall(self._faults.stall_s) if kind is Kind.STALL else Event(kind.value)
                kind = None
            out += self._strike(data[at], kind)
            self._count += 1
            at += 1
        yield bytes(out)

    def _end_of_calm(self, data: bytes, at: int) -> int:
        """Where the bytes end that are neither struck nor a delimiter."""
        struck = min(self._next_draw, self._places[0]) if self._places else self._next_draw
        end = min(len(data), at + struck - self._count)
        delimiter = data.find(DELIMITER, at, end)
        return end if delimiter < 0 else delimiter

    def _uncut(self, calm: bytes) -> bytes:
        """What a truncated frame still has of `calm`."""
        if self._left is None:
            return calm
        kept = calm[: self._left]
        self._left -= len(kept)
        return kept

    def _kind_here(self) -> Kind | None:
        """What strikes the next byte; a place of the SPEC comes before the dice."""
        kind = None
        if self._count == self._next_draw:
            kind = self._dice.choices(self._kinds, cum_weights=self._weights)[0]
            self._next_draw = self._count + 1 + self._draw_gap()
        if self._places and self._places[0] == self._count:
            kind = self._spots[self._places.popleft()]
        return kind

    def _draw_gap(self) -> int:
        """Bytes until the next that is struck, if each is with the same probability: geometrically distributed."""
        if self._rate == 0:
            return _NEVER
        if self._rate >= 1:
            return 0
        return int(min(math.log(1 - self._dice.random()) / math.log1p(-self._rate), _NEVER))

    def _start_frame(self) -> Stall | None:
        self._at_start = False
        if self._dice.random() < self._faults.truncate:
            self._injected.counts[Kind.TRUNCATE] += 1
            self._left = self._dice.randrange(_LONGEST_CUT)
        if self._dice.random() < self._faults.stall:
            self._injected.counts[Kind.STALL] += 1
            return Stall(self._faults.stall_s)
        return None

    def _strike(self, byte: int, kind: Kind | None) -> bytes:
        if byte == DELIMITER[0]:
            self._at_start = True
            self._left = None
        elif self._left is not None:
            if self._left == 0:
                return b""
            self._left -= 1
        if kind is None:
            return bytes((byte,))
        self._injected.counts[kind] += 1
        if kind is Kind.FLIP:
            return bytes((byte ^ 1 << self._dice.randrange(8),))
        if kind is Kind.DUP:
            return bytes((byte, byte))
        if kind is Kind.INSERT:
            return bytes((self._dice.randrange(256), byte))
        if kind is Kind.TRUNCATE:
            self._left = 0 if byte != DELIMITER[0] else None
        return b""


def _resets(faults: Faults, expected_bytes: int | None) -> dict[int, Kind]:
    """At even distances over the bytes that a clean run sends, each moved a little by the dice."""
    period = _RESET_PERIOD if expected_bytes is None else max(1, expected_bytes // (faults.reset + 1))
    dice = random.Random(f"{faults.seed} resets")
    return {period * (i + 1) + dice.randrange(period // 4 + 1): Kind.RESET for i in range(faults.reset)}
