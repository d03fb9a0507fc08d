"""The session where line and board misbehave in ways that once left it stuck: rates, resets, floods, leftovers."""

import pytest
from fake_board import FakeBoard, ready
from test_link_session import IMAGES, Bench

from host.errors import LinkTimeout
from host.link import wire
from host.link.wire import Frame, MessageType

FAST = 500_000


class RatedBoard(FakeBoard):
    """Hears and is heard only while both ends are at one rate; a reset takes it back to the first."""

    def __init__(self, **options):
        super().__init__(**options)
        self.host_baud = wire.DEFAULT_BAUD

    def reset(self):
        self.baud = wire.DEFAULT_BAUD
        super().reset()

    def feed(self, data):
        before = self.baud
        if self.host_baud == self.baud:
            super().feed(data)
        elif before != wire.DEFAULT_BAUD:
            super().feed(b"\x55" * len(data))

    def take(self):
        answer = super().take()
        return answer if self.host_baud == self.baud or not answer else b"\x0f\xf0\x00" * 4


class RatedBench(Bench):
    def __init__(self, board, **options):
        super().__init__(board, baud=FAST, **options)
        self.session._set_baud = self.set_baud

    def set_baud(self, baud):
        self.rates.append(baud)
        self.board.host_baud = baud


def rated_board(slots=2):
    board = RatedBoard(slots=slots)
    board.reset()
    # BAUD_SET still leaves at the old rate.
    handle = board.handle

    def handle_at_old_rate(frame):
        handle(frame)
        if frame.type is MessageType.SET_BAUD:
            board.host_baud = board.baud

    board.handle = handle_at_old_rate
    return board


@pytest.mark.parametrize("at", [1, 100, 599, 600])
def test_a_reset_at_a_higher_rate_is_found_though_it_cannot_be_heard(at):
    board = rated_board()
    done = []

    def reset_once(bench):
        if board.images >= at and not done:
            done.append(True)
            board.answers.clear()
            board.reset()
            for _ in range(12):  # READY again and again, unheard
                board.say(MessageType.READY, 0, ready(0, 2).pack())

    bench = RatedBench(board).run(reset_once)
    bench.check()
    assert bench.session.counters.resets == 1 and bench.rates[-1] == FAST


def test_a_lost_confirmation_of_the_higher_rate_is_survived():
    board = rated_board()
    handle, lost = board.handle, []

    def lose_pong(frame):
        handle(frame)
        if frame.type is MessageType.PING and not lost:
            lost.append(board.answers.pop())

    board.handle = lose_pong
    bench = RatedBench(board).run()
    bench.check()
    assert lost and bench.session.counters.resets == 0


def test_a_rate_that_never_works_ends_in_an_error():
    board = rated_board()
    handle = board.handle

    def fall_back(frame):
        if frame.type is MessageType.PING:
            board.baud = wire.DEFAULT_BAUD
        else:
            handle(frame)

    board.handle = fall_back
    with pytest.raises(LinkTimeout, match="at 500000 baud in 8 trials; try a lower --baud"):
        RatedBench(board).run()


def test_many_repeated_readys_before_the_first_answer_do_not_go_round_in_circles():
    board = FakeBoard()
    for _ in range(40):
        board.reset()
    bench = Bench(board).run(steps=3000)
    bench.check()


def test_counters_left_over_from_another_run_are_not_taken_for_an_answer():
    board = FakeBoard()
    board.reset()
    for sequence in range(3):
        board.say(MessageType.STATS_REPLY, sequence, wire.Stats(1, 2, 3, 4, 5, 6).pack())
    bench = Bench(board).run()
    bench.check()
    assert bench.session.first_stats.overruns == 0


def test_a_greeting_lost_after_a_reset_is_said_again_when_its_time_has_come():
    board = FakeBoard(slots=2)
    board.reset()
    lost = []

    def to_board(data):
        if b"".join(lost) == b"" and board.images > 50 and not board.greeted:
            lost.append(data)
            return b""
        return data

    def reset_once(bench):
        if board.images == 51 and board.greeted and not lost:
            board.answers.clear()
            board.reset()

    bench = Bench(board, to_board=to_board).run(reset_once)
    bench.check()
    assert lost and bench.session.counters.resets >= 1


@pytest.mark.parametrize("kilobytes", [1, 64])
@pytest.mark.parametrize("slots", [1, 2, 200])
def test_garbage_of_any_length_on_the_way_back_costs_no_image(kilobytes, slots):
    board = FakeBoard(slots)
    board.reset()
    garbage = bytes((37 * k * k + k) & 255 for k in range(1024 * kilobytes))

    def say_garbage(bench):
        if board.images in (3, 300) and board.answers and garbage not in board.answers:
            board.images += 1
            board.answers.appendleft(garbage)

    Bench(board).run(say_garbage).check()


def test_no_more_than_the_slots_wait_at_a_board_through_the_wrap_of_the_sequence():
    """One image is lost again and again, while all others go through."""

    class Picky(FakeBoard):
        refused = 0

        def handle(self, frame):
            if frame.type is MessageType.IMAGE and frame.payload == IMAGES[7] and self.refused < 25:
                self.refused += 1
                return
            super().handle(frame)

    board = Picky(slots=2)
    board.reset()
    Bench(board).run().check()
    assert board.refused == 25


def test_a_result_that_comes_256_images_late_is_not_taken_for_another():
    board = FakeBoard()
    board.reset()
    kept = []

    def say_late(bench):
        if board.images == 11 and not kept:
            answer = wire.encode(Frame(MessageType.RESULT, 10, result_of(IMAGES[10])))
            kept.append(answer)
        if board.images == 266 and len(kept) == 1:
            board.answers.append(kept[0])
            kept.append(b"")

    def result_of(image):
        probe = FakeBoard()
        probe.greeted = True
        probe.handle(Frame(MessageType.IMAGE, 10, image))
        return wire.decode(probe.take()[:-1]).payload

    Bench(board).run(say_late).check()
    assert len(kept) == 2
