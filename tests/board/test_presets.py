"""What presets with convolutions promise on the genuine digits: accuracy on the PC, the same answers on boards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from host.cli import main
from host.modelfile import file as model_file

Model = Callable[..., Path]
MNIST_TEST, USPS_TEST = 10_000, 2_007
SIMULATED = 400
"""Digits of USPS; a convolution's takes the simulated Uno 30 ms."""
NEAR_FLASH = 1 << 16
UNO_RAM = 2_048


def verify(place: Path, model: object, board: str, *arguments: object, data: str = "mnist") -> dict[str, Any]:
    """The document of one run, every class and score of which must agree."""
    target = place / "result.json"
    options = ["--data", data, "--board", board, "--json", str(target)]
    assert main(["verify", str(model), *options, *map(str, arguments)]) == 0
    result: dict[str, Any] = json.loads(target.read_text())
    assert result["agreement"]["classes_equal"] == result["agreement"]["scores_equal"] == result["n"]
    return result


@pytest.mark.parametrize(("preset", "promised"), [("scratch-cnn", 0.98), ("simple-cnn", 0.975)])
def test_a_published_net_reaches_its_figure_and_keeps_it_as_int8(
    trained: Model, tmp_path: Path, preset: str, promised: float
) -> None:
    model = trained(preset, data="mnist")
    assert model_file.load(model).provenance.metrics["test"] >= promised
    result = verify(tmp_path, model, "native", "--format", "int8")
    assert result["n"] == MNIST_TEST
    assert result["accuracy"]["device"] >= promised


@pytest.mark.parametrize("preset", ["scratch-cnn", "simple-cnn"])
def test_a_published_net_answers_the_same_on_a_mega(trained: Model, tmp_path: Path, preset: str) -> None:
    result = verify(tmp_path, trained(preset, data="mnist"), "mega", "--limit", 10)
    assert (result["n"], result["board"]["mcu"]) == (10, "atmega2560")
    assert (result["memory"]["flash"] > NEAR_FLASH) == (preset == "scratch-cnn")


def test_usps_digits_by_convolutions_natively_and_on_the_uno(real_data: Path, tmp_path: Path) -> None:
    every = verify(tmp_path, "uno-cnn-usps", "native", "--format", "int8", data="usps")
    assert every["n"] == USPS_TEST and every["accuracy"]["device"] >= 0.975
    result = verify(tmp_path, "uno-cnn-usps", "uno", "--limit", SIMULATED, data="usps")
    assert (result["n"], result["board"]["mcu"], result["model"]["format"]) == (SIMULATED, "atmega328p", "int8")
    assert result["model"]["hash"] == every["model"]["hash"]


def test_every_mnist_digit_by_the_unos_net(real_data: Path, tmp_path: Path) -> None:
    result = verify(tmp_path, "uno-cnn-mnist", "native")
    assert result["n"] == MNIST_TEST
    assert result["accuracy"]["device"] >= 0.994


def test_mnist_digits_on_the_uno_in_its_own_memory(real_data: Path, tmp_path: Path) -> None:
    result = verify(tmp_path, "uno-cnn-mnist", "uno", "--limit", 60)
    memory = result["memory"]
    assert result["n"] == 60
    assert memory["ram_static"] + memory["stack_max"] < UNO_RAM and memory["ram_free_min"] > 0
