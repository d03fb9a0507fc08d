"""Training for cheap weights: rounding, pruning to a wish, nets that are deployed exactly as they were trained."""

from statistics import mean

import numpy as np
import pytest
from unrolled_chains import input_cycles

from host.compile.boards import board
from host.compile.budget import predict
from host.compile.exports import export_for
from host.compile.kernels.unrolled.compiler import Source, unroll
from host.data import Dataset, Split, load
from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.dense_chain import split as layers_of
from host.nn.formats import WeightFormat
from host.nn.preconv import preconv_features
from host.quantise.calibrate import calibrate
from host.quantise.lower import lower
from host.quantise.reference import infer, op_inputs
from host.train import PRESETS, train_preset
from host.train.qat.cost_aware import FewValued
from host.train.qat.cycle_prices import column_cycles, prune_to, rest_cycles

RULES = PRESETS["preconv-cheap"].recipe_for((16, 16), 7291).cost


def bars(count=240, classes=3):
    """Bars at one height per class, with noise and empty margins: learnt in a few epochs."""
    rng = np.random.default_rng(8)

    def split(images_in_split):
        labels = rng.integers(0, classes, images_in_split)
        images = np.zeros((images_in_split, 16, 16))
        images[:, 2:14, 2:14] = rng.integers(0, 60, (images_in_split, 12, 12))
        images[np.arange(images_in_split), 3 + labels * 12 // classes, 2:-2] = 255
        return Split(images.astype(np.uint8), labels.astype(np.int64))

    return Dataset("bars", split(count), split(60), "0" * 64, tuple("abcdefgh"[:classes]))


BARS = bars()


@pytest.fixture(scope="module")
def network():
    return calibrate(
        train_preset(BARS, "preconv-cheap", hidden=24, epochs=40, cycles=1600, validation_run=False), BARS.train
    )


def test_weights_round_to_the_nearest_magnitude_of_either_sign():
    rounder = FewValued((1, 2, 4))
    rounder.step = 0.5
    weights = np.array([0.2, -0.3, 0.7, -0.8, 1.4, 1.6, -9.0, 0.0], np.float32)
    assert rounder.whole(weights).tolist() == [0, -1, 1, -2, 2, 4, -4, 0]
    assert rounder.rounded(weights).tolist() == [0, -0.5, 0.5, -1, 1, 2, -2, 0]


def test_the_step_of_weights_that_have_one_is_nearly_found():
    rounder = FewValued((1, 2, 3, 4))
    rng = np.random.default_rng(1)
    weights = (0.3 * rng.integers(-4, 5, 500) + rng.normal(0, 0.01, 500)).astype(np.float32)
    rounder.fit(weights)
    assert rounder.step == pytest.approx(0.3, rel=0.03)
    rounder.fit(np.zeros(3, np.float32))  # any step does
    assert rounder.step > 0


def test_limits_leave_room_for_one_magnitude_more():
    rounder = FewValued((1, 2))
    weights = np.array([-9, -2.5, 0, 2.9, 3.1], np.float32)
    rounder.limit(weights)
    assert weights.tolist() == pytest.approx([-3, -2.5, 0, 2.9, 3])


@pytest.mark.parametrize("hidden", [5, 12, 24, 40])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_pruning_meets_the_wish_and_little_more(hidden, share):
    rng = np.random.default_rng(hidden)
    worth, density = rng.exponential(1, (64, hidden)).astype(np.float32), rng.random(64)
    wish = share * column_cycles(np.ones((64, hidden), np.bool_), density)
    kept = prune_to(worth, density, wish)
    assert 0.9 * wish - 30 <= column_cycles(kept, density) <= wish
    assert mean(worth[kept]) > mean(worth[~kept])


def test_pruning_leaves_everything_where_the_wish_is_generous_and_survives_worthless_weights():
    density = np.full(4, 0.5)
    assert prune_to(np.ones((4, 3), np.float32), density, 1e6).all()
    assert not prune_to(np.zeros((4, 3), np.float32), density, 1.0).any()


def test_a_column_goes_before_its_weights_do():
    """Two inputs of equal single weights: the one that feeds a single unit does not pay for its loading."""
    worth = np.zeros((2, 12), np.float32)
    worth[0, 0], worth[1, :] = 1.0, 1.0
    density = np.ones(2)
    kept = prune_to(worth, density, column_cycles(worth > 0, density) - 1)
    assert kept.sum(axis=1).tolist() == [0, 12]


@pytest.mark.parametrize(("hidden", "wish"), [(24, 1000), (36, 1500), (48, 2000), (48, 3500)])
def test_the_picture_is_within_a_few_per_cent_of_the_compiled_code(hidden, wish):
    """For weights as training leaves them: pruned by their worth, of its few magnitudes."""
    rng = np.random.default_rng(hidden)
    density, drawn, largest = rng.random(64), rng.normal(0, 1.6, (64, hidden)), max(RULES.magnitudes[0])
    whole = np.rint(drawn).clip(-largest, largest).astype(np.int64)
    whole[~prune_to((drawn**2 * density[:, None]).astype(np.float32), density, wish)] = 0
    first = Source(whole.T, np.zeros(hidden, np.int64), 128, 12, 63, 0, 64, density)
    last = Source(np.ones((1, hidden), np.int64), np.zeros(1, np.int64), 0, 0, 63, 64, 0, np.ones(hidden))
    counted = input_cycles(unroll([first, last]), 0, density)
    assert column_cycles(whole != 0, density) == pytest.approx(counted, rel=0.07)


def program_for(network):
    return export_for(network, WeightFormat.INT8, board("uno"), "unrolled").on(board("uno"))


def test_deployment_takes_the_trained_whole_numbers(network):
    net = lower(network, WeightFormat.INT8, prune=False)
    for op, trained, magnitudes in zip(net.ops[1:], layers_of(network), RULES.magnitudes, strict=True):
        assert set(np.abs(op.rows.weights).ravel().tolist()) <= {0, *magnitudes}
        assert (op.rows.weights * np.float32(trained.weight_step) == trained.weights).all()
    rule = net.ops[1].rows.requantiser
    assert rule.shared == 128 and 7 <= rule.shift <= 16  # a power of two: the sum is only shifted


def test_the_board_computes_what_the_loss_saw(network):
    """The rounded float forward pass of training and the integers agree on every score, up to their one scale."""
    net = lower(network, WeightFormat.INT8, prune=False)
    rule = net.ops[1].rows.requantiser
    first, last = layers_of(network)
    step = first.weight_step * 2.0 ** (rule.shift - 7)
    x = preconv_features(BARS.test.images, 63).astype(np.float64)
    hidden = np.minimum(np.rint(np.maximum(x @ first.weights.T + first.bias, 0) / step), 63)
    stored = op_inputs(net, BARS.test.images)[2]
    # Half to even in training and half up on the board: they differ on exact halves only.
    assert np.abs(hidden - stored).max() <= 1 and (hidden != stored).mean() < 0.05
    scores = stored * step @ last.weights.T + last.bias
    np.testing.assert_array_equal(scores / (last.weight_step * step), infer(net, BARS.test.images).scores)


def test_a_net_of_cheap_weights_still_learns(network):
    assert network.provenance.metrics["test"] > 0.9
    assert network.top == 63
    assert network.calibrations[0].accuracy > 0.9


def test_a_smaller_wish_gives_a_quicker_net(network):
    quick = calibrate(
        train_preset(BARS, "preconv-cheap", hidden=24, epochs=40, cycles=1100, validation_run=False), BARS.train
    )
    programs = [program_for(net) for net in (network, quick)]
    dear, cheap = (sum(spent for _, spent in predict(program, board("uno")).parts[1:]) for program in programs)
    assert cheap < dear
    assert dear < 1600 * 1.1 and cheap < 1100 * 1.1
    assert (layers_of(quick)[0].weights == 0).mean() > (layers_of(network)[0].weights == 0).mean()


def test_every_length_of_training_ends_in_whole_numbers():
    for epochs in (1, 2, 3, 7):
        layers = layers_of(train_preset(BARS, "preconv-cheap", epochs=epochs, validation_run=False))
        assert all(layer.weight_step > 0 for layer in layers)
        assert (layers[0].weights != 0).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "preconv", "cycles": 3000}, "train: cycles: found it with preset preconv and no aim for cycles"),
        ({"name": "preconv-cheap", "cycles": 900}, "train: cycles: found 900, need a whole number 1366 or more"),
        ({"name": "preconv-cheap", "cycles": True}, "train: cycles: found True"),
        ({"name": "preconv-cheap", "hidden": 255}, "train: cycles: found 4000"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(options, message):
    assert rest_cycles(48) == 1266
    with pytest.raises(InputError) as caught:
        train_preset(BARS, **options)
    assert str(caught.value).startswith(message)


def test_the_model_file_keeps_the_step(network, tmp_path):
    path = tmp_path / "cheap.h5"
    model_file.save(network, path)
    back = model_file.load(path)
    assert [layer.weight_step for layer in layers_of(back)] == [layer.weight_step for layer in layers_of(network)]
    assert lower(back, WeightFormat.INT8).hash == lower(network, WeightFormat.INT8).hash


@pytest.mark.slow
def test_the_default_wish_gives_96_percent_in_10700_cycles_on_usps(real_data):
    usps = load("usps")
    right, spent = [], []
    for seed in range(3):
        network = calibrate(train_preset(usps, "preconv-cheap", seed=seed, validation_run=False), usps.train)
        program = program_for(network)
        right.append(np.mean(infer(program.graph, usps.test.images).classes == usps.test.labels))
        spent.append(predict(program, board("uno")).cycles)
    assert mean(right) >= 0.96
    assert mean(spent) <= 10700
