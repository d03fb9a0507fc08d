"""The session against a fake board and a fake clock: nothing lost, nothing twice, nothing wrong believed."""

import random
import zlib

import pytest
from fake_board import IDENTITY, FakeBoard, expected_scores, ready

from host.errors import DeviceError, LinkTimeout
from host.link import wire
from host.link.session import Session, State
from host.link.timing import Timing
from host.link.wire import Frame, MessageType

IMAGES = [bytes((7 * k + j) % 251 for j in range(16)) for k in range(600)]


class Bench:
    """Runs one session against one fake board in fake time."""

    def __init__(self, board, images=IMAGES, to_board=lambda data: data, **options):
        self.now = 100.0
        self.board, self.images, self.to_board = board, images, to_board
        self.recorded = {}
        self.rates = []
        self.session = Session(
            images, [IDENTITY], self.record, lambda: self.now, nonce=5, set_baud=self.rates.append, **options
        )

    def record(self, index, result):
        assert index not in self.recorded, "recorded twice"
        self.recorded[index] = result

    def run(self, before_step=lambda bench: None, steps=200_000):
        for _ in range(steps):
            before_step(self)
            if output := self.session.take_output():
                self.board.feed(self.to_board(output))
            if answer := self.board.take():
                self.session.receive(answer)
            elif not self.session.done:
                self.now += self.session.seconds_to_deadline()
                self.session.tick()
            if self.session.done:
                return self
        raise AssertionError("no end")

    def check(self):
        assert sorted(self.recorded) == list(range(len(self.images)))
        for index, image in enumerate(self.images):
            assert self.recorded[index].scores == expected_scores(image)


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_a_clean_line_needs_no_retry(slots):
    board = FakeBoard(slots)
    board.reset()
    bench = Bench(board).run()
    bench.check()
    assert bench.session.counters.retries == 0 and board.images == len(IMAGES)


def test_a_board_that_does_not_reset_on_opening_is_greeted_after_the_silence():
    bench = Bench(FakeBoard()).run()
    bench.check()


def test_nothing_is_sent_before_ready_or_the_silence():
    bench = Bench(FakeBoard())
    bench.now += 2.4
    bench.session.tick()
    assert bench.session.take_output() == b""


def noisy(seed, rate):
    dice = random.Random(seed)

    def mangle(data):
        out = bytearray()
        for byte in data:
            if dice.random() >= rate:
                out.append(byte)
                continue
            kind = dice.randrange(4)
            out += (
                b"",
                bytes([byte ^ 1 << dice.randrange(8)]),
                bytes([byte, byte]),
                bytes([dice.randrange(256), byte]),
            )[kind]
        return bytes(out)

    return mangle


@pytest.mark.parametrize("seed", range(8))
def test_a_noisy_line_loses_nothing_and_believes_nothing_wrong(seed):
    board = FakeBoard(1 + seed % 3, mangle=noisy(seed, 0.004))
    board.reset()
    bench = Bench(board, to_board=noisy(seed + 100, 0.004)).run()
    bench.check()
    assert bench.session.counters.retries > 0


def test_resets_in_the_middle_are_survived_and_counted():
    board = FakeBoard(2)
    board.reset()
    dice = random.Random(3)

    def maybe_reset(bench):
        if dice.random() < 0.01 and board.greeted and bench.session.counters.resets < 20:
            board.answers.clear()
            board.reset()

    bench = Bench(board).run(maybe_reset)
    bench.check()
    assert bench.session.counters.resets > 3


def test_endless_resets_end_in_an_error():
    board = FakeBoard()
    board.reset()

    def always_reset(_):
        if board.greeted:
            board.answers.clear()
            board.reset()

    with pytest.raises((DeviceError, LinkTimeout)):
        Bench(board, timing=Timing(resets=5)).run(always_reset)


@pytest.mark.parametrize(("cause", "hint"), [(2, "power and cable"), (8, "watchdog")])
def test_resets_past_their_bound_are_told_with_their_cause(cause, hint):
    board = FakeBoard(reset_cause=cause)
    board.reset()

    def reset_often(bench):
        if board.images and bench.session.state is State.RUNNING:
            board.images = 0
            board.answers.clear()
            board.reset()

    with pytest.raises(DeviceError, match=hint):
        Bench(board, timing=Timing(resets=5)).run(reset_often)


def test_a_stack_overflow_is_told_as_what_it_is():
    board = FakeBoard()
    board.reset()

    def overflow(_):
        if board.images == 3:
            board.say(MessageType.ERROR, 0, wire.Refusal(wire.ErrorCode.STACK_OVERFLOW, 0).pack())

    with pytest.raises(DeviceError, match=r"STACK_OVERFLOW.*smaller net"):
        Bench(board).run(overflow)


def test_what_is_no_answer_to_the_question_is_passed_over():
    """Late answers to earlier questions: PONG of another token, BAUD_SET of another rate, READY of another nonce."""

    class Echo(FakeBoard):
        def handle(self, frame):
            if frame.type is MessageType.PING:
                self.say(MessageType.PONG, 0, b"late")
            elif frame.type is MessageType.SET_BAUD:
                self.say(MessageType.BAUD_SET, 0, wire.Baud(1_000_000).pack())
            elif frame.type is MessageType.HELLO:
                self.say(MessageType.READY, 0, ready(0xFFFFFFFE).pack())
            super().handle(frame)

    board = Echo()
    board.reset()
    heard = []
    Bench(board, baud=500_000, greeted=heard.append).run().check()
    assert len(heard) == 1


def test_a_rate_that_is_lost_again_and_again_is_given_up():
    class Forgetful(FakeBoard):
        def handle(self, frame):
            if frame.type is MessageType.IMAGE:
                self.answers.append(b"\x55\x55\0" * 6)
            else:
                super().handle(frame)

    board = Forgetful()
    board.reset()
    with pytest.raises(LinkTimeout, match="lower --baud"):
        Bench(board, baud=500_000, timing=Timing(resets=3, quick_tries=1000, tries=1000)).run()


def test_a_silent_board_is_given_up_with_a_remedy():
    class Mute(FakeBoard):
        def feed(self, data):
            pass

    with pytest.raises(LinkTimeout, match="pio run -e uno -t upload"):
        Bench(Mute()).run()


def test_a_babbling_board_is_told_apart_from_a_silent_one():
    class Babbler(FakeBoard):
        def feed(self, data):
            self.answers.append(b"Hello from another sketch\r\n\0")

    with pytest.raises(LinkTimeout, match="another sketch"):
        Bench(Babbler()).run()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"model_hash": bytes(8)}, "model: found 0000000000000000, need 0102030405060708"),
        ({"weights_crc": 1}, "CRC of the weights"),
        ({"protocol": 9}, "protocol: found version 9"),
        ({"width": 5}, "height, width, classes, format"),
        ({"classes": 4}, "height, width, classes, format"),
        ({"format": 0}, "height, width, classes, format"),
        ({"slots": 0}, "0 slots"),
    ],
)
def test_a_wrong_board_is_refused_before_the_first_image(change, complaint):
    board = FakeBoard(**change)
    board.reset()
    with pytest.raises(DeviceError, match=complaint):
        Bench(board).run()
    assert board.images == 0


def test_a_wrong_digest_is_never_recorded():
    class Forgetful(FakeBoard):
        spoiled = 0

        def handle(self, frame):
            if frame.type is MessageType.IMAGE and self.spoiled < 5:
                self.spoiled += 1
                frame = Frame(frame.type, frame.sequence, bytes(16))
            super().handle(frame)

    board = Forgetful()
    board.reset()
    bench = Bench(board).run()
    bench.check()
    assert bench.session.counters.retries == 5


def test_late_and_repeated_results_are_ignored():
    class Echoing(FakeBoard):
        def handle(self, frame):
            super().handle(frame)
            if frame.type is MessageType.IMAGE:
                self.answers.append(self.answers[-1])

    board = Echoing(2)
    board.reset()
    Bench(board).run().check()


def test_a_stale_ready_with_another_nonce_changes_nothing():
    board = FakeBoard()
    board.reset()
    bench = Bench(board)

    def stale(_):
        if board.images == 10:
            board.say(MessageType.READY, 0, ready(nonce=777).pack())
            board.images += 1

    bench.run(stale).check()
    assert bench.session.counters.resets == 0


def test_the_rate_changes_on_both_sides_after_the_greeting():
    board = FakeBoard()
    board.reset()
    bench = Bench(board, baud=500000).run()
    bench.check()
    assert board.baud == 500000 and bench.rates == [500000]


def test_a_reset_returns_to_the_first_rate_and_negotiates_again():
    board = FakeBoard()
    board.reset()

    def once(bench):
        if board.images == 100 and bench.session.counters.resets == 0 and not board.answers:
            board.reset()

    bench = Bench(board, baud=500000).run(once)
    bench.check()
    assert bench.rates == [500000, wire.DEFAULT_BAUD, 500000]


def test_a_refusal_is_an_error_that_names_it():
    board = FakeBoard()
    board.reset()
    bench = Bench(board)

    def refuse(_):
        if board.images == 3:
            board.say(MessageType.ERROR, 0, wire.Refusal(wire.ErrorCode.UNKNOWN_TYPE, 2).pack())

    with pytest.raises(DeviceError, match="UNKNOWN_TYPE"):
        bench.run(refuse)


def test_an_image_that_never_gets_through_is_given_up():
    class Deaf(FakeBoard):
        def handle(self, frame):
            if frame.type is not MessageType.IMAGE:
                super().handle(frame)

    board = Deaf()
    board.reset()
    with pytest.raises(LinkTimeout, match=r"image 0: .* 30 tries"):
        Bench(board).run()


def test_a_ready_of_another_length_names_the_version_too():
    board = FakeBoard()
    board.say(MessageType.READY, 0, b"\1" + bytes(42))
    with pytest.raises(DeviceError, match=f"protocol: found version 1, need {wire.PROTOCOL_VERSION}; flash"):
        Bench(board).run()


def test_a_profiling_board_says_how_long_each_step_took():
    board = FakeBoard(marks=3)
    board.reset()
    bench = Bench(board).run()
    bench.check()
    assert {result.marks for result in bench.recorded.values()} == {(0, 1, 2)}


@pytest.mark.parametrize("slots", [2, 3, 5])
def test_an_image_that_vanished_is_sent_again_when_a_later_one_is_answered(slots):
    class Swallowing(FakeBoard):
        swallowed = 0

        def handle(self, frame):
            if frame.type is MessageType.IMAGE and frame.sequence % 50 == 7 and self.swallowed < 1 + self.images // 50:
                self.swallowed += 1
                return
            super().handle(frame)

    board = Swallowing(slots)
    board.reset()
    bench = Bench(board)
    start = bench.now
    bench.run()
    bench.check()
    assert bench.session.counters.retries == board.swallowed > 5
    assert bench.now == start, "it waited for a deadline"


def test_the_digest_is_zlibs_crc():
    assert zlib.crc32(b"123456789") == 0xCBF43926
