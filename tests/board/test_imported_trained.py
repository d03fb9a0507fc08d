"""Nets that others' tools trained go from their file to a verdict of the simulated Uno by one import, which
measures ranges on the way, and one verification. Their answers to all test digits are our floats' answers."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import keras_files as keras
import numpy as np
import pytest
from needed import need_module
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from host import data
from host.cli import main
from host.importers.sklearn import network_of
from host.modelfile import file as model_file
from host.nn.network import Network, float_scores
from host.quantise.lower import lower
from host.quantise.reference import infer

TAUGHT, SIMULATED = 2000, 20
NEAR = 1e-4
GOOD = 0.8
"""Accuracy that each reaches at least, so that its answers are no accident."""


@pytest.fixture(scope="module")
def usps(real_data: Path) -> data.Dataset:
    return data.load("usps")


def pixels(images: np.ndarray) -> np.ndarray:
    """(N, H, W) float32 of 0..1."""
    return images.astype(np.float32) / np.float32(255)


def probabilities(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def assert_equal_on_all(network: Network, usps: data.Dataset, theirs: np.ndarray) -> None:
    """`theirs` are probabilities (N, 10) of the test digits."""
    ours = probabilities(float_scores(network, usps.test.images))
    assert np.abs(ours - theirs).max() < NEAR
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()
    assert (ours.argmax(axis=1) == usps.test.labels).mean() > GOOD


def assert_passes_on_the_uno(model: Path, usps: data.Dataset) -> None:
    """Int8 loses little, and the board says what the PC says."""
    target = model.with_suffix(".json")
    options = ["--data", "usps", "--board", "uno", "--limit", str(SIMULATED), "--json", str(target)]
    assert main(["verify", str(model), *options]) == 0
    result = json.loads(target.read_text())
    assert result["verdict"] == "pass" and result["board"]["mcu"] == "atmega328p" and result["n"] == SIMULATED
    assert result["agreement"]["scores_equal"] == SIMULATED
    calibrated = model_file.load(model)
    whole = infer(lower(calibrated), usps.test.images).classes
    assert (whole == usps.test.labels).mean() > accuracy(calibrated, usps) - 0.01


def accuracy(network: Network, usps: data.Dataset) -> float:
    return float((float_scores(network, usps.test.images).argmax(axis=1) == usps.test.labels).mean())


def fitted(usps: data.Dataset) -> object:
    """A scikit-learn pipeline; a few rounds are enough to be good."""
    net = make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=12, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return net.fit(pixels(usps.train.images[:TAUGHT]).reshape(TAUGHT, -1), usps.train.labels[:TAUGHT])


def test_scikit_learn_from_memory_and_by_onnx(usps: data.Dataset, tmp_path: Path) -> None:
    need_module("onnx", "pip install onnx")
    convert = need_module("skl2onnx", "pip install skl2onnx")
    estimator = fitted(usps)
    flat = pixels(usps.test.images).reshape(len(usps.test), -1)
    theirs = estimator.predict_proba(flat)
    direct = network_of(estimator, shape=(16, 16))
    assert_equal_on_all(direct, usps, theirs)
    file, model = tmp_path / "digits.onnx", tmp_path / "digits.h5"
    file.write_bytes(convert.to_onnx(estimator, flat[:1]).SerializeToString())
    assert main(["import", str(file), "--check", "usps", "--shape", "16,16", "-o", str(model)]) == 0
    network = model_file.load(model)
    assert_equal_on_all(network, usps, theirs)
    assert network.labels == direct.labels and network.image_shape == (16, 16)
    np.testing.assert_allclose(network.parameters.flat, direct.parameters.flat, rtol=1e-4, atol=1e-6)
    assert_passes_on_the_uno(model, usps)


def test_a_keras_file(usps: data.Dataset, tmp_path: Path) -> None:
    """Fixed random kernels, and a dense layer over their map that scikit-learn trained on what they make of digits."""
    rng = np.random.default_rng(3)
    front = [
        keras.input_layer(16, 16, 1),
        keras.conv(rng, 1, 4, (3, 3), padding="same", activation="relu"),
        keras.pool("MaxPooling2D", (2, 2)),
        keras.conv(rng, 4, 6, (3, 3), activation="relu"),
        keras.pool("MaxPooling2D", (2, 2)),
        ("Flatten", {}, {}),
    ]

    def seen(images: np.ndarray) -> np.ndarray:
        return keras.answers(front, pixels(images)[..., None])

    judge = LogisticRegression(C=1.0, max_iter=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        judge.fit(seen(usps.train.images[:TAUGHT]), usps.train.labels[:TAUGHT])
    end = {"units": 10, "activation": "softmax", "use_bias": True}
    net = [*front, ("Dense", end, {"kernel": judge.coef_.T, "bias": judge.intercept_})]
    file, model = tmp_path / "digits.keras", tmp_path / "digits.h5"
    keras.write_keras(file, net)
    assert main(["import", str(file), "--check", "usps", "-o", str(model)]) == 0
    network = model_file.load(model)
    assert_equal_on_all(network, usps, judge.predict_proba(seen(usps.test.images)))
    assert_passes_on_the_uno(model, usps)


def test_pytorch_by_onnx(usps: data.Dataset, tmp_path: Path) -> None:
    """With normalised pixels before a padded convolution, batch normalisation, and a shape taken while it runs."""
    torch = need_module("torch", "pip install torch")
    need_module("onnx", "pip install onnx")
    nn = torch.nn
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front = nn.Sequential(
                *(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(6, 8, 3), nn.ReLU(), nn.MaxPool2d(2)),
            )
            self.last = nn.Linear(72, 10)

        def forward(self, x):
            maps = self.front((x - 0.25) / 0.3)
            return self.last(maps.view(maps.size(0), -1))

    net = Net()
    digits = torch.tensor(pixels(usps.train.images[:TAUGHT])[:, None])
    labels = torch.tensor(usps.train.labels[:TAUGHT].astype(np.int64))
    steps = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(3):
        for start in range(0, TAUGHT, 50):
            loss = nn.functional.cross_entropy(net(digits[start : start + 50]), labels[start : start + 50])
            steps.zero_grad()
            loss.backward()
            steps.step()
    net.eval()
    file, model = tmp_path / "digits.onnx", tmp_path / "digits.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the exporter that needs nothing beside torch and onnx
        torch.onnx.export(net, (digits[:1],), str(file), dynamo=False, dynamic_axes={"x": {0: "n"}}, input_names=["x"])
    assert main(["import", str(file), "--check", "usps", "-o", str(model)]) == 0
    network = model_file.load(model)
    with torch.no_grad():
        theirs = net(torch.tensor(pixels(usps.test.images)[:, None])).double().softmax(dim=1).numpy()
    assert_equal_on_all(network, usps, theirs)
    assert_passes_on_the_uno(model, usps)
