"""Int8 nets of learned kernels: the reference is the definition, rounding costs little, and misfits are refused."""

from dataclasses import replace

import numpy as np
import pytest
from host.deploy.deployment import float_scores, infer
from host.deploy.learned_choose import FORMATS
from host.deploy.learned_nets import ConvStage, PoolStage
from host.deploy.learned_quantise import quantise_learned
from learned_definition import conv_sum
from learned_definition import scores as defined_scores
from learned_networks import LAYERS, UNPADDED, drawn_images, learned_network

from host.errors import InputError
from host.nn.formats import WeightFormat
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
from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.quantise.numerics import largest_kept, to_int8

CONV = (Conv2d(4, 3), ReLU(), Flatten())
STANDARD = Scaling(33, 78.0)


@pytest.mark.parametrize("name", LAYERS)
def test_the_reference_is_the_definition(name):
    net, images = quantise_learned(learned_network(name)), drawn_images(4)
    assert infer(net, images).scores.tolist() == [defined_scores(net, image) for image in images]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("scaling", [Scaling(), STANDARD], ids=["unit", "standard"])
def test_rounding_costs_little(name, scaling):
    if scaling.offset and name not in UNPADDED:
        pytest.skip("padding needs unit scaling")
    # The images on which the ranges were measured: others may saturate, and that is no rounding.
    network, images = learned_network(name, scaling=scaling), drawn_images(40, seed=6)
    exact, found = float_scores(network, images), infer(quantise_learned(network), images)
    assert np.mean(exact.argmax(axis=1) == found.classes) >= 0.9
    step = np.std(exact) / np.std(found.scores)
    assert np.abs(exact - step * found.scores).max() < 0.2 * np.std(exact)


@pytest.mark.parametrize("name", LAYERS)
def test_numbers_lie_in_their_ranges(name):
    for stage in quantise_learned(learned_network(name)).stages:
        if isinstance(stage, PoolStage):
            continue
        assert np.abs(stage.rows.weights.astype(int)).max() <= 127
        if stage.rows.multipliers is not None:
            assert stage.rows.multipliers.min() >= 1 and stage.rows.shift in (16, 24)
            # Every row uses its 8 bits, to within one multiplier step.
            tops = np.abs(stage.rows.weights.reshape(stage.rows.outputs, -1).astype(int)).max(axis=1)
            assert np.all(tops >= 126 * stage.rows.multipliers / (stage.rows.multipliers + 1.0) - 1)


PACKED = (WeightFormat.INT4, WeightFormat.TERNARY)


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("fmt", PACKED)
@pytest.mark.parametrize("name", LAYERS)
def test_fewer_bits_keep_to_their_range_and_to_the_definition(name, fmt, per_tensor):
    net, images = quantise_learned(learned_network(name), fmt, per_tensor=per_tensor), drawn_images(3)
    assert net.format is fmt and (fmt.weight_max, fmt.bits) == {PACKED[0]: (7, 4), PACKED[1]: (1, 2)}[fmt]
    for stage in net.stages:
        if not isinstance(stage, PoolStage):
            assert stage.rows.bits == fmt.bits and np.abs(stage.rows.weights.astype(int)).max() == fmt.weight_max
            if per_tensor and stage.rows.multipliers is not None:
                assert len(set(stage.rows.multipliers.tolist())) == 1
    assert infer(net, images).scores.tolist() == [defined_scores(net, image) for image in images]


def test_clipping_leaves_the_smaller_error():
    random = np.random.default_rng(0)
    weights = random.normal(0, 1, (5, 400))
    for fmt in PACKED:
        kept, widest = largest_kept(weights, fmt), np.abs(weights).max(axis=1)
        errors = []
        for top in (kept, widest):
            step = top[:, None] / fmt.weight_max
            errors.append(((to_int8(weights, step, fmt.weight_max) * step - weights) ** 2).sum(axis=1))
        assert np.all(kept < widest) and np.all(errors[0] < 0.9 * errors[1])
    assert np.array_equal(largest_kept(weights, WeightFormat.INT8), widest)


def test_the_format_is_part_of_the_hash():
    network = learned_network("plain")
    found = {quantise_learned(network, fmt, per_tensor=each).hash for fmt in FORMATS for each in (False, True)}
    assert len(found) == 6


def test_a_silent_layer_and_an_empty_row_are_no_trouble():
    network = learned_network(CONV)
    network.parameters.of(0)["weights"][1] = 0
    network.parameters.of(0)["bias"][:] = -9
    network.parameters.of(0)["bias"][1] = 0.3
    net = quantise_learned(network)
    found = infer(net, drawn_images(3)).scores
    assert found.tolist() == [defined_scores(net, image) for image in drawn_images(3)]


def test_a_bias_far_above_the_weights_is_kept():
    network = learned_network((Conv2d(2, 3), ReLU(), Flatten()))
    numbers = network.parameters.of(0)
    numbers["weights"][0] *= 1e-9
    numbers["bias"][0] = network.output_max[1] / 2
    stage = quantise_learned(network).stages[0]
    assert stage.rows.bias[0] * stage.rows.multipliers[0] / 2**stage.rows.shift == pytest.approx(127.5, rel=1e-3)


def test_relu_and_max_pool_commute():
    before = learned_network((Conv2d(4, 3), ReLU(), MaxPool2d(), Flatten()))
    after = learned_network((Conv2d(4, 3), MaxPool2d(), ReLU(), Flatten()))
    assert quantise_learned(before).hash == quantise_learned(after).hash


def test_a_second_pool_stands_alone():
    stages = quantise_learned(learned_network((Conv2d(4, 3), ReLU(), MaxPool2d(), MaxPool2d(), Flatten()))).stages
    assert [type(stage) for stage in stages[:2]] == [ConvStage, PoolStage]
    assert stages[0].pool == 2


def test_a_max_pool_that_overlaps_stands_alone_and_commutes_with_relu():
    pool = MaxPool2d(3, 2)
    before = quantise_learned(learned_network((Conv2d(4, 3), ReLU(), pool, Flatten())))
    after = quantise_learned(learned_network((Conv2d(4, 3), pool, ReLU(), Flatten())))
    assert [type(stage) for stage in after.stages] == [type(stage) for stage in before.stages]
    assert before.stages[1] == after.stages[1] == PoolStage((4, 14, 14), 3, 2, is_average=False)
    assert before.stages[1].output_shape == (4, 6, 6)
    images = drawn_images(4)
    assert infer(after, images).scores.tolist() == [defined_scores(after, image) for image in images]


def test_the_stride_of_a_pool_is_part_of_the_hash():
    one = quantise_learned(learned_network((*CONV[:-1], MaxPool2d(4, 1), Flatten())))
    convolution, pool, *rest = one.stages
    assert isinstance(pool, PoolStage)
    other = replace(one, stages=(convolution, replace(pool, stride=2), *rest))
    assert one.hash != other.hash


def test_the_hash_is_of_the_numbers_alone():
    one, other = (quantise_learned(learned_network("plain", seed=seed)) for seed in (1, 2))
    assert one.hash != other.hash
    assert one.hash == quantise_learned(learned_network("plain", seed=1)).hash
    assert len(one.hash_bytes) == 8


@pytest.mark.parametrize(
    ("layers", "scaling", "complaint"),
    [
        ((Conv2d(4, 3), Flatten()), None, "layer 0: found Conv2d without ReLU"),
        ((Conv2d(4, 3), AveragePool2d(), ReLU(), Flatten()), None, "layer 0: found Conv2d without ReLU"),
        ((Flatten(), Dense(4)), None, "layer 1: found Dense without ReLU"),
        ((Conv2d(4, 3, padding=1), ReLU(), Flatten()), STANDARD, "padding around pixels with a mean subtracted"),
        ((ReLU(), *CONV), STANDARD, "ReLU on pixels"),
        ((Conv2d(4, 3), BatchNorm(), ReLU(), Flatten()), None, "layer 0: found Conv2d without ReLU"),
        ((Dropout(0.5), *CONV), None, "layer 0: found Dropout"),
        ((Flatten(), Dense(256), ReLU()), None, "(65535, 255)"),
    ],
)
def test_what_no_stage_can_be_made_of_is_refused(layers, scaling, complaint):
    with pytest.raises(InputError) as caught:
        quantise_learned(learned_network(layers, scaling=scaling))
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


def with_relu_at_the_end(network):
    longer = Architecture(network.architecture.input_shape, (*network.architecture.layers, ReLU()))
    parameters = Parameters(longer, network.parameters.flat, network.parameters.measured)
    return replace(network, parameters=parameters, output_max=(*network.output_max, 1.0))


def test_the_last_layer_must_be_the_scores():
    with pytest.raises(InputError, match="found ReLU behind the scores"):
        quantise_learned(with_relu_at_the_end(learned_network("plain")))


def test_padding_is_a_pixel_of_zero():
    """A white frame around the image changes the sums; the same frame in black, which is what padding is, does not."""
    network = learned_network((Conv2d(4, 3, padding=1), ReLU(), Flatten()))
    stage = quantise_learned(network).stages[0]
    image = drawn_images(3)[2]
    framed = np.pad(image, 1)
    for y, x in ((0, 0), (0, 7), (15, 15)):
        window = framed[y : y + 3, x : x + 3].astype(int)
        expected = ((stage.rows.weights[:, 0] * window).sum(axis=(1, 2)) + stage.rows.bias).tolist()
        assert [conv_sum(stage, image[None], o, y, x) for o in range(4)] == expected
