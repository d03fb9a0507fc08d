"""Estimators of scikit-learn from memory: the probabilities of the original, whatever steps stand before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from imported import NEAR, images_for, probabilities
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from host.importers.sklearn import network_of
from host.nn.network import float_scores

STEPS: dict[str, list[Any]] = {
    "the net alone": [],
    "passthrough first": ["passthrough"],
    "passthrough between": [StandardScaler(), "passthrough", MinMaxScaler()],
    "nothing at the end": [MinMaxScaler(), None],
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", STEPS)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_pipeline_answers_as_the_original(case: str, classes: int) -> None:
    random = np.random.default_rng(0)
    features = random.random((120, 6))
    chosen = (features[:, 0] * classes).astype(int)
    net = MLPClassifier((5,), max_iter=40, random_state=0, solver="lbfgs")
    named = [(f"step {at}", step) for at, step in enumerate([*STEPS[case], net])]
    pipeline = Pipeline(named).fit(features, chosen) if STEPS[case] else net.fit(features, chosen)
    network = network_of(pipeline, shape=(2, 3))
    images = images_for(network, 60)
    wanted = pipeline.predict_proba(images.reshape(-1, 6) / 255)
    found = probabilities(float_scores(network, images), ("Softmax",))
    assert np.ptp(wanted) > 0.5
    np.testing.assert_allclose(found, wanted, atol=NEAR)
