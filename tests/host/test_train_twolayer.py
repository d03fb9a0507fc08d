"""The two-layer net: gradients against finite differences, loss against its definition, the optimisers' schedule."""

import itertools

import numpy as np
import pytest

from host.train.optimisers import Schedule
from host.train.two_layer import net as twolayer

SHAPE = (6, 5, 4)


def problem(smoothing: float = 0.1):
    rng = np.random.default_rng(3)
    net = twolayer.random_normal(rng, SHAPE, (0.7, 0.7), np.float64)
    net.b1[:] = rng.normal(size=5)
    net.b2[:] = rng.normal(size=4)
    x = rng.normal(size=(9, 6))
    labels = rng.integers(0, 4, 9)
    return net, twolayer.Batch(x, twolayer.target_rows(labels, 4, smoothing, np.float64), labels)


@pytest.mark.parametrize("reg", [0.0, 0.3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_equals_central_differences(reg, smoothing):
    net, batch = problem(smoothing)
    gradient = twolayer.view(np.empty_like(net.flat), *SHAPE)
    scratch = twolayer.view(np.empty_like(net.flat), *SHAPE)
    twolayer.loss_and_gradient(net, batch, reg, gradient)
    step = 1e-6
    for index in range(len(net.flat)):
        sides = []
        for sign in (1, -1):
            moved = net.flat.copy()
            moved[index] += sign * step
            sides.append(twolayer.loss_and_gradient(twolayer.view(moved, *SHAPE), batch, reg, scratch)[0])
        assert gradient.flat[index] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-8)


def test_the_loss_is_mean_cross_entropy_plus_squares_of_weights_not_of_biases():
    net, batch = problem(smoothing=0.0)
    x, labels = batch.x, batch.labels
    scores = np.maximum(x @ net.w1 + net.b1, 0) @ net.w2 + net.b2
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    squares = np.square(net.w1).sum() + np.square(net.w2).sum()
    expected = -np.log(chances[np.arange(9), labels]).mean() + 0.02 * squares
    loss, right = twolayer.loss_and_gradient(net, batch, 0.02, twolayer.view(np.empty_like(net.flat), *SHAPE))
    assert loss == pytest.approx(expected)
    assert right == (scores.argmax(axis=1) == labels).sum()


def test_huge_scores_do_not_overflow():
    net, batch = problem()
    net.flat[:] *= 1e4
    gradient = twolayer.view(np.empty_like(net.flat), *SHAPE)
    loss, _ = twolayer.loss_and_gradient(net, batch, 0.0, gradient)
    assert np.isfinite(loss)
    assert np.isfinite(gradient.flat).all()


def test_views_share_the_flat_vector():
    net = twolayer.view(np.zeros(twolayer.size(*SHAPE)), *SHAPE)
    net.w2[1, 2] = 5
    net.b1[0] = 7
    assert net.shape == SHAPE
    assert sorted(net.flat[net.flat != 0]) == [5, 7]


def test_smoothed_targets_are_probabilities():
    rows = twolayer.target_rows(np.array([2, 0]), 4, 0.2, np.float32)
    np.testing.assert_allclose(rows, [[0.05, 0.05, 0.85, 0.05], [0.85, 0.05, 0.05, 0.05]], rtol=1e-6)
    assert rows.dtype == np.float32


def test_the_rate_rises_then_falls_to_nothing():
    rates = [Schedule(0.01, "cosine", 0.05).at(step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01])
    assert max(rates) == pytest.approx(0.01)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[5:]))
    assert 0 < rates[-1] < 1e-5


def test_soft_rows_are_the_softmax_at_a_temperature():
    net, batch = problem()
    scores = np.maximum(batch.x @ net.w1 + net.b1, 0) @ net.w2 + net.b2
    chances = np.exp(scores / 2) / np.exp(scores / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(twolayer.soft_rows(net, batch.x, 2.0), chances)
