"""The parts that a training consists of: workers, optimisers, schedule, batches, checkpoint, folding."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from networks import NETS, WITH_DROPOUT

from host.errors import InputError
from host.nn import inference
from host.nn.layers import Architecture, BatchNorm, Conv2d, Dense, Dropout, Flatten, ReLU
from host.nn.network import Scaling
from host.nn.parameters import initial
from host.nn.workers import Workers
from host.train import checkpoint
from host.train.batches import batches
from host.train.checkpoint import Checkpoint
from host.train.optimisers import Adam, Schedule, Sgd, optimiser


def test_workers_gather_in_their_order():
    workers = Workers(3)

    def work(number):
        return [[int(part[0]) for part in workers.gather(number, np.array([number + 10 * turn]))] for turn in range(50)]

    for result in workers.run(work):
        assert result == [[10 * turn, 10 * turn + 1, 10 * turn + 2] for turn in range(50)]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failing_worker_ends_the_others_with_its_error(failing):
    workers = Workers(2)

    def work(number):
        if number == failing:
            raise KeyboardInterrupt
        workers.wait()

    with pytest.raises(KeyboardInterrupt):
        workers.run(work)
    assert workers.run(lambda number: workers.wait()) == [None, None]
    assert threading.active_count() < 20


@pytest.mark.parametrize("rules", [Sgd(), Sgd(0.9), Adam(), Adam(decay=0.1), Adam(0.95, 0.99, 1e-7, as_seed_001=True)])
def test_optimisers_reach_the_bottom(rules):
    values = np.array([3.0, -2.0, 1.0])
    goal = np.array([1.0, 1.0, 0.0])
    moving = optimiser(rules, values, np.array([False, False, True]))
    for step in range(1, 4001):
        moving.update(slice(0, 3), values - goal, 0.01, step)
    np.testing.assert_allclose(values, goal, atol=0.02)


def test_adam_equals_its_publication():
    values, goal = np.array([0.5, -1.5]), np.array([0.1, 0.2])
    moving = optimiser(Adam(0.8, 0.9, 1e-3), values, np.zeros(2, bool))
    expected, mean, square = values.copy(), np.zeros(2), np.zeros(2)
    for step in range(1, 6):
        gradient = values - goal
        mean = 0.8 * mean + 0.2 * gradient
        square = 0.9 * square + 0.1 * gradient**2
        expected = expected - 0.01 * (mean / (1 - 0.8**step)) / (np.sqrt(square / (1 - 0.9**step)) + 1e-3)
        moving.update(slice(0, 2), gradient, 0.01, step)
        np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_parts_updated_apart_equal_the_whole():
    rng = np.random.default_rng(0)
    start, gradient = rng.normal(size=100_000), rng.normal(size=100_000)
    whole, parts = start.copy(), start.copy()
    optimiser(Adam(decay=0.1), whole, np.ones(len(start), bool)).update(slice(0, len(start)), gradient, 0.1, 1)
    moving = optimiser(Adam(decay=0.1), parts, np.ones(len(start), bool))
    for part in (slice(0, 41_003), slice(41_003, 100_000)):
        moving.update(part, gradient, 0.1, 1)
    np.testing.assert_array_equal(whole, parts)


def test_schedule_rises_then_falls():
    schedule = Schedule(2.0, "cosine", 0.1)
    rates = [schedule.at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert rates[-1] < 0.01
    assert all(later < sooner for sooner, later in pairwise(rates[10:]))
    assert {Schedule(0.3).at(step, 50) for step in range(50)} == {0.3}
    with pytest.raises(InputError, match="train: schedule: found 'stairs', need one of constant, cosine"):
        Schedule(1.0, "stairs")


def test_batches_hold_every_row_once_and_differ_between_epochs():
    cut = batches(50, 16, seed=3, epoch=0)
    assert [len(part) for part in cut] == [16, 16, 16, 2]
    assert sorted(np.concatenate(cut)) == list(range(50))
    assert not np.array_equal(cut[0], batches(50, 16, seed=3, epoch=1)[0])
    np.testing.assert_array_equal(cut[0], batches(50, 16, seed=3, epoch=0)[0])
    assert [len(part) for part in batches(49, 16, seed=3, epoch=0)] == [16, 16, 16]  # a single row cannot be split


def test_checkpoint_returns_what_was_saved(tmp_path):
    path = tmp_path / "run.ckpt"
    assert checkpoint.load(path, "mark") is None
    state = Checkpoint(3, {"loss": [0.5, 0.25]}, {"now": np.arange(4, dtype=np.float32), "m.x": np.ones((2, 2))})
    checkpoint.save(path, "mark", state)
    found = checkpoint.load(path, "mark")
    assert (found.epochs, found.history) == (3, {"loss": [0.5, 0.25]})
    assert list(found.arrays) == ["now", "m.x"]
    np.testing.assert_array_equal(found.arrays["now"], state.arrays["now"])
    with pytest.raises(InputError, match="checkpoint: found one of another training"):
        checkpoint.load(path, "another mark")
    assert checkpoint.fingerprint(1, "a") != checkpoint.fingerprint(1, "b")


def test_a_damaged_checkpoint_is_refused_at_every_length(tmp_path):
    path = tmp_path / "run.ckpt"
    checkpoint.save(path, "mark", Checkpoint(1, {}, {"now": np.arange(40)}))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"run\.ckpt: checkpoint: found"):
            checkpoint.load(path, "mark")


def test_a_checkpoint_with_pickled_content_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    np.savez(path, facts=np.array([{"format": 1}], object))
    with pytest.raises(InputError, match="checkpoint: found a file that is damaged or no checkpoint"):
        checkpoint.load(path, "mark")


@pytest.mark.parametrize("name", ["normalised", "dropout"])
def test_a_net_for_use_gives_the_same_scores(name):
    net = NETS.get(name, WITH_DROPOUT)
    parameters = initial(net, 1)
    rng = np.random.default_rng(2)
    parameters.flat[:] += rng.normal(0, 0.2, parameters.flat.shape)
    parameters.measured[:] += rng.random(parameters.measured.shape)
    images = rng.integers(0, 256, (150, *net.input_shape[1:]), np.uint8)
    folded = inference.for_use(parameters)
    assert not any(isinstance(layer, BatchNorm | Dropout) for layer in folded.architecture.layers)
    scaling = Scaling(33, 78)
    np.testing.assert_allclose(
        inference.scores(folded, scaling, images), inference.scores(parameters, scaling, images), atol=2e-5
    )


def test_a_normalisation_that_cannot_be_folded_is_refused():
    net = Architecture((1, 6, 6), (Conv2d(2, 3), ReLU(), BatchNorm(), Flatten(), Dense(2)))
    with pytest.raises(InputError, match="layer 2 BatchNorm: found ReLU before it, need Conv2d or Dense"):
        inference.for_use(initial(net, 0))
    with pytest.raises(InputError, match="layer 0 BatchNorm: found the image before it"):
        inference.for_use(initial(Architecture((1, 6, 6), (BatchNorm(), Flatten(), Dense(2))), 0))


def test_ranges_are_the_largest_magnitudes_of_every_layer():
    net = Architecture((1, 4, 4), (Flatten(), Dense(3), ReLU(), Dense(2)))
    parameters = initial(net, 0)
    images = np.random.default_rng(0).integers(0, 256, (200, 4, 4), np.uint8)
    x = images.reshape(200, -1) / 255
    first = x @ parameters.of(1)["weights"].T
    last = np.maximum(first, 0) @ parameters.of(3)["weights"].T
    tops = [x.max(), np.abs(first).max(), np.maximum(first, 0).max(), np.abs(last).max()]
    scores, ranges = inference.scores_and_ranges(parameters, Scaling(), images)
    np.testing.assert_allclose(ranges, tops, rtol=1e-5)
    np.testing.assert_allclose(scores, last, atol=1e-5)
    np.testing.assert_array_equal(scores, inference.scores(parameters, Scaling(), images))
