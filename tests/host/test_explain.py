"""`host explain` names the usual causes where they are planted, and none where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import drawn_images, limited_network, network_of, qat_network, random_network

from host import data, pretrained
from host.cli import main
from host.modelfile import file as model_file
from host.nn import readings
from host.nn.formats import WeightFormat
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.nn.network import Network, Scaling, float_scores
from host.quantise.losses import Loss, losses, op_layers, with_all_units
from host.quantise.lower import lower
from host.report import explain

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def digits(real_data: Path) -> data.Split:
    """Four hundred real ones."""
    test = data.load("usps").test
    return data.Split(test.images[:400], test.labels[:400])


@pytest.fixture(scope="module")
def cnn() -> Network:
    return model_file.load(Path(pretrained.path_of("uno-cnn-usps")))


def explained(place: Path, network: Network, split: data.Split, capsys: Capture, *more: str) -> tuple[Any, str]:
    """The document and the words about image 5."""
    model, digits, target = place / "net.h5", place / "digits.npz", place / "out.json"
    model_file.save(network, model)
    np.savez(digits, x_train=split.images, y_train=split.labels, x_test=split.images, y_test=split.labels)
    capsys.readouterr()
    arguments = ["explain", str(model), "--data", str(digits), "--index", "5", "--json", str(target), *more]
    assert main(arguments) == 0
    return json.loads(target.read_text()), capsys.readouterr().out


READ_WRONGLY = {
    "with rows and columns swapped": lambda images: images.transpose(0, 2, 1),
    "inverted (255 - x)": lambda images: 255 - images,
    "rotated by 180 degrees": lambda images: images[:, ::-1, ::-1],
    "mirrored left to right": lambda images: images[:, :, ::-1],
}


@pytest.mark.parametrize("name", READ_WRONGLY)
def test_images_laid_out_in_another_way_are_named(
    tmp_path: Path, cnn: Network, digits: data.Split, capsys: Capture, name: str
) -> None:
    images = np.ascontiguousarray(READ_WRONGLY[name](digits.images))
    result, said = explained(tmp_path, cnn, data.Split(images, digits.labels), capsys)
    accuracy = result["accuracy"]
    assert accuracy[name] > 0.95 and accuracy["as they are"] < 0.6
    assert result["causes"][0].startswith(
        f"{name} {100 * accuracy[name]:.1f} % instead of {100 * accuracy['as they are']:.1f} %: "
    )
    assert f"likely cause: {name} " in said


@pytest.mark.parametrize(("divisor", "name"), [(1.0, "scaled by 1/255"), (255.0 * 255.0, "scaled by 255")])
def test_a_scale_wrong_by_255_is_named(
    tmp_path: Path, cnn: Network, digits: data.Split, capsys: Capture, divisor: float, name: str
) -> None:
    wrong = replace(cnn, scaling=Scaling(cnn.scaling.offset, divisor))
    result, _ = explained(tmp_path, wrong, digits, capsys, "--format", "float32")
    assert result["causes"][0].startswith(f"{name} {100 * result['accuracy'][name]:.1f} % instead of ")
    right = np.mean(float_scores(cnn, digits.images).argmax(axis=1) == digits.labels)
    assert result["accuracy"][name] == pytest.approx(right, abs=0.02)


def test_a_range_that_cuts_values_is_named_with_its_layer(
    tmp_path: Path, cnn: Network, digits: data.Split, capsys: Capture
) -> None:
    plain = replace(cnn, qat=(), calibrations=())
    reach = [value * (0.2 if index in (3, 4) else 1.0) for index, value in enumerate(plain.output_max)]
    result, _ = explained(tmp_path, replace(plain, output_max=tuple(reach)), digits, capsys)
    assert len(result["causes"]) == 1
    cut = result["ops"][1]
    assert cut["clipped"] > 0.02 and max(op["clipped"] or 0 for op in result["ops"] if op is not cut) < 0.01
    assert result["causes"][0].startswith(
        f"op 1, conv 3x3 32, pool 2 (layer {cut['layer']}): {100 * cut['clipped']:.1f} % of its"
    )
    assert "host calibrate " in result["causes"][0]
    assert cut["loss"] > 3 * result["ops"][0]["loss"]
    wide = [value * (9.0 if index in (3, 4) else 1.0) for index, value in enumerate(plain.output_max)]
    result, _ = explained(tmp_path, replace(plain, output_max=tuple(wide)), digits, capsys)
    assert [cause[:26] for cause in result["causes"]] == ["op 1, conv 3x3 32, pool 2 "]
    assert "these images use 9 % of its range" in result["causes"][0]


def test_a_sound_net_on_its_own_images_has_none(
    tmp_path: Path, cnn: Network, digits: data.Split, capsys: Capture
) -> None:
    result, said = explained(tmp_path, cnn, digits, capsys)
    assert result["causes"] == [] and "none of the usual causes" in said
    assert [op["layer"] for op in result["ops"]] == [2, 5, 7, 9]
    assert all(0 < op["loss"] < 0.1 for op in result["ops"])
    assert result["class"] == {"float": int(digits.labels[5]), "reference": int(digits.labels[5])}
    assert len(result["scores"]["float"]) == len(result["scores"]["reference"]) == 10


def test_a_wrong_order_of_channels_is_named() -> None:
    network = network_of((Conv2d(6, 3), ReLU(), MaxPool2d(), Flatten()), shape=(3, 12, 10))
    images = drawn_images(300, (3, 12, 10))
    images[:, 1] //= 3
    labels = float_scores(network, images).argmax(axis=1)
    right = explain.accuracy_by_reading(network, images[:, ::-1].copy(), labels)
    assert right["with channels reversed"].all()
    assert (explain.reading_cause(right) or "").startswith("with channels reversed 100.0 % instead of ")
    interleaved = images.transpose(0, 2, 3, 1).reshape(images.shape)
    right = explain.accuracy_by_reading(network, interleaved, labels)
    assert (explain.reading_cause(right) or "").startswith("with channels taken as interleaved 100.0 % instead of ")
    swapped = images.transpose(0, 1, 3, 2).reshape(images.shape)  # as the bytes lie column by column
    right = explain.accuracy_by_reading(network, swapped, labels)
    assert (explain.reading_cause(right) or "").startswith("with rows and columns swapped 100.0 % instead of ")


def test_few_images_prove_nothing() -> None:
    usual = np.zeros(8, np.bool_)
    right = {explain.AS_THEY_ARE: usual, "rotated by 180 degrees": np.arange(8) < 5}
    assert explain.reading_cause(right) is None
    many = {name: np.tile(each, 3) for name, each in right.items()}
    assert explain.reading_cause(many) is not None
    close = np.arange(1000) % 10 < 5
    slightly = close | (np.arange(1000) < 60)
    assert explain.reading_cause({explain.AS_THEY_ARE: close, "rotated by 180 degrees": slightly}) is None


def test_readings_that_change_nothing_are_left_out() -> None:
    names = {reading.name for reading in readings.readings_of(random_network(shape=(16, 16)))}
    assert "scaled by 255" not in names and "with channels reversed" not in names and len(names) == 5
    flat = network_of((Flatten(), Dense(5), ReLU()), shape=(1, 1, 20))
    assert [reading.name for reading in readings.readings_of(flat)] == [
        "scaled by 1/255",
        "scaled by 255",
        "inverted (255 - x)",
        "mirrored left to right",
    ]


def test_each_op_stands_beside_its_layer() -> None:
    layers = (MaxPool2d(), Conv2d(4, 3), MaxPool2d(3, 1), ReLU(), Conv2d(5, 2), MaxPool2d(2), ReLU(), AveragePool2d(2))
    network = network_of((*layers, Flatten(), Dense(6), ReLU()), side=20)
    graph = lower(network, prune=False)
    # Where a pool's windows overlap it is an op of its own, between the convolution and its ReLU.
    assert op_layers(network.architecture, graph.ops) == [0, 1, 3, 6, 7, 10, 11]
    found = losses(network, graph, drawn_images(40, 20))
    assert all(loss.error is not None and loss.error < 0.06 for loss in found), found
    assert found[0] == Loss(0, pytest.approx(0, abs=1e-7), pytest.approx(0, abs=1e-6), None, found[0].zero, 1.0)
    front = random_network(shape=(16, 16), classes=10)
    assert op_layers(front.architecture, lower(front, prune=False).ops) == [2, 5, 6]
    errors = [loss.error for loss in losses(front, lower(front, top=63, prune=False), drawn_images(30))]
    assert all(error is not None and 0 < error < most for error, most in zip(errors, (0.02, 0.1, 0.1), strict=True))


def test_losses_of_floats_are_their_rounding_alone() -> None:
    network = network_of("padded")
    for fmt, most in ((WeightFormat.FLOAT32, 1e-6), (WeightFormat.FLOAT16, 1e-3)):
        found = losses(network, lower(network, fmt, prune=False), drawn_images(20))
        assert all(loss.error is not None and loss.error < most and loss.used is None for loss in found)


def test_a_limit_of_the_net_is_no_clipped_range() -> None:
    network = limited_network()
    assert all(loss.clipped is None for loss in losses(network, lower(network, prune=False), drawn_images(20))[:3])


def test_units_that_were_left_out_are_found_again() -> None:
    network = qat_network((Flatten(), Dense(12), ReLU(), Dense(9), ReLU()), "int8")
    quiet = network.parameters.of(1)["bias"]
    quiet[:3] = -1e6
    for graph in (lower(network, post_training=True), lower(network, WeightFormat.INT4, per_tensor=True)):
        whole = with_all_units(network, graph)
        assert graph.ops[0].output_shape == (9,) and whole.ops[0].output_shape == (12,)
    other = lower(network_of("plain"))
    assert with_all_units(network, other) is other


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--index", "359"], "--index: found 359, need 0..358 in digits test"),
        (["--index", "1", "--kernel", "asm"], "--kernel: found it without --board"),
        (["--index", "1", "--port", "x", "--kernel", "asm"], "explain: --kernel: found it with --port"),
    ],
)
def test_what_cannot_be_explained_is_one_line(tmp_path: Path, capsys: Capture, more: list[str], message: str) -> None:
    model_file.save(random_network(shape=(16, 16), classes=10), tmp_path / "net.h5")
    capsys.readouterr()
    assert main(["explain", str(tmp_path / "net.h5"), "--data", "digits", *more]) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and said.out == ""
