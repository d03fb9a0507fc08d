"""What training's images tell an export: densities, accuracies, and the activation bits that follow from them."""

import dataclasses

import numpy as np
import pytest
from networks import drawn_images, network_of, random_images, random_network

from host.data import Split
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.layers import AveragePool2d, Conv2d, Flatten, ReLU, preconv_layers
from host.nn.network import Calibration, QatResult
from host.quantise.calibrate import ACCURACY_RULE, calibrate, export_top, preferred_top
from host.quantise.lower import lower
from host.quantise.ops import Conv, Dense
from host.quantise.reference import infer, op_inputs

INT8, INT4, FLOAT32 = WeightFormat.INT8, WeightFormat.INT4, WeightFormat.FLOAT32


def split(network, count=120):
    """Images labelled as the network itself sees them, some of them wrongly."""
    images = random_images(5, count)
    labels = infer(lower(network), images).classes.astype(np.int64)
    labels[::7] = (labels[::7] + 1) % 4
    return Split(images, labels)


def known(top, accuracy):
    return Calibration(top, accuracy, (np.ones(1, np.float32), np.zeros(16, np.float32), np.zeros(7, np.float32)))


@pytest.mark.parametrize("seed", range(3))
def test_densities_and_accuracy_are_those_of_the_images_given(seed):
    network = random_network(seed)
    given = split(network)
    calibrated = calibrate(network, given)
    assert [each.top for each in calibrated.calibrations] == [63, 255]
    for each in calibrated.calibrations:
        graph = lower(network, INT8, top=each.top, prune=False)
        assert each.densities[0] == pytest.approx([np.mean(given.images > 0)])
        for density, values in zip(each.densities[1:], op_inputs(graph, given.images)[1:], strict=True):
            flat = values.reshape(len(values), -1)
            assert density == pytest.approx(np.count_nonzero(flat, axis=0) / len(given.images))
            assert density.dtype == np.float32
        assert each.accuracy == pytest.approx((infer(graph, given.images).classes == given.labels).mean())


@pytest.mark.parametrize("name", ["padded", "strided", "pools"])
def test_inputs_of_a_convolution_count_as_often_as_the_kernel_meets_them(name):
    network, images = network_of(name), drawn_images(30)
    (measured,) = [
        each for each in calibrate(network, Split(images, np.zeros(30, np.int64))).calibrations if each.top == 255
    ]
    graph = lower(network, INT8, prune=False)
    for op, density, values in zip(graph.ops, measured.densities, op_inputs(graph, images), strict=True):
        if isinstance(op, Conv):
            assert density == pytest.approx([share_under_the_kernel(op, values)], rel=1e-4)
        elif isinstance(op, Dense):
            assert density == pytest.approx((values > 0).reshape(30, -1).mean(axis=0))
        else:
            assert density == pytest.approx([np.mean(values > 0)])


def share_under_the_kernel(op, values):
    """How many of the inputs that meet a weight are not zero, one position after the other."""
    top, left, _, _ = op.pads
    met, present = 0, 0
    for y in range(op.output_shape[1] * op.pool[0]):
        for x in range(op.output_shape[2] * op.pool[1]):
            row, column = y * op.strides[0] - top, x * op.strides[1] - left
            rows, columns = slice(max(row, 0), row + op.kernel[0]), slice(max(column, 0), column + op.kernel[1])
            window = values[:, :, rows, columns]
            met, present = met + window.size, present + np.count_nonzero(window)
    return present / met


def test_a_net_of_convolutions_has_its_choice_of_bits_too():
    layers = (*preconv_layers(255), Conv2d(4, 3), ReLU(), AveragePool2d(), Flatten())
    for network in (network_of("padded"), network_of(layers)):
        images = drawn_images(40)
        labels = infer(lower(network), images).classes.astype(np.int64)
        calibrated = calibrate(network, Split(images, labels))
        assert [each.top for each in calibrated.calibrations] == [63, 255]
        assert calibrated.calibrations[1].accuracy == 1.0
        graph = lower(calibrated, INT8, top=63)
        assert all(op.density is not None for op in graph.ops if isinstance(op, Conv | Dense))


def test_calibrating_again_replaces_and_changes_no_number_that_is_flashed():
    network = random_network(1)
    once = calibrate(network, split(network, 50))
    twice = calibrate(once, split(network, 120))
    assert len(twice.calibrations) == 2
    for top in (63, 255):
        hashes = {lower(each, INT8, top=top, prune=False).hash for each in (network, once, twice)}
        assert len(hashes) == 1


def test_a_net_trained_with_six_bits_has_one_calibration():
    network = random_network(2, top=63)
    calibrated = calibrate(network, split(network))
    assert [each.top for each in calibrated.calibrations] == [63]
    assert preferred_top(calibrated) == 63


@pytest.mark.parametrize(
    ("narrow", "wide", "top"),
    [
        (0.95, 0.95, 63),
        (0.96, 0.95, 63),
        (0.95 - ACCURACY_RULE / 2, 0.95, 63),
        (0.95 - ACCURACY_RULE * 1.01, 0.95, 255),
        (0.90, 0.95, 255),
    ],
)
def test_six_bits_are_taken_where_they_cost_no_accuracy(narrow, wide, top):
    network = dataclasses.replace(random_network(), calibrations=(known(63, narrow), known(255, wide)))
    assert preferred_top(network) == top


def test_without_a_measurement_the_nets_own_top_stays():
    assert preferred_top(random_network()) == 255
    assert preferred_top(random_network(top=63)) == 63
    only_wide = dataclasses.replace(random_network(), calibrations=(known(255, 0.9),))
    assert preferred_top(only_wide) == 255


def test_an_export_takes_what_is_asked_for_or_was_trained_or_costs_nothing():
    network = dataclasses.replace(random_network(), calibrations=(known(63, 0.95), known(255, 0.95)))
    assert [export_top(network, INT8, bits) for bits in (8, 6, 5, 4, None)] == [255, 63, 31, 15, 63]
    assert export_top(network, INT4, None) == export_top(network, FLOAT32, None) == 255
    trained = QatResult("int8", network.parameters, (None,) * 7, (0.0,) * 7)
    assert export_top(dataclasses.replace(network, qat=(trained,)), INT8, None) == 255
    narrow = dataclasses.replace(trained, format="int4", top=63)
    both = dataclasses.replace(network, qat=(trained, narrow))
    assert [export_top(both, fmt, None) for fmt in (INT8, INT4, FLOAT32)] == [255, 63, 255]


def test_an_export_finds_the_densities_of_its_own_top_and_of_the_units_it_keeps():
    network = random_network(3)
    network.parameters.of(6)["weights"][:, 2] = 0  # unit 2 is heard by no one
    calibrated = calibrate(network, split(network))
    assert len(calibrated.calibrations) == 2
    for each in calibrated.calibrations:
        first, last = lower(calibrated, INT8, top=each.top).ops[1:]
        assert first.rows.outputs == 6
        assert first.density == pytest.approx(each.densities[1])
        assert last.density == pytest.approx(np.delete(each.densities[2], 2))


def test_densities_of_another_size_than_a_dense_layers_are_refused():
    foreign = Calibration(255, 0.9, (np.ones(1, np.float32), np.ones(9, np.float32), np.ones(7, np.float32)))
    with pytest.raises(InputError, match="calibrations: found 9 shares for a dense layer of 16 inputs, need one"):
        lower(dataclasses.replace(random_network(), calibrations=(foreign,)))
