"""Whatever happens on the line, in any order: nothing wrong is believed, nothing counted twice, and there is an end."""

from __future__ import annotations

import tempfile
from collections import deque
from pathlib import Path

import pytest
from fake_board import IDENTITY, FakeBoard, expected_scores, ready
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from host.errors import FrameError, LinkError
from host.link import wire
from host.link.faults import _PROBABILITIES, Direction, Faults, Kind, Spot, parse_faults
from host.link.journal import open_journal
from host.link.session import Session

BOUNDED = settings(max_examples=60, derandomize=True, database=None)

words = st.integers(0, 0xFFFFFFFF)
bytes_ = st.integers(0, 255)


@BOUNDED
@given(data=st.binary(max_size=900), cuts=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_a_stream_cut_anywhere_gives_the_same_frames(data: bytes, cuts: list[int]) -> None:
    whole = wire.FrameSplitter().feed(data)
    splitter, pieces, at, turn = wire.FrameSplitter(), [], 0, 0
    while at < len(data):
        step = cuts[turn % len(cuts)]
        pieces += splitter.feed(data[at : at + step])
        at, turn = at + step, turn + 1
    assert pieces == whole


@BOUNDED
@given(data=st.binary(max_size=900))
def test_what_decodes_is_what_encodes(data: bytes) -> None:
    """No two lines mean one frame, but for the stuffing's own freedom in its last block."""
    try:
        raw = wire.cobs_decode(data)
    except FrameError:
        return
    assert wire.cobs_decode(wire.cobs_encode(raw)) == raw


payloads = st.one_of(
    st.builds(wire.Hello, bytes_, words),
    st.builds(wire.Stats, words, words, *(st.integers(0, 0xFFFF) for _ in range(4))),
    st.builds(wire.Ping, words),
    st.builds(wire.Baud, words),
    st.builds(wire.Refusal, bytes_, st.integers(0, 0xFFFF)),
    st.builds(
        wire.Ready,
        *(bytes_, bytes_, words, st.binary(min_size=8, max_size=8), words),
        *(bytes_ for _ in range(6)),
        *(words, words, st.binary(min_size=12, max_size=12)),
    ),
)


@BOUNDED
@given(payload=payloads)
def test_every_payload_round_trips(payload: wire.Payload) -> None:
    packed = payload.pack()
    assert type(payload).unpack(packed) == payload
    for wrong in (packed[:-1], packed + b"\0"):
        with pytest.raises(FrameError):
            type(payload).unpack(wrong)


results = st.builds(wire.Result, st.integers(0, 2), words, words, st.tuples(words, words, words), st.tuples(words))


@BOUNDED
@given(recorded=st.dictionaries(st.integers(0, 49), results, max_size=12), cut=st.integers(0, 400), flip=bytes_)
def test_journal_lines_round_trip_and_a_torn_end_costs_the_last_line_alone(
    recorded: dict[int, wire.Result], cut: int, flip: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.journal"
        with open_journal(path, {"n": 50}, 50, resume=False) as journal:
            journal.meet(ready(marks=1))
            for index, result in recorded.items():
                journal.record(index, result)
        if not recorded:
            assert not path.exists()
            return
        with open_journal(path, {"n": 50}, 50, resume=True) as journal:
            assert journal.known == recorded
        whole = path.read_bytes()
        start = whole.rindex(b"\n", 0, -1) + 1
        last = bytearray(whole[start:])
        last[cut % (len(last) - 1)] ^= flip | 1 if flip | 1 != 0x0B else 3
        path.write_bytes(whole[:start] + last)
        with open_journal(path, {"n": 50}, 50, resume=True) as journal:
            assert list(journal.known.items()) == list(recorded.items())[:-1]


shares = st.integers(0, 250).map(lambda thousandths: thousandths / 1000)
spots = st.builds(Spot, st.integers(0, 10**15 - 1), st.sampled_from(Kind), st.sampled_from(Direction))
all_faults = st.builds(
    Faults,
    **dict.fromkeys(_PROBABILITIES, shares),
    stall=shares,
    stall_s=st.integers(0, 3600).map(float),
    reset=st.integers(0, 10**4),
    unplug=st.none() | st.integers(0, 10**6),
    seed=st.integers(0, 10**6),
    at=st.lists(spots, max_size=4, unique_by=lambda spot: (spot.byte, spot.direction)).map(tuple),
).filter(lambda faults: (faults.unplug, Direction.TO_BOARD) not in {(spot.byte, spot.direction) for spot in faults.at})


def spec_of(faults: Faults) -> str:
    parts = [f"{name}={getattr(faults, name)}" for name in _PROBABILITIES]
    parts += [f"stall={faults.stall}:{faults.stall_s}", f"reset={faults.reset}", f"seed={faults.seed}"]
    parts += [] if faults.unplug is None else [f"unplug={faults.unplug}"]
    return ",".join(parts + [f"at={spot.byte}:{spot.kind.value}:{spot.direction.value}" for spot in faults.at])


@BOUNDED
@given(faults=all_faults)
def test_specifications_of_faults_round_trip(faults: Faults) -> None:
    assert parse_faults(spec_of(faults)) == faults


class SessionMachine(RuleBasedStateMachine):
    """The session against a board and two lines whose frames are lost, doubled, spoilt, kept back, and delivered late.

    A frame that is kept back stays behind for at most 200 further images, since sequence numbers begin anew after 256;
    docs/protocol.md says what holds beyond (digest and sequence number together)."""

    @initialize(slots=st.integers(1, 4), images=st.integers(1, 40), baud=st.sampled_from(wire.BAUD_RATES[:2]))
    def begin(self, slots: int, images: int, baud: int) -> None:
        self.now = 10.0
        # Equal images too: their answers are equal, so that taking one for the other is no error.
        self.images = [bytes((3 * (k // 2) + j) % 251 for j in range(16)) for k in range(images)]
        self.board = FakeBoard(slots)
        self.board.reset()
        self.recorded: dict[int, wire.Result] = {}
        self.to_board: deque[bytes] = deque()
        self.kept: list[bytes] = []
        self.steps = 0
        self.ended: LinkError | None = None
        self.baud = baud
        self.session = Session(
            self.images, [IDENTITY], self.record, lambda: self.now, nonce=5, set_baud=lambda rate: None, baud=baud
        )

    def record(self, index: int, result: wire.Result) -> None:
        assert index not in self.recorded, "counted twice"
        assert result.scores == expected_scores(self.images[index]), "believed a wrong answer"
        self.recorded[index] = result

    def alive(self) -> bool:
        return self.ended is None and not self.session.done

    def receive(self, data: bytes) -> None:
        try:
            self.session.receive(data)
        except LinkError as error:
            self.ended = error

    def pump(self) -> None:
        output = self.session.take_output()
        self.to_board.extend(piece + wire.DELIMITER for piece in output.split(wire.DELIMITER) if piece)

    def carry(self) -> bool:
        """One frame, if there is any."""
        self.pump()
        if self.to_board:
            self.board.feed(self.to_board.popleft())
            return True
        if self.board.answers:
            self.receive(self.board.take())
            return True
        return False

    @precondition(alive)
    @rule(count=st.integers(1, 20))
    def deliver(self, count: int) -> None:
        """The lines work for a while."""
        for _ in range(count):
            if not self.alive():
                return
            self.carry()

    @precondition(alive)
    @rule(back=st.booleans(), keep=st.booleans())
    def lose(self, back: bool, keep: bool) -> None:
        self.pump()
        line = self.board.answers if back else self.to_board
        if line:
            frame = line.popleft()
            if keep and back:
                self.kept.append(frame)

    @precondition(alive)
    @rule(back=st.booleans())
    def double(self, back: bool) -> None:
        self.pump()
        line = self.board.answers if back else self.to_board
        if line:
            line.appendleft(line[0])

    @precondition(alive)
    @rule(back=st.booleans(), at=st.integers(0, 99), bits=st.integers(1, 255))
    def spoil(self, back: bool, at: int, bits: int) -> None:
        self.pump()
        line = self.board.answers if back else self.to_board
        if line:
            frame = bytearray(line[0])
            frame[at % len(frame)] ^= bits
            line[0] = bytes(frame)

    @precondition(lambda self: self.alive() and self.kept)
    @rule(which=st.integers(0, 99))
    def say_late(self, which: int) -> None:
        """An answer that was kept back arrives behind others."""
        self.receive(self.kept[which % len(self.kept)])

    @precondition(alive)
    @rule()
    def reset(self) -> None:
        self.board.answers.clear()
        self.board.reset()

    @precondition(alive)
    @rule(garbage=st.binary(min_size=1, max_size=60))
    def say_garbage(self, garbage: bytes) -> None:
        self.receive(garbage)

    @precondition(alive)
    @rule()
    def let_time_pass(self) -> None:
        self.now += self.session.seconds_to_deadline()
        try:
            self.session.tick()
        except LinkError as error:
            self.ended = error

    @rule()
    def look(self) -> None:
        """Nothing happens, which is all that is left once the session has ended."""

    @invariant()
    def what_is_done_is_whole(self) -> None:
        if hasattr(self, "session") and self.session.done:
            assert sorted(self.recorded) == list(range(len(self.images))), "lost"

    def teardown(self) -> None:
        """From wherever the rules have led, with a clean line: an end, with everything or with a typed error."""
        if not hasattr(self, "session"):
            return
        for _ in range(20_000):
            if not self.alive():
                break
            if not self.carry():
                self.let_time_pass()
        assert not self.alive(), f"no end in {self.session.state}"
        if self.ended is None:
            self.what_is_done_is_whole()


SessionMachine.TestCase.settings = settings(
    BOUNDED, max_examples=80, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
TestSession = SessionMachine.TestCase
