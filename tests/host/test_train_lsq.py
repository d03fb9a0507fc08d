"""Training on for a weight format: where steps start, what it reaches, that it can be interrupted and repeated."""

from dataclasses import replace

import numpy as np
import pytest
from bars import bars
from networks import frozen_scores
from test_train_runs import LARGER, RECIPE

from host.data import Dataset
from host.errors import InputError
from host.nn.formats import WEIGHT_TOPS, WeightFormat
from host.nn.layers import Architecture, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.quantise.lower import lower
from host.quantise.reference import infer
from host.train import train
from host.train.optimisers import Schedule
from host.train.overrides import Wishes, customised
from host.train.qat import scales
from host.train.qat.recipe import QatRecipe, named, standard
from host.train.recipe import Teacher

TUNED = replace(
    RECIPE,
    layers=LARGER,
    epochs=8,
    qat=tuple(QatRecipe(fmt, 2, Schedule(1e-3, "cosine")) for fmt in ("int8", "ternary")),
)


@pytest.fixture(scope="module")
def dataset():
    return Dataset("bars", bars(400, 0), bars(200, 1), "0" * 64, ("row", "column", "diagonal"))


@pytest.fixture(scope="module")
def network(dataset):
    return train(dataset, TUNED, seed=1)


def arrays(tuned):
    return [tuned.parameters.flat, np.array(tuned.output_steps), *(s for s in tuned.weight_steps if s is not None)]


def same(one, other):
    pairs = [
        pair
        for mine, theirs in zip(one.qat, other.qat, strict=True)
        for pair in zip(arrays(mine), arrays(theirs), strict=True)
    ]
    return all(np.array_equal(*pair) for pair in pairs)


def test_the_float_net_stays_as_it_would_be(dataset, network):
    plain = train(dataset, replace(TUNED, qat=()), seed=1)
    assert np.array_equal(plain.parameters.flat, network.parameters.flat)
    assert plain.output_max == network.output_max and plain.qat == ()
    own = {name: values for name, values in network.provenance.history.items() if not name.startswith(("int8", "ter"))}
    assert own == plain.provenance.history


def test_it_learns_and_the_integers_agree_with_the_rounded_net(dataset, network):
    history, images, labels = network.provenance.history, dataset.test.images, dataset.test.labels
    assert [tuned.format for tuned in network.qat] == ["int8", "ternary"]
    for tuned in network.qat:
        losses = history[f"{tuned.format}_loss"]
        assert len(losses) == 2 and len(history[f"{tuned.format}_validation_loss"]) == 2
        scores = frozen_scores(network, tuned, images)
        found = infer(lower(network, WeightFormat[tuned.format.upper()]), images)
        assert np.mean(scores.argmax(axis=1) == found.classes) >= 0.99
        loss = network.provenance.metrics["test"] - np.mean(found.classes == labels)
        assert loss < {"int8": 0.02, "ternary": 0.15}[tuned.format]
    assert history["ternary_loss"][-1] < history["ternary_loss"][0]
    after = infer(lower(network, WeightFormat.TERNARY, post_training=True), images)
    trained = infer(lower(network, WeightFormat.TERNARY), images)
    assert np.mean(trained.classes == labels) > np.mean(after.classes == labels)


def test_an_interrupted_tuning_goes_on_to_the_same_bits(dataset, network, tmp_path):
    def interrupt(progress):
        if progress.stage == "ternary" and progress.validation_loss is not None:
            raise KeyboardInterrupt

    path, stages = tmp_path / "run.ckpt", []
    with pytest.raises(KeyboardInterrupt):
        train(dataset, TUNED, seed=1, progress=interrupt, checkpoint_path=path)
    resumed = train(
        dataset, TUNED, seed=1, progress=lambda progress: stages.append(progress.stage), checkpoint_path=path
    )
    assert set(stages) == {"ternary"}
    assert same(resumed, network)


def test_the_teacher_is_asked_again_but_not_trained_again(dataset):
    stages = []
    recipe = replace(TUNED, epochs=2, teacher=Teacher((Flatten(), Dense(16), ReLU()), epochs=1))
    train(dataset, recipe, progress=lambda progress: stages.append(progress.stage))
    assert list(dict.fromkeys(stages)) == ["teacher", "train", "int8", "ternary"]
    first_of = [stage for stage, before in zip(stages, [None, *stages], strict=False) if stage != before]
    assert first_of == ["teacher", "train", "int8", "ternary"]


def test_the_steps_that_change_weights_least_are_found():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, 2000))
    rows[2] = 0
    for top, share in ((1, 1.22), (7, 0.335)):
        found = scales.closest_steps(rows, top)
        # Steps of the symmetric uniform quantiser of a normal variable with 3 and 15 levels (Max, 1960).
        assert found[:2] == pytest.approx([share, share], rel=0.08)
        assert found[2] > 0
    assert scales.closest_steps(rows, 127)[:2] == pytest.approx(np.abs(rows[:2]).max(axis=1) / 127, rel=0.03)


def test_no_step_of_an_activation_is_smaller_than_one_of_the_sum_before_it():
    architecture = Architecture((1, 4, 4), (Flatten(), Dense(3), ReLU(), Dense(2), ReLU(), Dense(2)))
    known = scales.empty(architecture, 1, 255)
    for logs, value in ((known.weights[1], 1.0), (known.weights[3], 2.0)):
        logs[...] = np.log(value)
    known.outputs[2][...], known.outputs[4][...] = np.log(0.5), np.log(3.0)
    known.bound(0.75)
    assert np.exp([*known.outputs[2], *known.outputs[4]]) == pytest.approx([0.75, 3.0], rel=2e-4)
    known.bound(2.0)
    assert np.exp([*known.outputs[2], *known.outputs[4]]) == pytest.approx([2.0, 4.0], rel=4e-4)


@pytest.mark.parametrize(
    "layers", [(Conv2d(2, 3), Flatten()), (Conv2d(2, 3), MaxPool2d(), Flatten()), (Flatten(), Dense(4))]
)
def test_a_net_without_relu_cannot_be_tuned(layers, dataset):
    with pytest.raises(InputError, match=r"qat: layer \d: found \w+ without ReLU, need ReLU right behind it"):
        train(dataset, replace(TUNED, layers=layers, epochs=1))


def test_formats_are_chosen_by_name():
    assert named(["none"]) == ()
    assert named(["ternary", "int8, ternary"]) == ("int8", "ternary")
    for wrong in (["int3"], ["none,int8"], [""]):
        with pytest.raises(InputError, match=r"train: qat: found '.*', need formats among int8, int4, ternary"):
            named(wrong)
    with pytest.raises(InputError, match="train: qat: found 'float16', need formats among int8, int4, ternary"):
        standard("float16", 3)
    assert customised(TUNED, Wishes(qat=["none"])).qat == ()
    assert customised(TUNED, Wishes(qat=["ternary,int4"])).qat == (standard("int4", 8), TUNED.qat[1])
    assert [tuning.epochs for tuning in customised(TUNED, Wishes(epochs=1)).qat] == [1, 1]
    assert [standard(fmt, 60).epochs for fmt in WEIGHT_TOPS] == [15, 15, 15]
    assert [standard(fmt, 14).epochs for fmt in WEIGHT_TOPS] == [6, 10, 10]
