"""How far a training is: steps over all stages, time left by what the stages cost."""

import pytest

from host.train import progress as meter
from host.train.progress import Phase, ProgressMeter


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(meter.time, "monotonic", lambda: Clock.now)
    return Clock


def test_steps_and_time_are_counted_over_all_stages(clock):
    seen = []
    watch = ProgressMeter(seen.append, [Phase("teacher", 10, cost=3.0), Phase("train", 20)])
    watch.enter()
    clock.now += 6
    watch.epoch(5, 0.5, 0.9)
    assert (seen[-1].stage, seen[-1].step, seen[-1].total, seen[-1].accuracy) == ("teacher", 5, 30, 0.9)
    assert seen[-1].seconds_left == pytest.approx(6 / 15 * 35)  # 15 of 50 units of work took 6 s
    clock.now += 6
    watch.epoch(10, 0.4, 0.9)
    watch.enter()
    clock.now += 8
    watch.epoch(20, 0.3, 0.8, 0.25)
    assert (seen[-1].stage, seen[-1].step, seen[-1].seconds_left) == ("train", 30, 0)
    assert seen[-1].validation_loss == 0.25


def test_work_of_an_earlier_process_and_work_left_out_take_no_time(clock):
    seen = []
    watch = ProgressMeter(seen.append, [Phase("teacher", 10), Phase("train", 10)])
    watch.enter(done=8)
    clock.now += 1
    watch.epoch(9, 0.5, 0.9)
    assert seen[-1].seconds_left == pytest.approx(11)
    watch.enter()  # the teacher stopped one step early
    clock.now += 1
    watch.epoch(1, 0.5, 0.9)
    assert seen[-1].step == 11
    assert seen[-1].seconds_left == pytest.approx(9)


def test_batches_are_told_a_few_times_a_second(clock):
    seen = []
    watch = ProgressMeter(seen.append, [Phase("train", 1000)]).enter()
    for done in range(1, 101):
        clock.now += 0.01
        watch.batch(done, 0.5)
    assert 8 <= len(seen) <= 11
    ProgressMeter(None, [Phase("train", 1)]).enter().epoch(1, 0.1, 1.0)  # nobody looks
