"""Numbers that another tool's quantiser made: as they are, in the graph, in the file and in what they compute."""

from dataclasses import replace

import numpy as np
import pytest
from given_networks import GIVEN, MEANS, given_network, tied_network
from networks import drawn_images

from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.given import Given
from host.nn.layers import AveragePool2d, Conv2d, Dense, MaxPool2d
from host.nn.network import Scaling
from host.quantise.calibrate import export_top
from host.quantise.graph import AFTER
from host.quantise.graph import GIVEN as AS_IMPORTED
from host.quantise.lower import lower
from host.quantise.ops import Conv
from host.quantise.reference import conv_sums, dense_sums, infer, op_inputs


def rounded(total: int, multiplier: int, exponent: int) -> int:
    """TensorFlow Lite's MultiplyByQuantizedMultiplier, in whole numbers of any size."""
    product = (total << max(exponent, 0)) * multiplier
    nudged = product + (1 << 30 if product >= 0 else 1 - (1 << 30))
    high = abs(nudged) >> 31
    high = high if nudged >= 0 else -high
    right = max(-exponent, 0)
    size = abs(high) if not right else (abs(high) + (1 << (right - 1))) >> right
    return size if high >= 0 else -size


def held(rows, output, total):
    code = rounded(total, int(rows.multipliers[output]), int(rows.exponents[output])) + rows.zero - 128
    return min(max(code, rows.low - 128), rows.high - 128)


def run_by_hand(network, image):
    """Scores of one image (H, W), in int8 and with every zero point subtracted, as TensorFlow Lite has them."""
    values = image.astype(int)[None] - 128
    zero = network.scaling.offset - 128
    for layer, rows in zip(network.architecture.layers, network.given.layers, strict=True):
        if isinstance(layer, Conv2d):
            values, zero = conv_by_hand(layer, rows, values, zero), rows.zero - 128
        elif isinstance(layer, Dense):
            flat = values.reshape(-1) - zero
            totals = rows.weights.astype(int) @ flat + rows.bias
            values, zero = np.array([held(rows, k, int(t)) for k, t in enumerate(totals)]), rows.zero - 128
        elif isinstance(layer, MaxPool2d | AveragePool2d):
            values, zero = pool_by_hand(layer, rows, values, zero), zero if rows is None else rows.zero - 128
    return values


def places(plane, window, strides):
    """The upper left corners of windows, row by row."""
    sides = [range(0, side - size + 1, step) for side, size, step in zip(plane.shape, window, strides, strict=True)]
    return [[(y, x) for x in sides[1]] for y in sides[0]]


def conv_by_hand(layer, rows, values, zero):
    top, left, bottom, right = layer.pads
    padded = np.pad(values, ((0, 0), (top, bottom), (left, right)), constant_values=zero) - zero
    (height, width), share = layer.kernel_size, len(values) // layer.groups

    def of(output, y, x):
        first = output // (layer.channels // layer.groups) * share
        part = padded[first : first + share, y : y + height, x : x + width]
        return held(rows, output, int((rows.weights[output] * part).sum() + rows.bias[output]))

    corners = places(padded[0], layer.kernel_size, layer.strides)
    return np.array([[[of(output, *at) for at in line] for line in corners] for output in range(layer.channels)])


def pool_by_hand(layer, rows, values, zero):
    (height, width), count = layer.window, layer.window[0] * layer.window[1]

    def of(channel, y, x):
        window = values[channel, y : y + height, x : x + width]
        total = int(window.sum())
        if isinstance(layer, MaxPool2d):
            return int(window.max())
        if rows is not None:
            return held(rows, channel, total - zero * count)
        return int(np.sign(total)) * ((abs(total) + count // 2) // count)

    corners = places(values[0], layer.window, layer.strides)
    return np.array([[[of(channel, *at) for at in line] for line in corners] for channel in range(len(values))])


@pytest.mark.parametrize("name", GIVEN)
def test_the_reference_computes_what_tensorflow_lite_says(name):
    network = given_network(GIVEN[name], with_means=name in MEANS)
    graph, images = lower(network), drawn_images(4)
    assert graph.rounding == AS_IMPORTED and graph.format is WeightFormat.INT8
    expected = [run_by_hand(network, image) for image in images]
    assert (infer(graph, images).scores - 128).tolist() == [each.tolist() for each in expected]
    assert len(set(np.concatenate(expected).tolist())) > 5


def test_ties_of_both_roundings_and_shifts_to_the_left_come_up_in_a_net_and_are_right():
    network, images = tied_network(), drawn_images(6)
    graph = lower(network)
    assert (infer(graph, images).scores - 128).tolist() == [run_by_hand(network, image).tolist() for image in images]
    seen = set()
    for op, values in zip(graph.ops, op_inputs(graph, images), strict=True):
        sums = conv_sums(op, values) if isinstance(op, Conv) else dense_sums(op, values)[:, :, None, None]
        rule = op.rows.requantiser
        multipliers, exponents = (each.astype(np.int64)[:, None, None] for each in (rule.multipliers, rule.exponents))
        products, divisors = (sums << np.maximum(exponents, 0)) * multipliers, 1 << np.maximum(-exponents, 0)
        once = (products + 2**30) >> 31
        for sign in (-1, 1):
            seen |= {("first", sign)} if ((products % 2**31 == 2**30) & (sign * products > 0)).any() else set()
            ties = (divisors > 1) & (once % divisors == divisors // 2)
            seen |= {("second", sign)} if (ties & (sign * once > 0)).any() else set()
        seen |= {np.sign(each) for each in exponents.ravel().tolist()}
    assert seen == {-1, 0, 1, *((each, sign) for each in ("first", "second") for sign in (-1, 1))}


def test_other_roundings_of_an_imported_net_are_made_of_its_floats():
    network = given_network(GIVEN["given, dense"])
    assert lower(network, post_training=True).rounding == AFTER
    assert lower(network, WeightFormat.INT4).rounding == AFTER
    assert lower(network).hash != lower(network, post_training=True).hash
    assert export_top(network, WeightFormat.INT8, None) == 255


@pytest.mark.parametrize("name", GIVEN)
def test_a_file_holds_them(name, tmp_path):
    network = given_network(GIVEN[name], with_means=name in MEANS)
    model_file.save(network, tmp_path / "net.h5")
    back = model_file.load(tmp_path / "net.h5")
    assert lower(back).hash == lower(network).hash and back.given.source == "TensorFlow Lite"
    assert model_file.content_hash(back) == model_file.content_hash(network)
    assert model_file.content_hash(replace(network, given=None)) != model_file.content_hash(network)


def changed(network, at, **changes):
    layers = list(network.given.layers)
    layers[at] = replace(layers[at], **changes)
    return replace(network, given=Given(network.given.source, tuple(layers), network.given.pool_center))


def test_what_cannot_be_computed_is_refused():
    network = given_network(GIVEN["given, dense"])
    rows = network.given.layers[1]
    with pytest.raises(InputError, match=r"int8: layer 1: sums: found up to .* shifted by up to 20, need 32 bits"):
        lower(changed(network, 1, exponents=np.full_like(rows.exponents, 20)))
    with pytest.raises(InputError, match=r"int8: scaling: found an offset of 3\.5, need one whole code"):
        lower(replace(network, scaling=Scaling(3.5, 10.0)))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: f["given"].attrs.__setitem__("source", ""), "given.source: found ''"),
        (lambda f: f["given"].attrs.__setitem__("pool_center", 300), "given.pool_center: found 300, need a code"),
        (lambda f: f.__delitem__("given/layers/1"), "given/layers/1: found nothing, need the whole numbers"),
        (lambda f: f["given/layers/1"].attrs.__setitem__("low", 256), "given/layers/1.low: found 256"),
        (lambda f: f["given/layers/1"].attrs.__setitem__("scale", np.nan), "given/layers/1.scale: found nan"),
        (lambda f: f["given/layers/1/exponents"].__setitem__(0, 31), r"exponents -?[0-9]+\.\.31, need 0 or more"),
        (lambda f: f["given/layers/1/multipliers"].__setitem__(0, -1), "multipliers from -1"),
        (lambda f: f.create_group("given/layers/0"), "given/layers/0: found Flatten, need a convolution"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(damage, complaint, tmp_path):
    import h5py

    model_file.save(given_network(GIVEN["given, dense"]), tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5", "r+") as file:
        damage(file)
    with pytest.raises(InputError, match=complaint) as caught:
        model_file.load(tmp_path / "net.h5")
    assert "\n" not in str(caught.value)
