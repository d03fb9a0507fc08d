"""Architectures: shapes, refusals, plain form; parameters: layout and first numbers."""

import json

import numpy as np
import pytest
from networks import NETS, WITH_DROPOUT

from host.errors import InputError
from host.nn.layers import (
    Architecture,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    MaxPool2d,
    ReLU,
)
from host.nn.parameters import initial, slots
from host.nn.plain import from_plain, to_plain
from host.train import PRESETS


def test_seed_001_has_the_published_shapes():
    net = PRESETS["scratch-cnn"].recipe_for((28, 28)).architecture((28, 28), 10)
    maps = [shape for shape in net.shapes if len(shape) == 3]
    assert maps == [(1, 28, 28), (8, 24, 24), (8, 24, 24), (8, 20, 20), (8, 20, 20), (8, 10, 10)]
    assert net.shapes[6:] == ((800,), (128,), (128,), (10,))
    assert net.macs == 24 * 24 * 8 * 25 + 20 * 20 * 8 * 200 + 800 * 128 + 128 * 10


@pytest.mark.parametrize(
    ("preset", "side", "weights", "macs"),
    [("uno-cnn", 16, 22_672, 522_496), ("uno-cnn", 28, 17_416, 464_192), ("simple-cnn", 28, 54_368, 248_768)],
)
def test_presets_cost_what_their_recipes_say(preset, side, weights, macs):
    net = PRESETS[preset].recipe_for((side, side)).architecture((side, side), 10)
    assert sum(np.prod(slot.shape) for slot in slots(net) if slot.name == "weights") == weights
    assert net.macs == macs


@pytest.mark.parametrize("net", [*NETS.values(), WITH_DROPOUT])
def test_the_plain_form_survives_json(net):
    assert from_plain(json.loads(json.dumps(to_plain(net)))) == net


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Dense(3),), "layer 0 Dense: input: found 1x8x8, need a vector; put Flatten before"),
        ((Flatten(), Conv2d(3, 3), Dense(3)), "layer 1 Conv2d: input: found 64, need channels, height, width"),
        ((Conv2d(3, 9), Flatten(), Dense(3)), "layer 0 Conv2d: input: found 1x8x8, need a larger map"),
        ((MaxPool2d(9), Flatten(), Dense(3)), "layer 0 MaxPool2d: input: found 1x8x8, need a larger map"),
        ((MaxPool2d(2, -1), Flatten(), Dense(3)), "layer 0 MaxPool2d: stride: found -1, need a whole number from 1"),
        ((AveragePool2d(0), Flatten(), Dense(3)), "layer 0 AveragePool2d: size: found 0, need a whole number from 1"),
        ((Conv2d(3, 3, groups=2), Flatten(), Dense(3)), "layer 0 Conv2d: groups: found 2 for 1 channels in and 3 out"),
        ((Conv2d(3, 3, padding=3), Flatten(), Dense(3)), r"layer 0 Conv2d: padding: found 3, need 0\.\.2"),
        ((Conv2d(3, 3, stride=0), Flatten(), Dense(3)), "layer 0 Conv2d: stride: found 0"),
        ((Flatten(), Dense(0)), "layer 1 Dense: units: found 0"),
        ((Dropout(1.0), Flatten(), Dense(3)), "layer 0 Dropout: share: found 1.0"),
        ((ReLU(), BatchNorm()), "layers: found a last layer of 1x8x8, need a vector of scores"),
        ((), "layers: found a last layer of 1x8x8"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers, message):
    with pytest.raises(InputError, match=message):
        Architecture((1, 8, 8), layers)


def test_a_pool_that_does_not_overlap_is_described_as_ever():
    """The description is part of a model's hash, which has to outlive the layer's stride."""
    pool, overlapping = (
        Architecture((1, 8, 8), (pool, Flatten(), Dense(3))) for pool in (MaxPool2d(), MaxPool2d(3, 2))
    )
    assert to_plain(pool)["layers"][0] == {"kind": "MaxPool2d", "size": 2}
    assert pool.layers[0] == MaxPool2d(2, 2)
    assert to_plain(overlapping)["layers"][0] == {"kind": "MaxPool2d", "size": 3, "stride": 2}
    assert overlapping.shapes[1] == (1, 3, 3)


@pytest.mark.parametrize(
    "value", [{}, {"input_shape": [1, 8], "layers": []}, {"input_shape": [1, 8, 8], "layers": [{"kind": "Magic"}]}]
)
def test_a_foreign_plain_form_is_refused(value):
    with pytest.raises(InputError, match="architecture: description: found"):
        from_plain(value)


def test_the_views_cover_the_vectors_once():
    for net in NETS.values():
        parameters = initial(net, 0)
        for slot in slots(net):
            parameters.of(slot.layer)[slot.name][...] = np.nan
        assert np.isnan(parameters.flat).all()
        assert np.isnan(parameters.measured).all()


def test_first_numbers_have_the_deviations_of_their_rule():
    net = Architecture((1, 20, 20), (Conv2d(50, 10), ReLU(), Flatten(), Dense(40), Dense(10)))
    he, first, seed = (initial(net, 0, rule) for rule in ("he", "seed-000", "seed-001"))
    for layer in (0, 3):
        assert first.of(layer)["weights"].std() == pytest.approx(1e-5, rel=0.05)
    assert he.of(0)["weights"].std() == pytest.approx((2 / 100) ** 0.5, rel=0.05)
    assert seed.of(0)["weights"].std() == pytest.approx((1 / 5000) ** 0.5, rel=0.05)
    assert he.of(3)["weights"].std() == pytest.approx((2 / 6050) ** 0.5, rel=0.05)
    assert seed.of(3)["weights"].std() == pytest.approx(0.01, rel=0.05)
    assert not he.of(0)["bias"].any()
    with pytest.raises(InputError, match="train: initial: found 'zeros', need one of"):
        initial(net, 0, "zeros")


def test_decay_applies_to_weights_only():
    net = NETS["normalised"]
    parameters = initial(net, 0)
    names = {slot.name for slot in slots(net) if slot.trained and parameters.decays[slot.part].all()}
    assert names == {"weights"}
