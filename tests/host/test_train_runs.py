"""Whole trainings: reproducible, resumable, stopped early, taught; the seeds' figures on MNIST (slow)."""

import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize  # noqa: F401 - so that its BLAS is counted before and after
from bars import same
from needed import need_module
from threadpoolctl import threadpool_info, threadpool_limits

from host.errors import InputError, ToolMissing
from host.nn import inference
from host.nn.layers import BatchNorm, Conv2d, Dense, Dropout, Flatten, MaxPool2d, ReLU
from host.nn.network import Scaling
from host.nn.parameters import initial
from host.train import train, train_preset
from host.train.engines import numpy_engine
from host.train.moving_average import Average
from host.train.optimisers import Adam, LbfgsB, Schedule, Sgd
from host.train.recipe import Recipe, Teacher

CNN = (Conv2d(6, 3), BatchNorm(), ReLU(), MaxPool2d(), Dropout(0.1), Flatten())
LARGER = (Conv2d(24, 3, padding=1), *CNN[1:])
RECIPE = Recipe(
    CNN, epochs=4, schedule=Schedule(0.01, "cosine", 0.1), optimiser=Adam(), batch=32, holdout=0.25, smoothing=0.05
)


def test_it_learns_and_says_what_it_reached(dataset):
    seen = []
    recipe = replace(RECIPE, epochs=8, layers=LARGER)
    network = train(dataset, recipe, preset="trial", seed=1, progress=seen.append)
    metrics, history = network.provenance.metrics, network.provenance.history
    assert metrics["test"] > 0.9
    assert metrics["validation"] > 0.9
    assert {name: len(values) for name, values in history.items()} == {
        "loss": 8,
        "accuracy": 8,
        "batch_loss": 8 * 10,
        "validation_loss": 8,
        "validation_accuracy": 8,
    }
    assert history["loss"][-1] < history["loss"][0]
    assert network.labels == dataset.labels
    assert [type(layer) for layer in network.architecture.layers] == [Conv2d, ReLU, MaxPool2d, Flatten, Dense]
    assert len(network.output_max) == 5
    assert seen[-1].step == seen[-1].total == 80
    assert seen[-1].validation_loss == history["validation_loss"][-1]


def test_the_same_seed_gives_the_same_bits(dataset):
    first = train(dataset, RECIPE, seed=4)
    assert same(first, train(dataset, RECIPE, seed=4))
    assert not same(first, train(dataset, RECIPE, seed=5))


@pytest.mark.parametrize("changes", [{}, {"copies": (("mild", 2), ("affine", 1)), "patience": 3}, {"averaging": 0.9}])
def test_an_interrupted_training_goes_on_to_the_same_bits(dataset, tmp_path, changes):
    recipe, path = replace(RECIPE, **changes), tmp_path / "run.ckpt"

    def interrupt(progress):
        if progress.validation_loss is not None and progress.step >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dataset, recipe, seed=2, progress=interrupt, checkpoint_path=path)
    steps = []
    resumed = train(
        dataset, recipe, seed=2, progress=lambda progress: steps.append(progress.step), checkpoint_path=path
    )
    assert min(steps) > 10  # it did not start again
    assert same(resumed, train(dataset, recipe, seed=2))


def test_a_checkpoint_of_another_recipe_is_refused(dataset, tmp_path):
    path = tmp_path / "run.ckpt"
    train(dataset, replace(RECIPE, epochs=1), checkpoint_path=path)
    with pytest.raises(InputError, match=r"run\.ckpt: checkpoint: found one of another training"):
        train(dataset, RECIPE, checkpoint_path=path)


def test_patience_ends_a_training_that_no_longer_improves(dataset):
    recipe = replace(RECIPE, epochs=60, patience=2, schedule=Schedule(0.05))
    network = train(dataset, recipe)
    losses = network.provenance.history["validation_loss"]
    assert len(losses) < 60
    assert len(losses) == int(np.argmin(losses)) + 3


def test_a_teacher_is_trained_first_and_followed(dataset, tmp_path):
    teacher = Teacher((*CNN[:4], Flatten(), Dense(16), ReLU()), epochs=3)
    recipe = replace(RECIPE, teacher=teacher, copies=(("mild", 2),))
    stages = []
    path = tmp_path / "run.ckpt"
    network = train(dataset, recipe, progress=lambda progress: stages.append(progress.stage), checkpoint_path=path)
    assert stages.index("train") > stages.index("teacher")
    assert (tmp_path / "run.ckpt.teacher").exists()
    assert not same(network, train(dataset, replace(recipe, teacher=None)))
    assert same(network, train(dataset, recipe, checkpoint_path=path))


def test_several_teachers_say_the_mean_of_what_each_says(dataset, monkeypatch):
    teacher = Teacher((Flatten(), Dense(16), ReLU()), epochs=2, count=2)
    seen, stages = [], []
    original = numpy_engine.NumpyEngine.epoch

    def spy(engine, given, *rest):
        seen.append((engine, given))
        return original(engine, given, *rest)

    monkeypatch.setattr(numpy_engine.NumpyEngine, "epoch", spy)
    recipe = replace(RECIPE, layers=(Flatten(),), epochs=1, teacher=teacher)
    train(dataset, recipe, seed=3, progress=lambda progress: stages.append(progress.stage))
    first, second, (_, given) = seen[0], seen[2], seen[-1]
    assert list(dict.fromkeys(stages)) == ["teacher 1/2", "teacher 2/2", "train"]
    said = []
    for engine, for_teacher in (first, second):
        assert for_teacher.soft is None
        scores = inference.scores(engine.parameters, Scaling(), given.codes) / teacher.temperature
        said.append(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))
    assert np.abs(said[0] - said[1]).max() > 0.01  # from other seeds
    np.testing.assert_allclose(given.soft.probabilities, (said[0] + said[1]) / 2, atol=1e-5)


def test_averaging_keeps_the_moving_average_of_all_numbers(dataset, monkeypatch):
    seen = []
    original = Average.add

    def spy(average, now, step):
        original(average, now, step)
        seen.append((average, now.copy(), step))

    monkeypatch.setattr(Average, "add", spy)
    averaged = train(dataset, replace(RECIPE, averaging=0.9, epochs=2), seed=1)
    assert [step for _, _, step in seen] == list(range(1, 21))
    expected = initial(seen[0][1].architecture, 1)
    for _, now, step in seen:
        share = 1 - min(0.9, (1 + step) / (10 + step))
        expected.flat[...] += share * (now.flat - expected.flat)
        expected.measured[...] += share * (now.measured - expected.measured)
    kept = seen[-1][0].parameters
    np.testing.assert_allclose(kept.flat, expected.flat, atol=1e-6)
    np.testing.assert_allclose(kept.measured, expected.measured, rtol=1e-5)
    np.testing.assert_array_equal(averaged.parameters.flat, inference.for_use(kept).flat)
    plain = train(dataset, replace(RECIPE, epochs=2), seed=1)
    assert not same(averaged, plain)
    assert averaged.provenance.history["loss"] == plain.provenance.history["loss"]
    assert averaged.provenance.history["validation_loss"] != plain.provenance.history["validation_loss"]


def test_unusable_recipes_are_refused(dataset):
    need = r"need a finite one; lower the learning rate, such as --rate 1e\+37"
    with pytest.raises(InputError, match=rf"train: loss: found (nan|inf) in epoch 1, {need}"):
        train(dataset, replace(RECIPE, layers=(Flatten(),), optimiser=Sgd(), schedule=Schedule(1e38)))
    with pytest.raises(InputError, match="train: scaling: found 'none', need one of unit, standard, centred, raw"):
        train(dataset, replace(RECIPE, scaling="none"))
    with pytest.raises(InputError, match="train: patience: found it without validation images"):
        train(dataset, replace(RECIPE, holdout=0, patience=2))
    with pytest.raises(InputError, match="train: averaging: found 1, need a number between 0 and 1"):
        train(dataset, replace(RECIPE, averaging=1))
    with pytest.raises(InputError, match="train: engine: found 'abacus', need one of numpy, torch"):
        train(dataset, RECIPE, engine="abacus")


def test_torch_is_named_when_it_is_missing(dataset, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "host.train.engines.torch_engine", raising=False)
    with pytest.raises(ToolMissing, match=r"train: engine: found no torch .*pip install"):
        train(dataset, RECIPE, engine="torch")


def test_a_convolution_learns_with_torch_too(dataset):
    need_module("torch", "pip install torch")
    network = train(dataset, replace(RECIPE, epochs=8, layers=LARGER), engine="torch")
    assert network.provenance.engine == "torch"
    assert network.provenance.metrics["test"] > 0.9


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("optimiser", [Adam(), LbfgsB()])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_training_that_fails_leaves_blas_as_it_was(dataset, error, optimiser):
    def fail(progress):
        raise error

    layers = (Conv2d(2, 3), ReLU(), Flatten())
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(error):
            train(dataset, replace(RECIPE, layers=layers, optimiser=optimiser), progress=fail)
        with pytest.raises(error):
            train_preset(dataset, "preconv", epochs=2, progress=fail)
        assert blas_threads() == before
    assert not any(thread.name.startswith("augment") for thread in threading.enumerate())
