"""L-BFGS-B on a small net: the gradient it is given, where it arrives, what it is not for."""

from dataclasses import replace

import numpy as np
import pytest
from bars import bars

from host.errors import InputError
from host.nn.layers import BatchNorm, Conv2d, Dropout, Flatten, MaxPool2d, ReLU
from host.nn.network import Scaling
from host.nn.parameters import initial
from host.train import train
from host.train.engines.full_batch import Loss
from host.train.optimisers import LbfgsB, Schedule
from host.train.recipe import Companion, Recipe, Teacher
from host.train.targets import target_rows

LAYERS = (Conv2d(16, 3), ReLU(), MaxPool2d(), Flatten())
RECIPE = Recipe(LAYERS, epochs=40, schedule=Schedule(1.0), optimiser=LbfgsB(reg=1e-4), holdout=0.25)


@pytest.mark.parametrize("count", [3, 150])  # less than a chunk, and several with a rest
def test_the_gradient_equals_finite_differences(count):
    part = bars(count, 3)
    numbers = initial(RECIPE.architecture((8, 8), 3), 1, dtype=np.float64)
    numbers.flat[:] += np.random.default_rng(0).normal(0, 0.1, len(numbers.flat))
    loss_of = Loss(numbers, Scaling(), 0.01, part.images, target_rows(part.labels, 3, 0.1, np.float64))
    at, step = numbers.flat.copy(), 1e-6
    _, _, gradient = loss_of(at)
    for index in range(0, len(at), 17):
        sides = []
        for sign in (1, -1):
            moved = at.copy()
            moved[index] += sign * step
            sides.append(loss_of(moved)[0])
        assert gradient[index] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-8)


def test_it_converges_and_tells_how(dataset):
    seen = []
    network = train(dataset, RECIPE, seed=1, progress=seen.append)
    history, metrics = network.provenance.history, network.provenance.metrics
    assert metrics["train"] == 1.0
    assert metrics["test"] > 0.95 and metrics["validation"] > 0.95
    assert len(history["loss"]) == len(history["accuracy"]) == len(history["validation_loss"]) <= 40
    assert len(history["batch_loss"]) >= len(history["loss"])  # one for each evaluation
    assert list(history["loss"]) == sorted(history["loss"], reverse=True)
    assert history["loss"][-1] < 0.1 < history["loss"][0]
    assert [progress.step for progress in seen] == list(range(1, len(history["loss"]) + 1))
    assert {progress.total for progress in seen} == {40}
    again = train(dataset, RECIPE, seed=1)
    np.testing.assert_array_equal(network.parameters.flat, again.parameters.flat)


def test_the_penalty_makes_weights_smaller(dataset):
    loose, tight = (train(dataset, replace(RECIPE, optimiser=LbfgsB(reg=reg), epochs=10)) for reg in (0.0, 0.1))
    assert np.abs(tight.parameters.flat).sum() < 0.8 * np.abs(loose.parameters.flat).sum()


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"layers": (Conv2d(4, 3), BatchNorm(), ReLU(), Flatten())}, "BatchNorm, need layers without it"),
        ({"layers": (Flatten(), Dropout(0.2))}, "Dropout, need layers without it"),
        ({"copies": (("mild", 2),)}, "augmented copies, need none"),
        ({"teacher": Teacher((Flatten(),))}, "a teacher, need none"),
        ({"companion": Companion((Flatten(),), 0.01)}, "a companion, need none"),
        ({"averaging": 0.9}, "averaging, need none"),
        ({"patience": 3}, "patience, need none"),
    ],
)
def test_what_it_is_not_for_is_refused(dataset, changes, found):
    with pytest.raises(InputError, match=f"train: optimiser: found l-bfgs-b with {found}"):
        train(dataset, replace(RECIPE, **changes))


def test_an_interrupt_hands_over_the_best_so_far(dataset):
    def interrupt(progress):
        if progress.step == 5:
            raise KeyboardInterrupt

    kept = []
    with pytest.raises(KeyboardInterrupt):
        train(dataset, RECIPE, progress=interrupt, interrupted=kept.append)
    assert len(kept[0].provenance.history["loss"]) == 5
    assert kept[0].provenance.metrics["test"] > 0.4
