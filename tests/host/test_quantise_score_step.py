"""Scores times their step are the trained net's scores, so that anyone can form probabilities of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from host import data
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import float_scores
from host.quantise.lower import lower
from host.quantise.reference import infer


@pytest.mark.parametrize("name", ["preconv-usps", "uno-cnn-usps"])
@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT32, WeightFormat.FLOAT16, WeightFormat.INT8])
def test_a_score_times_its_step_is_the_trained_score(
    repository: Path, real_data: Path, name: str, fmt: WeightFormat
) -> None:
    network = model_file.load(repository / f"host/pretrained/{name}.h5")
    images = data.load(str(real_data / "usps.h5")).test.images[:100]
    graph = lower(network, fmt)
    trained = float_scores(network, images).ravel()
    slope, _ = np.polyfit(trained, infer(graph, images).scores.ravel() * graph.score_step, 1)
    assert abs(slope - 1) < 0.02
