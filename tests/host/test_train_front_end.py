"""A fixed front end as a frozen prefix: its codes once a copy, every option as for any other net, tops of all sizes."""

from dataclasses import replace

import numpy as np
import pytest
from bars import same
from needed import need_module
from networks import frozen_scores
from test_train_fit import BARS

from host.errors import InputError
from host.nn import fixed, inference
from host.nn.dense_chain import split
from host.nn.layers import BatchNorm, Conv2d, Dense, Flatten, MaxPool2d, MinMaxNormalise, ReLU, preconv_layers
from host.nn.network import QatResult, Scaling, float_scores
from host.train import PRESETS, Wishes, train, train_preset
from host.train.optimisers import Adam, Schedule
from host.train.overrides import customised
from host.train.phases import checkpoint_files
from host.train.qat.narrow import narrowed, widened
from host.train.qat.recipe import named, standard
from host.train.recipe import Recipe, Teacher
from host.train.scaling import scaling_of

CNN = Recipe(
    (*preconv_layers(255), Conv2d(4, 3, padding=1), BatchNorm(), ReLU(), MaxPool2d(), Flatten()),
    epochs=6,
    schedule=Schedule(0.01, "cosine", 0.1),
    optimiser=Adam(),
    batch=32,
    copies=(("mild", 2),),
)


def recipe_of(preset, **wishes):
    return customised(PRESETS[preset].recipe_for((16, 16), 200), Wishes(**wishes), preset)


def test_a_convolution_learns_behind_the_front_end():
    network = train(BARS, CNN)
    assert network.fixed == 3 and network.top == 255
    assert [type(layer) for layer in network.architecture.layers[3:]] == [Conv2d, ReLU, MaxPool2d, Flatten, Dense]
    assert network.scaling == Scaling(0, 255.0)
    assert network.output_max[:3] == (0.0, 0.0, 0.0) and network.output_max[3] > 0
    assert network.provenance.metrics["test"] > 0.9
    right = float_scores(network, BARS.test.images).argmax(axis=1) == BARS.test.labels
    assert network.provenance.metrics["test"] == right.mean()


def test_codes_are_computed_once_for_each_copy(monkeypatch):
    asked = []

    def spy(architecture, images):
        asked.append(len(images))
        return fixed.codes(architecture, images)

    monkeypatch.setattr("host.train.pipeline.codes", spy)
    train(BARS, CNN)
    # Two copies, the images as they are for their scale, and none held out; not six epochs.
    assert sorted(asked) == [0, 200, 200, 200]


def test_a_teacher_may_look_at_the_images_themselves():
    teacher = Teacher((Conv2d(6, 3), ReLU(), MaxPool2d(), Flatten()), hard=0.0, epochs=4)
    stages = []
    taught = train(BARS, replace(CNN, teacher=teacher), progress=lambda progress: stages.append(progress.stage))
    assert list(dict.fromkeys(stages)) == ["teacher", "train"]
    assert taught.provenance.metrics["test"] > 0.9
    assert not np.array_equal(taught.parameters.flat, train(BARS, CNN).parameters.flat)


@pytest.mark.parametrize(
    ("preset", "at"), [("preconv", 30), ("preconv", 50), ("preconv-cheap", 31), ("preconv-cheap", 54)]
)
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path, preset, at):
    """Also with a companion, with weights that are pruned and rounded, and in the run that validates."""
    recipe, path = recipe_of(preset, epochs=20), tmp_path / "run.ckpt"

    def interrupt(progress):
        if progress.step >= at:
            raise KeyboardInterrupt

    kept = []
    with pytest.raises(KeyboardInterrupt):
        train(BARS, recipe, seed=2, progress=interrupt, checkpoint_path=path, interrupted=kept.append)
    steps = []
    resumed = train(BARS, recipe, seed=2, progress=lambda progress: steps.append(progress.step), checkpoint_path=path)
    assert min(steps) > at - 4  # it did not start again
    whole = train(BARS, recipe, seed=2)
    assert same(resumed, whole) and resumed.provenance == whole.provenance
    assert np.array_equal(resumed.parameters.flat, whole.parameters.flat)
    assert len(kept) == 1 and kept[0].provenance.metrics["test"] > 0.3
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in checkpoint_files(path, recipe)}


def test_what_is_held_out_on_demand_is_never_trained_on():
    network = train(BARS, recipe_of("preconv", epochs=6, holdout=0.25, patience=2))
    history = network.provenance.history
    assert len(history["validation_loss"]) == len(history["loss"])
    assert set(network.provenance.metrics) == {"train", "validation", "test"}
    own = train(BARS, recipe_of("preconv", epochs=2))
    assert "validation_loss" not in own.provenance.history and "validation" in own.provenance.metrics
    assert "validation" not in train(BARS, recipe_of("preconv", epochs=2, validation_run=False)).provenance.metrics


def test_options_change_the_one_thing_that_they_name():
    plain = recipe_of("preconv")
    assert recipe_of("preconv", rate=0.02) == replace(plain, schedule=replace(plain.schedule, rate=0.02))
    assert recipe_of("preconv", batch=16) == replace(plain, batch=16)
    assert recipe_of("preconv", reg=0.01).optimiser == Adam(0.9, 0.99, reg=0.01)
    assert recipe_of("preconv-seed", reg=0.01).optimiser.reg == 0.01
    assert recipe_of("preconv", hidden=100).schedule.rate == plain.wide_rate == 0.005
    assert recipe_of("preconv", hidden=100, rate=0.02).schedule.rate == 0.02
    assert recipe_of("preconv", hidden=100).companion and recipe_of("preconv", hidden=128).companion is None
    assert recipe_of("scratch-cnn", hidden=7).layers[-2:] == (Dense(7), ReLU())
    assert recipe_of("preconv", qat=["int4-6,int8"]).qat == (standard("int8", 300), standard("int4-6", 300))
    assert recipe_of("preconv-cheap", cycles=5000).cost.cycles == 5000


@pytest.mark.parametrize(
    ("preset", "wish", "message"),
    [
        ("uno-cnn", {"hidden": 9}, "train: hidden: found it with preset uno-cnn and 0 hidden dense layers, need one"),
        ("preconv", {"cycles": 9}, "train: cycles: found it with preset preconv and no aim for cycles, need one"),
        ("preconv-cheap", {"qat": ["int8"]}, "train: qat: found it with preset preconv-cheap and weights that are"),
        ("preconv-cheap", {"patience": 3}, "train: patience: found it with preset preconv-cheap and weights that are"),
        (
            "uno-cnn",
            {"validation_run": False},
            "train: no-rehearsal: found it with preset uno-cnn and no validation run, need",
        ),
        ("preconv-seed", {"rate": 0.1}, "train: rate: found it with preset preconv-seed and optimiser l-bfgs-b, need"),
        ("simple-cnn", {"optimiser": "l-bfgs-b", "batch": 9}, "train: batch: found it with preset simple-cnn and opt"),
    ],
)
def test_an_option_without_a_field_is_refused_by_the_recipe(preset, wish, message):
    with pytest.raises(InputError) as caught:
        recipe_of(preset, **wish)
    assert str(caught.value).startswith(message) and str(caught.value).endswith("; leave it out")


def test_either_engine_trains_behind_the_front_end():
    need_module("torch", "pip install torch")
    recipe = recipe_of("preconv", epochs=8, validation_run=False)
    one, other = (train(BARS, recipe, engine=engine) for engine in ("numpy", "torch"))
    assert other.provenance.engine == "torch"
    np.testing.assert_allclose(one.provenance.history["loss"], other.provenance.history["loss"], rtol=1e-3)
    np.testing.assert_allclose(one.parameters.flat, other.parameters.flat, atol=1e-3)


def test_the_divisor_of_codes_ends_in_the_weights():
    network = train(BARS, recipe_of("preconv", epochs=2, validation_run=False, qat=["int8"]))
    assert network.scaling.divisor == 1.0 and network.scaling.offset.dtype == np.int16
    assert split(replace(network, qat=())) is not None  # what files of version 1 could hold
    result = network.qat_for("int8")
    first = network.parameters.weighted[0]
    codes = result.parameters.of(first)["weights"] / result.weight_steps[first][:, None]
    assert np.abs(codes - np.rint(codes)).max() < 1e-3 and np.abs(codes).max() <= 127.01


@pytest.mark.parametrize("rule", ["unit", "standard", "centred", "raw"])
@pytest.mark.parametrize("top", [63, 15])
def test_a_net_on_codes_of_fewer_levels_says_nearly_the_same(rule, top):
    """Exactly, where codes are: rounding offsets moves nothing, for it goes into the biases."""
    recipe = replace(recipe_of("preconv", epochs=3, validation_run=False), scaling=rule)
    network = train(BARS, recipe)
    numbers, scaling = narrowed(network.parameters, network.scaling, top)
    assert numbers.architecture.layers[2] == MinMaxNormalise(top)
    narrow = fixed.codes(numbers.architecture, BARS.test.images)
    wide = narrow.astype(np.float64) * 255 / top
    first, last = (network.parameters.of(index) for index in network.parameters.weighted)
    x = (wide.reshape(60, -1) - network.scaling.offset) / network.scaling.divisor
    expected = np.maximum(x @ first["weights"].T + first["bias"], 0) @ last["weights"].T + last["bias"]
    found = inference.scores(numbers, scaling, narrow)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    nothing = (None,) * len(network.output_max)
    result = QatResult("int8", numbers, nothing, (0.0,) * len(nothing), top)
    back = widened(result, network.architecture, network.scaling)
    np.testing.assert_allclose(back.parameters.of(4)["bias"], first["bias"], atol=1e-4 * np.abs(first["bias"]).max())


def test_a_top_above_the_nets_own_is_refused():
    recipe = replace(CNN, layers=(*preconv_layers(63), *CNN.layers[3:]), epochs=1, qat=(standard("int8-8", 3),))
    with pytest.raises(
        InputError, match="train: qat: found 'int8-8', need 6 bits, as the codes of its fixed front end have"
    ):
        train(BARS, recipe)


@pytest.mark.parametrize("name", ["int8-5", "int4-4", "ternary-4"])
def test_bits_that_the_codes_of_a_front_end_cannot_have_are_refused_before_training(name):
    seen = []
    with pytest.raises(InputError, match=f"train: qat: found '{name}', need 6 or 8 bits, .*;"):
        train(BARS, recipe_of("preconv", epochs=1, validation_run=False, qat=[name]), progress=seen.append)
    assert seen == []


@pytest.fixture(scope="module")
def rounded():
    wanted = ("int8", "int4", "int4-6", "ternary", "ternary-6")
    return train(BARS, recipe_of("preconv", epochs=20, validation_run=False, qat=[",".join(wanted)]))


def test_each_format_and_top_is_trained_for_behind_the_front_end(rounded):
    assert [(result.format, result.top) for result in rounded.qat] == [
        ("int8", 255),
        ("int4", 255),
        ("int4", 63),
        ("ternary", 255),
        ("ternary", 63),
    ]
    for result in rounded.qat:
        assert result.parameters.architecture == rounded.architecture
        said = frozen_scores(rounded, result, BARS.test.images).argmax(axis=1)
        assert (said == BARS.test.labels).mean() > 0.9, (result.format, result.top)
    assert {"int4-6_loss", "ternary-6_accuracy"} <= set(rounded.provenance.history)


def integers(network, result, images):
    """The rounded net in whole numbers alone, but for the scale of biases: what boards compute, written out."""
    front_end = narrowed(result.parameters, network.scaling, result.top)[0].architecture
    codes = fixed.codes(front_end, images).reshape(len(images), -1).astype(np.int64)
    unit = network.top / result.top
    for index in result.parameters.weighted:
        numbers, steps = result.parameters.of(index), result.weight_steps[index].astype(np.float64)
        weights = np.rint(numbers["weights"] / steps[:, None]).astype(np.int64)
        bias = numbers["bias"].astype(np.float64)
        if index == result.parameters.weighted[0]:
            bias = bias - (weights * steps[:, None]) @ network.scaling.offset
        sums = codes @ weights.T + np.rint(bias / (steps * unit)).astype(np.int64)
        step = result.output_steps[index + 1] if index + 1 < len(result.output_steps) else 0.0
        if step:
            codes = np.clip(np.floor(sums * (steps * unit / step) + 0.5), 0, result.top).astype(np.int64)
            unit = step
    return sums


def test_integers_say_what_the_rounded_net_says(rounded):
    for result in rounded.qat:
        said = frozen_scores(rounded, result, BARS.test.images)
        whole = integers(rounded, result, BARS.test.images)
        assert (said.argmax(axis=1) == whole.argmax(axis=1)).mean() >= 0.95, (result.format, result.top)


def test_names_of_formats_have_bits_where_they_differ_from_the_nets_own():
    assert named(["int4-6", "ternary,int4,int4-6"]) == ("int4", "int4-6", "ternary")
    assert standard("int4-6", 9).bits == 6 and standard("int4-6", 9).name == "int4-6"
    for wrong in ("int4-", "int4-7", "int4-06", "-6"):
        with pytest.raises(InputError, match="need formats among int8, int4, ternary, each alone or, as in int4-6,"):
            named([wrong])


def test_scalings_are_those_of_their_rules():
    codes = np.array([[[0, 10]], [[20, 40]]], np.uint8)
    assert scaling_of("unit", codes, 63) == Scaling(0, 63.0)
    assert scaling_of("raw", codes, 63) == Scaling(0, 1.0)
    assert scaling_of("standard", codes, 63) == Scaling(17, 14.0)
    assert scaling_of("centred", codes, 63) == Scaling(np.array([10, 25], np.int16), 16.0)
    with pytest.raises(InputError, match="train: scaling: found 'log', need one of unit, standard, centred, raw"):
        scaling_of("log", codes, 63)


def test_a_preset_trains_by_name():
    network = train_preset(BARS, "preconv-cnn", epochs=2, qat=["none"])
    assert network.provenance.preset == "preconv-cnn" and network.fixed == 3
