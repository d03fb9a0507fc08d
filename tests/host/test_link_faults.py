"""A bad line on purpose: what SPEC means, that it repeats itself, and what is said of one that cannot be read."""

from collections import deque

import pytest

from host.errors import InputError, PortError
from host.link.faults import Direction, Event, Faults, FaultyLine, Injected, Kind, Spot, Stall, parse_faults
from host.link.faulty import FaultyTransport

NOISY = "drop=0.02,flip=0.02,dup=0.02,insert=0.02,truncate=0.05,stall=0.02:0.5,reset=3,seed=9"
FRAMES = b"".join(bytes(1 + (7 * k + j) % 250 for j in range(40)) + b"\0" for k in range(100))


def carried(faults, data, pieces=1, direction=Direction.TO_BOARD, **options):
    """What comes out, neighbouring bytes joined."""
    line = FaultyLine(faults, direction, Injected(), **options)
    out = [b""]
    step = len(data) // pieces
    for start in range(0, len(data), step):
        for item in line.carry(data[start : start + step]):
            if isinstance(item, bytes) and isinstance(out[-1], bytes):
                out[-1] += item
            elif item:
                out.append(item)
    return out


def test_no_faults_change_nothing():
    assert carried(Faults(), FRAMES) == [FRAMES]


@pytest.mark.parametrize("direction", Direction)
def test_the_same_spec_does_the_same_however_the_bytes_are_cut(direction):
    faults = parse_faults(NOISY)
    whole = carried(faults, FRAMES, 1, direction, expected_bytes=len(FRAMES))
    assert whole == carried(faults, FRAMES, 410, direction, expected_bytes=len(FRAMES))
    assert whole != [FRAMES]
    other = parse_faults(NOISY.replace("seed=9", "seed=8"))
    assert whole != carried(other, FRAMES, 1, direction, expected_bytes=len(FRAMES))


def test_both_directions_have_dice_of_their_own():
    faults = parse_faults("drop=0.1")
    assert carried(faults, FRAMES) != carried(faults, FRAMES, direction=Direction.FROM_BOARD)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("drop", [b"abde\0gh\0"]),
        ("dup", [b"abccde\0gh\0"]),
        ("truncate", [b"ab\0gh\0"]),
        ("stall", [b"ab", Stall(0.2), b"cde\0gh\0"]),
        ("reset", [b"ab", Event.RESET, b"cde\0gh\0"]),
        ("unplug", [b"ab", Event.UNPLUG, b"cde\0gh\0"]),
    ],
)
def test_each_kind_strikes_at_the_named_byte(kind, expected):
    assert carried(parse_faults(f"at=2:{kind}"), b"abcde\0gh\0") == expected


def test_a_flip_changes_one_bit_and_an_insertion_adds_one_byte():
    (flipped,) = carried(parse_faults("at=2:flip"), b"abcde\0")
    assert (flipped[2] ^ ord("c")).bit_count() == 1 and flipped[:2] + flipped[3:] == b"abde\0"
    (longer,) = carried(parse_faults("at=2:insert"), b"abcde\0")
    assert longer[:2] + longer[3:] == b"abcde\0"


def test_probabilities_are_those_of_the_spec():
    injected = Injected()
    line = FaultyLine(parse_faults("drop=0.01,flip=0.02,dup=0.03,insert=0.04"), Direction.TO_BOARD, injected)
    list(line.carry(b"x" * 100_000))
    counts = [injected.counts[kind] for kind in (Kind.DROP, Kind.FLIP, Kind.DUP, Kind.INSERT)]
    assert counts == pytest.approx([1000, 2000, 3000, 4000], rel=0.1)
    assert injected.total == sum(counts)


def test_resets_are_spread_over_the_run():
    line = carried(parse_faults("reset=4"), FRAMES, expected_bytes=len(FRAMES))
    lengths = [len(piece) for piece in line if isinstance(piece, bytes)]
    assert line.count(Event.RESET) == 4
    assert all(length > len(FRAMES) / 10 for length in lengths)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("dorp=0.1", r"key: found 'dorp' \(did you mean drop\?\), need one of drop, "),
        ("", "key: found ''"),
        ("drop", "drop: found 'drop', need drop=VALUE once"),
        ("drop=0.1,drop=0.2", "need drop=VALUE once"),
        ("drop=2", "drop: found '2', need a number from 0 to 1"),
        ("drop=nan", "drop: found 'nan'"),
        ("flip=x", "flip: found 'x'"),
        ("drop=0.6,flip=0.6", "found a sum above 1"),
        ("stall=0.1:-1", "stall: found '-1'"),
        ("reset=1.5", "reset: found '1.5', need a whole number"),
        ("reset=" + "9" * 5000, "reset: found"),
        ("reset=10001", "reset: found '10001', need a whole number from 0 to 10,000; write reset=10, say"),
        ("reset=999999999999", "reset: found '999999999999'"),
        ("unplug=-1", "unplug: found '-1'"),
        ("at=3:drop,at=3:flip", "byte 3 to the board: found drop and flip, need one fault at a place"),
        ("at=3:drop:from,at=3:drop:from", "byte 3 from the board: found drop and drop, need one fault"),
        ("unplug=3,at=3:drop", "byte 3 to the board: found drop and unplug, need one fault at a place"),
        ("at=5", "kind: found ''"),
        ("at=5:flop", r"kind: found 'flop' \(did you mean (drop|flip)\?\), need one of "),
        ("at=x:flip", "at: found 'x'"),
        ("at=5:flip:up", "direction: found 'up', need to or from"),
        ("seed=٣", "seed: found"),
    ],
)
def test_an_unreadable_spec_is_refused_by_its_part(spec, complaint):
    with pytest.raises(InputError, match=complaint):
        parse_faults(spec)


def test_a_spec_is_read_whole():
    faults = parse_faults("drop=0.5, stall=0.25:3,unplug=7,at=1:dup,at=2:reset:from,seed=4")
    spots = (Spot(1, Kind.DUP), Spot(2, Kind.RESET, Direction.FROM_BOARD))
    assert faults == Faults(drop=0.5, stall=0.25, stall_s=3.0, unplug=7, at=spots, seed=4)


def test_the_most_resets_and_the_same_byte_of_both_directions_are_no_error():
    assert parse_faults("reset=10000").reset == 10_000
    assert len(parse_faults("at=3:drop,at=3:flip:from").at) == 2
    assert parse_faults("unplug=3,at=3:drop:from").unplug == 3


class Loop:
    """A transport that returns what is written."""

    def __init__(self):
        self.bytes, self.log = deque(), []

    def read(self, timeout_s):
        return self.bytes.popleft() if self.bytes else b""

    def write(self, data):
        self.bytes.append(data)

    def set_baud(self, baud):
        self.log.append(baud)

    def reset(self):
        self.log.append("reset")

    def close(self):
        self.log.append("closed")


def test_the_transport_stalls_resets_and_unplugs():
    inner, silences = Loop(), []
    spec = "at=2:stall,at=4:reset,at=1:drop:from,unplug=8"
    line = FaultyTransport(inner, parse_faults(spec), sleep=silences.append)
    line.set_baud(500_000)
    line.write(b"abcdef")
    assert silences == [0.2] and inner.log == [500_000, "reset"]
    assert b"".join(iter(lambda: line.read(0), b"")) == b"acdef"
    with pytest.raises(PortError, match="unplugged, as --faults asked"):
        line.write(b"ghi")
    assert inner.log[-1] == "closed" and inner.bytes.pop() == b"gh"
    assert line.injected.total == 4
