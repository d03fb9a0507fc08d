"""Fake quantisation against its definition: forward number by number, backward by LSQ's formula and, where the rounded
net is smooth in its inputs, by finite differences; against torch where there is one.
"""

import numpy as np
import pytest
from needed import need_module

from host.nn import numpy as layers
from host.nn.activations import rectifiers
from host.nn.layers import Architecture, AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.nn.numpy import Sequential, Training, cross_entropy
from host.nn.numpy.dense import FullyConnected
from host.nn.parameters import initial
from host.train.qat import scales
from host.train.qat.fake_quantise import RoundActivations, RoundedSequential, RoundWeights

BATCH = 5
NET = Architecture(
    (1, 10, 10),
    (
        *(Conv2d(3, 3, padding=1), ReLU(), MaxPool2d(), Conv2d(4, 3), MaxPool2d(), ReLU()),
        *(Flatten(), Dense(6), ReLU(), Dense(3)),
    ),
)


def rounded_problem(architecture=NET, top=7, seed=1, dtype=np.float64, activation_top=255):
    rng = np.random.default_rng(seed)
    parameters = initial(architecture, seed, dtype=dtype)
    parameters.flat[:] += rng.normal(0, 0.1, parameters.flat.shape)
    known = scales.start(parameters, top, activation_top, dict.fromkeys(rectifiers(architecture), 2.0), 1 / 255)
    # Steps off their best: some weights are then clipped, some activations too.
    known.flat[:] += rng.normal(-0.3, 0.1, known.flat.shape)
    x = rng.random((*architecture.input_shape, BATCH)).astype(dtype)
    targets = rng.dirichlet(np.ones(architecture.classes), BATCH).T.astype(dtype)
    return parameters, known, x, targets


def gradients_of(parameters, known, x, targets):
    slopes, step_slopes = parameters.zeros(), known.zeros(parameters.architecture)
    training = Training(slopes, np.random.default_rng(0))
    net = RoundedSequential(parameters, known, 1 / 255, x.shape[-1], training, step_slopes)
    loss, gradient = cross_entropy(net.forward(x), targets)
    net.backward(gradient)
    return loss, slopes, step_slopes


@pytest.mark.parametrize("top", [1, 7, 127])
def test_weights_are_rounded_and_their_gradients_are_those_of_lsq(top):
    rng = np.random.default_rng(top)
    weights, x = rng.normal(size=(4, 30)), rng.normal(size=(30, BATCH))
    logs = np.log(scales.closest_steps(weights, top) * 0.9)
    rounded, slope, log_slopes = np.empty_like(weights), np.zeros_like(weights), np.zeros(4)
    inner = FullyConnected(
        {"weights": rounded, "bias": np.zeros(4)}, {"weights": slope, "bias": np.zeros(4)}, BATCH, False
    )
    layer = RoundWeights(inner, weights, rounded, slope, logs, log_slopes, top)
    upstream = rng.normal(size=(4, BATCH))
    found = layer.forward(x).copy()
    layer.backward(upstream.copy())
    expected = np.zeros(4)
    for row in range(4):
        step = np.exp(logs[row])
        for column in range(30):
            v = weights[row, column] / step
            code = min(max(round(v), -top), top)
            assert rounded[row, column] == pytest.approx(code * step)
            plain = upstream[row] @ x[column]
            inside = -top < v < top
            assert slope[row, column] == pytest.approx(plain if inside else 0)
            expected[row] += plain * (round(v) - v if inside else code)
        expected[row] *= step / np.sqrt(30 * top)
    assert np.any(np.abs(weights) >= top * np.exp(logs)[:, None])
    np.testing.assert_allclose(found, rounded @ x)
    np.testing.assert_allclose(log_slopes, expected)


@pytest.mark.parametrize("top", [255, 63, 15])
def test_activations_are_rounded_and_their_gradients_are_those_of_lsq(top):
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (2, 3, 4, BATCH))
    log, slope = np.log(np.array([1.2 / top])), np.zeros(1)
    layer = RoundActivations(x.shape, log, slope, top)
    upstream = rng.normal(size=x.shape)
    found, step = layer.forward(x).copy(), np.exp(log[0])
    back = layer.backward(upstream.copy())
    expected = 0.0
    for at in np.ndindex(x.shape):
        v = x[at] / step
        code = np.floor(min(max(v, 0), top) + 0.5)
        assert found[at] == pytest.approx(code * step)
        assert back[at] == pytest.approx(upstream[at] if 0 < v < top else 0)
        expected += upstream[at] * (0 if v <= 0 else top if v >= top else code - v)
    assert (x >= 1.2).any()
    assert slope[0] == pytest.approx(expected * step / np.sqrt(24 * top))


def test_halves_go_up_as_on_the_board():
    layer = RoundActivations((4, 1), np.zeros(1), np.empty(0), 255)
    assert layer.forward(np.array([[0.5], [1.5], [2.5], [-0.5]])).ravel().tolist() == [1, 2, 3, 0]


def test_with_fine_steps_the_rounded_net_is_the_plain_one():
    """Where nothing is clipped and rounding changes little, plain gradients are what must come out."""
    parameters, known, x, targets = rounded_problem(top=2**40)
    for log in known.weights.values():
        log += 1.0  # so that none is clipped
    plain = parameters.zeros()
    net = Sequential(parameters, BATCH, Training(plain, np.random.default_rng(0)))
    loss, gradient = cross_entropy(net.forward(x), targets)
    net.backward(gradient)
    for log in known.outputs.values():
        log[...] = np.log(50.0)  # activations up to 12,750 in steps of 50: far too coarse
    coarse = gradients_of(parameters, known, x, targets)[0]
    assert abs(coarse - loss) > 0.01
    for index, layer in enumerate(net.layers):
        x = layer.forward(x)
        if index in known.outputs:
            known.outputs[index][...] = np.log(x.max() * 1.01 / 255)
    x = rounded_problem()[2]
    fine, slopes, _ = gradients_of(parameters, known, x, targets)
    assert fine == pytest.approx(loss, rel=0.01)
    assert np.corrcoef(slopes.flat, plain.flat)[0, 1] > 0.999


def test_the_bias_of_the_last_layer_is_smooth_and_so_are_its_steps_beyond_the_range():
    """Finite differences where the rounded net has a derivative: the scores' bias, and steps when every code clips."""
    parameters, known, x, targets = rounded_problem()
    last = len(NET.layers) - 1
    weights = parameters.of(last)["weights"]
    weights[...] = np.where(weights > 0, 5, -5)
    known.weights[last][...] = np.log(0.05)  # every weight of the last layer is beyond ±7 steps
    _, slopes, step_slopes = gradients_of(parameters, known, x, targets)
    assert not slopes.of(last)["weights"].any()
    bias, log = parameters.of(last)["bias"], known.weights[last]
    share = np.sqrt(weights.size * 7)
    for array, found in ((bias, slopes.of(last)["bias"]), (log, step_slopes.weights[last] * share)):
        for index in range(len(array)):
            kept = array[index]
            array[index] = kept + 1e-6
            above = gradients_of(parameters, known, x, targets)[0]
            array[index] = kept - 1e-6
            below = gradients_of(parameters, known, x, targets)[0]
            array[index] = kept
            assert found[index] == pytest.approx((above - below) / 2e-6, abs=1e-7)


def test_a_mean_of_codes_is_a_code():
    architecture = Architecture(
        (1, 8, 8), (AveragePool2d(), Conv2d(2, 1), ReLU(), AveragePool2d(), Flatten(), Dense(2))
    )
    parameters, known, x, _ = rounded_problem(architecture, dtype=np.float32)
    x = np.rint(x * 255) / np.float32(255)
    seen = {}
    layers.observe(
        RoundedSequential(parameters, known, 1 / 255, BATCH), x, lambda index, out: seen.update({index: out.copy()})
    )
    pixels = np.rint(x * 255).astype(int).reshape(1, 4, 2, 4, 2, BATCH).sum(axis=(2, 4))
    np.testing.assert_allclose(seen[0] * 255, (pixels + 2) // 4, atol=1e-3)
    step = np.exp(known.outputs[2][0])
    codes = np.rint(seen[2] / step).astype(int).reshape(2, 2, 2, 2, 2, BATCH).sum(axis=(2, 4))
    np.testing.assert_allclose(seen[3] / step, (codes + 2) // 4, atol=1e-3)


def test_torch_finds_the_same_gradients():
    torch = need_module("torch", "pip install torch")
    parameters, known, x, targets = rounded_problem()
    _, slopes, step_slopes = gradients_of(parameters, known, x, targets)
    numbers = {
        index: {name: torch.tensor(array, requires_grad=True) for name, array in parameters.of(index).items()}
        for index in known.weights
    }
    logs = torch.tensor(known.flat, requires_grad=True)
    lengths = [len(view) for view in (*known.weights.values(), *known.outputs.values())]
    views = dict(zip((*known.weights, *known.outputs), logs.split(lengths), strict=True))

    def rounded(value, log, low, top, share):
        step = (log * share + log.detach() * (1 - share)).exp()  # the value as it is, the gradient scaled
        clipped = (value / step).clamp(low, top)
        return (clipped + (clipped.round() - clipped).detach()) * step

    flow = torch.tensor(x).permute(3, 0, 1, 2)
    for index, layer in enumerate(NET.layers):
        if index in known.weights:
            weights = numbers[index]["weights"]
            log = views[index].reshape(-1, *(1,) * (weights.ndim - 1))
            weights = rounded(weights, log, -7, 7, (weights.numel() / len(views[index]) * 7) ** -0.5)
            if isinstance(layer, Conv2d):
                flow = torch.nn.functional.conv2d(flow, weights, numbers[index]["bias"], padding=layer.padding)
            else:
                flow = torch.nn.functional.linear(flow, weights, numbers[index]["bias"])
        elif index in known.outputs:
            flow = rounded(flow, views[index], 0, 255, (flow[0].numel() * 255) ** -0.5)
        elif isinstance(layer, MaxPool2d):
            flow = torch.nn.functional.max_pool2d(flow, 2)
        elif isinstance(layer, Flatten):
            flow = flow.flatten(1)
    (-(torch.tensor(targets).T * torch.nn.functional.log_softmax(flow, 1)).sum()).backward()
    for index, arrays in numbers.items():
        for name, tensor in arrays.items():
            np.testing.assert_allclose(slopes.of(index)[name], tensor.grad.numpy(), atol=1e-9)
    np.testing.assert_allclose(step_slopes.flat, logs.grad.numpy(), atol=1e-9)
