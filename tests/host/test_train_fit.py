"""Training end to end on small sets, and the published figures on the real ones."""

import numpy as np
import pytest

from host.data import load
from host.data.dataset import Split, make_dataset
from host.errors import InputError
from host.nn.dense_chain import split as layers_of
from host.nn.network import float_scores
from host.nn.preconv import preconv_features
from host.train import PRESETS, presets, train_preset
from host.train.holdout import holdout_rows
from host.train.optimisers import LbfgsB

DENSE_PRESETS = ("preconv", "preconv-cheap", "preconv-seed")


def small_dataset(train_images=200, shape=(16, 16), classes=3):
    """Bars at one height per class, with noise: learnt in a few epochs."""
    rng = np.random.default_rng(8)

    def split(count):
        labels = rng.integers(0, classes, count)
        images = rng.integers(0, 60, (count, *shape))
        images[np.arange(count), 2 + labels * (shape[0] - 4) // classes, 2:-2] = 255
        return Split(images.astype(np.uint8), labels.astype(np.int64))

    return make_dataset("bars", split(train_images), split(60), tuple("abcdefgh"[:classes]))


BARS = small_dataset()


@pytest.mark.parametrize(("preset", "epochs"), [("preconv", 25), ("preconv-seed", 60)])
def test_each_preset_learns_and_says_where_the_network_comes_from(preset, epochs):
    network = train_preset(BARS, preset, seed=2, epochs=epochs)
    source = network.provenance
    assert (source.dataset, source.dataset_sha256) == ("bars", BARS.sha256)
    assert (source.preset, source.seed, source.engine) == (preset, 2, "numpy")
    assert set(source.metrics) == {"train", "validation", "test"}
    assert min(source.metrics.values()) > 0.9
    assert source.history["loss"][-1] < source.history["loss"][0]
    assert network.input_shape == (1, 16, 16)
    assert network.labels == ("a", "b", "c")
    assert [layer.weights.shape for layer in layers_of(network)] == [(40, 64), (3, 40)]
    assert network.parameters.flat.dtype == np.float32


def test_metrics_and_ranges_are_those_of_the_returned_network():
    network = train_preset(BARS, "preconv", epochs=10)
    features = preconv_features(BARS.train.images)
    first, last = layers_of(network)
    hidden = np.maximum((features - first.input_offset.astype(np.float32)) @ first.weights.T + first.bias, 0)
    scores = hidden @ last.weights.T + last.bias
    np.testing.assert_allclose(float_scores(network, BARS.train.images), scores, rtol=1e-4, atol=1e-4)
    assert first.output_max == pytest.approx(hidden.max(), rel=1e-5)
    assert last.output_max == pytest.approx(np.abs(scores).max(), rel=1e-5)
    assert network.provenance.metrics["train"] == np.mean(scores.argmax(axis=1) == BARS.train.labels)
    assert first.input_offset.dtype == np.int16
    np.testing.assert_array_equal(first.input_offset, np.rint(features.mean(axis=0)))
    assert last.input_offset is None


@pytest.mark.parametrize("preset", DENSE_PRESETS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(preset):
    first, again = (train_preset(BARS, preset, seed=5, epochs=4) for _ in range(2))
    for one, two in zip(layers_of(first), layers_of(again), strict=True):
        assert one.weights.tobytes() == two.weights.tobytes()
        assert one.bias.tobytes() == two.bias.tobytes()
        assert one.output_max == two.output_max
    assert first.provenance == again.provenance
    assert (layers_of(train_preset(BARS, preset, seed=6, epochs=4))[0].weights != layers_of(first)[0].weights).any()


def test_the_validation_run_changes_nothing_in_the_network():
    with_it, without = (
        train_preset(BARS, "preconv", epochs=3),
        train_preset(BARS, "preconv", epochs=3, validation_run=False),
    )
    assert layers_of(with_it)[0].weights.tobytes() == layers_of(without)[0].weights.tobytes()
    assert "validation" not in without.provenance.metrics


def test_the_seed_recipe_is_the_published_one():
    recipe = PRESETS["preconv-seed"].recipe_for((16, 16), 7291)
    assert recipe.optimiser == LbfgsB(gtol=1e-3, reg=0.02)
    assert (recipe.epochs, recipe.initial, recipe.scaling, recipe.copies) == (200, "seed-000", "raw", ())
    architecture = recipe.architecture((16, 16), 10)
    assert [shape for shape in architecture.shapes if len(shape) == 1] == [(64,), (40,), (40,), (10,)]


def test_presets_choose_the_recipe_by_the_number_of_images():
    preset = PRESETS["preconv"]
    chosen = [preset.recipe_for((16, 16), n) for n in (1437, 7291, 60000)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert 60000 * chosen[2].holdout == pytest.approx(5000)


def test_options_reach_the_network():
    network = train_preset(BARS, "preconv", hidden=7, epochs=3)
    assert layers_of(network)[0].weights.shape == (7, 64)
    assert len(network.provenance.history["loss"]) == 3
    gentle, strict = (train_preset(BARS, "preconv-seed", reg=reg, epochs=20) for reg in (0.0, 1.0))
    assert np.abs(layers_of(strict)[0].weights).sum() < np.abs(layers_of(gentle)[0].weights).sum()


@pytest.mark.parametrize("shape", [(16, 16), (28, 28), (9, 12), (15, 15)])
def test_any_image_size_trains(shape):
    network = train_preset(small_dataset(60, shape), "preconv", epochs=2, validation_run=False)
    assert network.image_shape == shape
    assert layers_of(network)[0].weights.shape[1] == (shape[0] // 2) * (shape[1] // 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "train: hidden: found 0, need a whole number 1..255"),
        ({"hidden": 256}, "train: hidden: found 256"),
        ({"hidden": 2.5}, "train: hidden: found 2.5"),
        ({"epochs": 0}, "train: epochs: found 0, need a whole number 1 or more"),
        ({"reg": -0.1}, "train: reg: found -0.1"),
        ({"reg": float("nan")}, "train: reg: found nan"),
        ({"reg": float("inf")}, "train: reg: found inf"),
        ({"seed": -1}, "train: seed: found -1"),
    ],
)
@pytest.mark.parametrize("preset", DENSE_PRESETS)
def test_unusable_values_are_refused(preset, options, message):
    with pytest.raises(InputError) as caught:
        train_preset(BARS, preset, **options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("name", "near"),
    [("preconv-sed", "did you mean preconv-seed?"), ("PRECONV", "did you mean preconv?"), ("zzz", "choose one")],
)
def test_an_unknown_preset_is_refused_with_the_near_one(name, near):
    with pytest.raises(InputError, match=f"preset: name: found '{name}'") as caught:
        presets.find(name)
    assert near in str(caught.value)


def test_a_run_that_diverges_is_refused():
    with pytest.raises(InputError, match="train: loss: found"):
        train_preset(BARS, "preconv", reg=1e300, epochs=3)


def test_progress_counts_both_runs_and_ends_at_the_total():
    seen = []
    train_preset(BARS, "preconv", epochs=4, progress=seen.append)
    ends = [p.step for p in seen if p.step in (2, 4, 6, 8, 10, 12, 14, 16)]
    assert list(dict.fromkeys(ends)) == [2, 4, 6, 8, 10, 12, 14, 16]  # two batches an epoch
    assert {p.total for p in seen} == {16}
    assert list(dict.fromkeys(p.stage for p in seen)) == ["train", "validation"]
    assert seen[-1].seconds_left == 0 and seen[-1].step == 16
    assert all(0 <= p.accuracy <= 1 and p.loss > 0 for p in seen)


def interrupt_at(step):
    def progress(state):
        if state.step == step:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("preset", DENSE_PRESETS)
def test_an_interrupt_hands_over_the_best_so_far_and_goes_on(preset):
    kept = []
    with pytest.raises(KeyboardInterrupt):
        train_preset(
            BARS,
            preset,
            epochs=40,
            progress=interrupt_at(12 if "seed" in preset else 24),
            interrupted=kept.append,
        )
    (network,) = kept
    assert "validation" not in network.provenance.metrics
    assert network.provenance.metrics["test"] > 0.5
    assert layers_of(network)[0].output_max > 0


def test_an_interrupt_of_the_validation_run_hands_over_the_finished_network():
    kept = []
    with pytest.raises(KeyboardInterrupt):
        train_preset(BARS, "preconv", epochs=4, progress=interrupt_at(12), interrupted=kept.append)
    whole = train_preset(BARS, "preconv", epochs=4, validation_run=False)
    assert layers_of(kept[0])[0].weights.tobytes() == layers_of(whole)[0].weights.tobytes()
    assert kept[0].provenance == whole.provenance


def test_the_holdout_is_stratified_and_leaves_every_class_something():
    labels = np.repeat([0, 1, 2], [100, 50, 1])
    kept, held = holdout_rows(labels, 0.2)
    assert sorted([*kept, *held]) == list(range(151))
    assert np.bincount(labels[held], minlength=3).tolist() == [20, 10, 0]


def test_the_embedded_digits_train_well_within_a_demo():
    network = train_preset(load("digits"), "preconv")
    assert network.provenance.metrics["test"] > 0.97
