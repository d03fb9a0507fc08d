"""Every layer's gradients against finite differences, in float64; forward passes against plain loops."""

import numpy as np
import pytest
from networks import NETS, WITH_DROPOUT

from host.nn.layers import Architecture, Conv2d, Dense, Flatten, MaxPool2d
from host.nn.numpy import Sequential, Training, cross_entropy, distillation, softmax
from host.nn.numpy.conv import Convolution
from host.nn.numpy.im2col import FullUnrolling, Geometry, RowUnrolling, unrolling
from host.nn.numpy.layer import Scratch
from host.nn.numpy.pool import AveragePool, MaxPool
from host.nn.parameters import Parameters, initial

BATCH = 3


def problem(architecture, seed=5):
    rng = np.random.default_rng(seed)
    parameters = initial(architecture, seed, dtype=np.float64)
    # Biases, scales and shifts off their first values, or half of the formulas would not be seen.
    parameters.flat[:] += rng.normal(0, 0.1, parameters.flat.shape)
    x = rng.normal(size=(*architecture.input_shape, BATCH))
    targets = rng.dirichlet(np.ones(architecture.classes), BATCH).T
    return parameters, x, targets


def loss_and_gradients(parameters: Parameters, x, targets, dropout_seed=0):
    gradients = parameters.zeros()
    net = Sequential(parameters, x.shape[-1], Training(gradients, np.random.default_rng(dropout_seed)))
    loss, gradient = cross_entropy(net.forward(x), targets)
    net.backward(gradient)
    return loss, gradients.flat


@pytest.mark.parametrize("name", [*NETS, "dropout"])
def test_gradients_equal_finite_differences(name):
    parameters, x, targets = problem(NETS.get(name, WITH_DROPOUT))
    _, gradients = loss_and_gradients(parameters, x, targets)
    step = 1e-6
    for index in range(len(parameters.flat)):
        kept = parameters.flat[index]
        parameters.flat[index] = kept + step
        above, _ = loss_and_gradients(parameters, x, targets)
        parameters.flat[index] = kept - step
        below, _ = loss_and_gradients(parameters, x, targets)
        parameters.flat[index] = kept
        assert gradients[index] == pytest.approx((above - below) / (2 * step), abs=2e-8, rel=1e-6)


@pytest.mark.parametrize("name", NETS)
def test_a_second_pass_gives_the_same_gradients(name):
    parameters, x, targets = problem(NETS[name])
    gradients = parameters.zeros()
    net = Sequential(parameters, BATCH, Training(gradients, np.random.default_rng(0)))
    net.backward(cross_entropy(net.forward(x), targets)[1])
    first = gradients.flat.copy()
    net.backward(cross_entropy(net.forward(-2 * x), targets)[1])
    net.backward(cross_entropy(net.forward(x), targets)[1])
    np.testing.assert_array_equal(gradients.flat, first)


@pytest.mark.parametrize(
    ("spec", "inputs"),
    [
        (Conv2d(8, 3), (6, 7, 9)),
        (Conv2d(8, 5, padding=2), (8, 6, 5)),
        (Conv2d(4, 5, padding=4), (4, 3, 3)),
        (Conv2d(8, 1), (20, 4, 4)),
        (Conv2d(8, 3, padding=1, groups=2), (12, 6, 6)),
        (Conv2d(3, 3, stride=2), (7, 8, 9)),
        (Conv2d(3, 3, stride=3, padding=2), (1, 7, 10)),
        (Conv2d(6, 3, padding=1, groups=6), (6, 5, 5)),
    ],
)
def test_convolution_equals_its_definition(spec, inputs):
    outputs = Architecture(inputs, (spec, Flatten(), Dense(2))).shapes[1]
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(spec.channels, inputs[0] // spec.groups, spec.kernel, spec.kernel))
    numbers = {"weights": weights, "bias": rng.normal(size=spec.channels)}
    gradients = {name: np.zeros_like(array) for name, array in numbers.items()}
    layer = Convolution(Geometry(spec, inputs, outputs, BATCH), numbers, gradients, Scratch(weights.dtype), first=False)
    x = rng.normal(size=(*inputs, BATCH))
    slope = rng.normal(size=(*outputs, BATCH))
    found = layer.forward(x).copy()
    back = layer.backward(slope)
    expected = np.zeros((*outputs, BATCH))
    expected_back = np.zeros_like(x)
    edge = spec.padding
    padded = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    padded_back = np.zeros_like(padded)
    share_in, share_out = inputs[0] // spec.groups, spec.channels // spec.groups
    for channel, row, column in np.ndindex(outputs):
        group = channel // share_out
        window = (
            slice(group * share_in, (group + 1) * share_in),
            slice(row * spec.stride, row * spec.stride + spec.kernel),
            slice(column * spec.stride, column * spec.stride + spec.kernel),
        )
        expected[channel, row, column] = (
            np.tensordot(weights[channel], padded[window], axes=3) + numbers["bias"][channel]
        )
        padded_back[window] += weights[channel][..., None] * slope[channel, row, column]
    expected_back = padded_back[:, edge : edge + inputs[1], edge : edge + inputs[2]]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(back, expected_back, atol=1e-12)


def test_both_ways_to_unroll_are_chosen():
    scratch, dtype = Scratch(np.dtype(np.float32)), np.dtype(np.float32)
    many = Geometry(Conv2d(8, 3), (8, 6, 6), (8, 4, 4), 2)
    few = Geometry(Conv2d(8, 3), (1, 6, 6), (8, 4, 4), 2)
    strided = Geometry(Conv2d(8, 3, stride=3), (8, 6, 6), (8, 2, 2), 2)
    assert isinstance(unrolling(many, scratch, dtype), RowUnrolling)
    assert isinstance(unrolling(few, scratch, dtype), FullUnrolling)
    assert isinstance(unrolling(strided, scratch, dtype), FullUnrolling)


def test_max_pool_gives_the_gradient_to_the_first_of_equals():
    layer = MaxPool((1, 2, 4), (2, 2), (2, 2), 1, np.dtype(np.float32))
    x = np.array([[1, 3, 2, 2], [3, 0, 2, 2]], np.float32).reshape(1, 2, 4, 1)
    assert layer.forward(x).ravel().tolist() == [3, 2]
    back = layer.backward(np.array([5, 7], np.float32).reshape(1, 1, 2, 1))
    assert back.reshape(2, 4).tolist() == [[0, 5, 7, 0], [0, 0, 0, 0]]


def test_an_overlapping_max_pool_adds_the_gradients_of_its_windows():
    layer = MaxPool((1, 3, 4), (2, 2), (1, 1), 1, np.dtype(np.float32))
    x = np.array([[1, 3, 2, 2], [3, 0, 2, 2], [4, 1, 0, 9]], np.float32).reshape(1, 3, 4, 1)
    for _ in range(2):  # the second time nothing is left of the first
        assert layer.forward(x).ravel().tolist() == [3, 3, 2, 4, 2, 9]
        back = layer.backward(np.array([5, 7, 11, 13, 17, 19], np.float32).reshape(1, 2, 3, 1))
        assert back.reshape(3, 4).tolist() == [[0, 12, 11, 0], [0, 0, 17, 0], [13, 0, 0, 19]]


def test_average_pool_is_the_mean():
    layer = AveragePool((1, 3, 4), (2, 2), 1, np.dtype(np.float32))
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    assert layer.forward(x).ravel().tolist() == [2.5, 4.5]


def test_dropout_scales_what_stays_and_does_nothing_in_use():
    parameters = initial(WITH_DROPOUT, 0)
    training = Training(parameters.zeros(), np.random.default_rng(0))
    x = np.ones((4, 4, 4, 2000), np.float32)
    layer = Sequential(parameters, 2000, training).layers[2]
    dropped = layer.forward(x)
    assert set(np.unique(dropped)) == {0, np.float32(1 / 0.6)}
    assert dropped.mean() == pytest.approx(1, abs=0.02)
    assert Sequential(parameters, 2000).layers[2].forward(x) is x


def test_normalisation_in_use_takes_the_running_statistics():
    parameters, x, _ = problem(NETS["normalised"])
    net = Sequential(parameters, BATCH, Training(parameters.zeros(), np.random.default_rng(0)))
    for _ in range(200):
        scores = net.forward(x).copy()
    in_use = Sequential(parameters, BATCH).forward(x)
    mean = parameters.of(1)["mean"]
    maps = net.layers[0].forward(x)
    np.testing.assert_allclose(mean, maps.mean(axis=(1, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(parameters.of(1)["variance"], maps.reshape(6, -1).var(axis=1, ddof=1), rtol=1e-6)
    # The running variances are the unbiased ones, so the scores differ by a little only.
    np.testing.assert_allclose(in_use, scores, atol=0.7)


def test_softmax_survives_large_scores():
    scores = np.array([[1000.0, -1000.0], [0.0, -1000.0]], np.float32)
    np.testing.assert_allclose(softmax(scores), [[1, 0.5], [0, 0.5]])
    loss, gradient = cross_entropy(scores, np.array([[0.0, 1.0], [1.0, 0.0]], np.float32))
    assert loss == pytest.approx(1000 + np.log(2))
    assert np.isfinite(gradient).all()


def test_distillation_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    scores, teacher = rng.normal(size=(2, 4, 3))
    targets = np.eye(4)[[0, 3, 1]].T
    taught = softmax(teacher / 3)
    _, gradient = distillation(scores, targets, taught, 3, 0.2)
    for index in np.ndindex(scores.shape):
        moved = scores.copy()
        moved[index] += 1e-6
        above, _ = distillation(moved, targets, taught, 3, 0.2)
        moved[index] -= 2e-6
        below, _ = distillation(moved, targets, taught, 3, 0.2)
        assert gradient[index] == pytest.approx((above - below) / 2e-6, abs=1e-8)
    perfect, _ = distillation(teacher, targets, taught, 3, 0.0)
    assert perfect == pytest.approx(0, abs=1e-9)


def test_float32_stays_float32():
    for architecture in NETS.values():
        parameters = initial(architecture, 0)
        net = Sequential(parameters, 2, Training(parameters.zeros(), np.random.default_rng(0)))
        x = np.random.default_rng(1).random((*architecture.input_shape, 2), np.float32)
        for layer in net.layers:
            x = layer.forward(x)
            assert x.dtype == np.float32, type(layer)


def test_max_pool_and_flatten_alone_need_no_gradient_before_the_first_weights():
    architecture = Architecture((1, 4, 4), (MaxPool2d(), Flatten(), Dense(2)))
    parameters, x, targets = problem(architecture)
    _, gradients = loss_and_gradients(parameters, x, targets)
    assert np.count_nonzero(gradients) == len(gradients)
