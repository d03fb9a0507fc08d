"""Traces over a line that loses, breaks and invents frames: the whole of one inference, or a typed error."""

import pytest
from fake_board import FakeBoard, expected_scores, ready

from host.errors import DeviceError, LinkTimeout
from host.link import wire
from host.link.timing import Timing
from host.link.trace import TRIES, Tracer
from host.link.wire import ErrorCode, Frame, MessageType

IMAGE, BEFORE = bytes(range(16)), bytes(range(16, 32))
OUTPUTS = [bytes(range(200)), b"\7" * 32, b"\0"]


class Line:
    """A transport to a fake board; time passes only while nobody speaks."""

    def __init__(self, board, lose=lambda number, frame: False):
        self.board, self.lose = board, lose
        self.now, self.said, self.rates = 0.0, 0, []

    def clock(self):
        return self.now

    def write(self, data):
        self.board.feed(data)

    def read(self, timeout_s):
        answer = self.board.take()
        if not answer:
            self.now += timeout_s
            return b""
        self.said += 1
        return b"" if self.lose(self.said, answer) else answer

    def set_baud(self, baud):
        self.rates.append(baud)


def greeted(**options):
    board = FakeBoard(**{"outputs": OUTPUTS, **options})
    board.greeted = True
    return board


def tracer(line, sizes=None):
    sizes = sizes or {step: len(output) for step, output in enumerate(OUTPUTS)}
    return Tracer(line, ready(), sizes, timing=Timing(), clock=line.clock, baud=500_000)


def test_every_byte_of_every_step_comes_back_behind_the_image_before_it():
    board = greeted()
    found = tracer(Line(board)).trace(IMAGE, BEFORE)
    assert found.outputs == dict(enumerate(OUTPUTS)) and found.result.scores == expected_scores(IMAGE)
    assert board.images == 2
    assert tracer(Line(board)).trace(IMAGE).outputs == dict(enumerate(OUTPUTS)) and board.images == 3


@pytest.mark.parametrize("lost", range(1, 12))
def test_what_gets_lost_or_broken_is_asked_for_again(lost):
    for lose in (lambda number, frame: number == lost, lambda number, frame: False):
        board = greeted()
        count = 0

        def mangle(data, lose=lose):
            nonlocal count
            count += 1
            return data if lose(1, data) or count != lost else data[:3] + bytes([data[3] ^ 1 or 2]) + data[4:]

        board.mangle = mangle
        found = tracer(Line(board, lose)).trace(IMAGE)
        assert found.outputs == dict(enumerate(OUTPUTS)) and found.result.scores == expected_scores(IMAGE)


def test_a_board_that_has_reset_is_greeted_again():
    board = greeted()
    board.reset()
    line = Line(board)
    assert tracer(line).trace(IMAGE).outputs == dict(enumerate(OUTPUTS))
    assert line.rates == [wire.DEFAULT_BAUD] and board.greeted


def test_firmware_that_does_not_trace_is_named():
    with pytest.raises(DeviceError, match="found firmware that does not trace, need a build with -DMODEL_TRACE"):
        tracer(Line(greeted(outputs=None))).trace(IMAGE)


def test_headers_of_another_export_are_named():
    with pytest.raises(DeviceError, match=r"step 1: found 32 bytes of its output, need 33; its headers are of another"):
        tracer(Line(greeted()), {0: 200, 1: 33}).trace(IMAGE)
    with pytest.raises(DeviceError, match="no output of any step, need 1; its headers are of another export"):
        tracer(Line(greeted(outputs=[])), {0: 200}).trace(IMAGE)


def test_a_stack_that_ran_into_the_variables_gives_no_trace():
    board = greeted()
    board.send_outputs = lambda sequence: board.say(
        MessageType.ERROR, sequence, wire.Refusal(ErrorCode.STACK_OVERFLOW, 0).pack()
    )
    with pytest.raises(DeviceError, match="STACK_OVERFLOW"):
        tracer(Line(board)).trace(IMAGE)


def test_another_images_result_is_no_answer():
    board = greeted()
    handle = board.handle
    board.handle = lambda frame: handle(
        Frame(frame.type, frame.sequence, BEFORE) if frame.type is MessageType.IMAGE else frame
    )
    with pytest.raises(LinkTimeout, match=f"no whole trace in {TRIES} tries"):
        tracer(Line(board)).trace(IMAGE)
    assert board.images == TRIES


class Chatterbox(Line):
    """Repeats the answer to a greeting for ever."""

    def read(self, timeout_s):
        return wire.encode(Frame(MessageType.READY, 0, ready(5).pack()))


def test_a_board_that_never_comes_to_the_point_is_left(monkeypatch):
    monkeypatch.setattr("host.link.trace._MOST_FRAMES", 50)
    line = Chatterbox(greeted())
    with pytest.raises(LinkTimeout, match="no whole trace"):
        tracer(line).trace(IMAGE)
