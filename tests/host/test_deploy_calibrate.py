"""What training's images tell an export: densities, accuracies, and the activation bits that follow from them."""

import dataclasses

import numpy as np
import pytest
from host.deploy.calibrate import ACCURACY_RULE, calibrate, preferred_levels
from host.deploy.quantise import quantise
from host.deploy.reference import infer, layer_inputs
from networks import random_images, random_network

from host.data import Split
from host.nn.formats import WeightFormat
from host.nn.network import Calibration
from host.nn.preconv import preconv_features


def split(network, count=120):
    """Images labelled as the network itself sees them, some of them wrongly."""
    images = random_images(5, count)
    labels = infer(quantise(network, WeightFormat.INT8), images).classes.astype(np.int64)
    labels[::7] = (labels[::7] + 1) % 4
    return Split(images, labels)


def known(levels, accuracy):
    return Calibration(levels, accuracy, (np.zeros(16, np.float32), np.zeros(7, np.float32)))


@pytest.mark.parametrize("seed", range(3))
def test_densities_and_accuracy_are_those_of_the_images_given(seed):
    network = random_network(seed)
    given = split(network)
    calibrated = calibrate(network, given)
    assert [each.top for each in calibrated.calibrations] == [63, 255]
    for each in calibrated.calibrations:
        net = quantise(network, WeightFormat.INT8, levels=each.top, prune=False)
        inputs = layer_inputs(net, preconv_features(given.images, each.top))
        assert len(each.densities) == 2
        for density, values in zip(each.densities, inputs, strict=True):
            assert density == pytest.approx(np.count_nonzero(values, axis=0) / len(given.images))
            assert density.dtype == np.float32
        assert each.accuracy == pytest.approx((infer(net, given.images).classes == given.labels).mean())


def test_calibrating_again_replaces_and_changes_no_number_that_is_flashed():
    network = random_network(1)
    once = calibrate(network, split(network, 50))
    twice = calibrate(once, split(network, 120))
    assert len(twice.calibrations) == 2
    for levels in (63, 255):
        hashes = {quantise(n, WeightFormat.INT8, levels=levels, prune=False).hash for n in (network, once, twice)}
        assert len(hashes) == 1


def test_a_net_trained_with_six_bits_has_one_calibration():
    network = random_network(2, top=63)
    calibrated = calibrate(network, split(network))
    assert [each.top for each in calibrated.calibrations] == [63]
    assert preferred_levels(calibrated) == 63


@pytest.mark.parametrize(
    ("narrow", "wide", "levels"),
    [
        (0.95, 0.95, 63),
        (0.96, 0.95, 63),
        (0.95 - ACCURACY_RULE / 2, 0.95, 63),
        (0.95 - ACCURACY_RULE * 1.01, 0.95, 255),
        (0.90, 0.95, 255),
    ],
)
def test_six_bits_are_taken_where_they_cost_no_accuracy(narrow, wide, levels):
    network = dataclasses.replace(random_network(), calibrations=(known(63, narrow), known(255, wide)))
    assert preferred_levels(network) == levels


def test_without_a_measurement_the_nets_own_levels_stay():
    assert preferred_levels(random_network()) == 255
    assert preferred_levels(random_network(top=63)) == 63
    only_wide = dataclasses.replace(random_network(), calibrations=(known(255, 0.9),))
    assert preferred_levels(only_wide) == 255


def test_an_export_finds_the_densities_of_its_own_levels_and_of_the_units_it_keeps():
    network = random_network(3)
    network.parameters.of(6)["weights"][:, 2] = 0  # unit 2 is heard by no one
    calibrated = calibrate(network, split(network))
    for each in calibrated.calibrations:
        net = quantise(calibrated, WeightFormat.INT8, levels=each.top)
        assert len(net.layers[0].bias) == 6
        assert net.layers[0].density == pytest.approx(each.densities[0])
        assert net.layers[1].density == pytest.approx(np.delete(each.densities[1], 2))
