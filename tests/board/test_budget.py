"""What the commands foretell of real nets, from the images that they were trained on, held against what they measure on
others. The formulas themselves are the matrix's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from networks import random_network

from host import pretrained
from host.cli import main
from host.compile.boards import BOARDS
from host.compile.budget import predict
from host.compile.exports import export_for
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat

FLASH, CYCLES = 0.01, 0.03
DIGITS = 500
"""The cycles of one digit vary; the mean of so many is within 1 % of the whole set's."""


def assert_foretold(place: Path, model: Path | str, dataset: str, *wish: str, digits: int = DIGITS) -> None:
    predicted, measured = place / "predicted.json", place / "measured.json"
    wishes = ["--board", "uno", *wish]
    assert main(["export", str(model), *wishes, "-o", str(place / "out"), "--json", str(predicted)]) == 0
    streamed = ["--data", dataset, "--limit", str(digits), "--baud", str(10**6)]
    assert main(["verify", str(model), *wishes, *streamed, "--json", str(measured)]) == 0
    budget, result = json.loads(predicted.read_text())["predicted"], json.loads(measured.read_text())
    assert budget["flash"] == pytest.approx(result["memory"]["flash"], rel=FLASH)
    assert budget["ram_static"] == result["memory"]["ram_static"]
    assert budget["cycles"] == pytest.approx(result["cycles"]["mean"], rel=CYCLES)
    assert result["memory"]["stack_max"] <= budget["stack"]
    assert sum(budget["parts"].values()) == budget["cycles"]
    assert result["predicted"] == {name: budget[name] for name in ("compiler", "cycles")}


@pytest.mark.parametrize("name", [known.name for known in pretrained.index()])
def test_a_pretrained_model_costs_what_its_export_says(tmp_path: Path, real_data: Path, name: str) -> None:
    known = next(known for known in pretrained.index() if known.name == name)
    digits = DIGITS if known.predicted.cycles < 10**6 else DIGITS // 5  # large nets differ less from digit to digit
    assert_foretold(tmp_path, name, known.data, digits=digits)


@pytest.mark.parametrize("kernel", ["asm", "unrolled", "portable"])
def test_a_trained_net_costs_what_its_export_says(trained: Callable[..., Path], tmp_path: Path, kernel: str) -> None:
    assert_foretold(tmp_path, trained("preconv-seed"), "usps", "--kernel", kernel, "--activation-bits", "6")


def test_what_does_not_fit_is_known_before_compiling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiled(*_: object) -> None:
        raise AssertionError("it was compiled")

    monkeypatch.setattr("host.api.device.build_firmware", compiled)
    uno, network, model = BOARDS["uno"], random_network(shape=(16, 16), hidden=90, classes=10), tmp_path / "net.h5"
    export = export_for(network, WeightFormat.FLOAT32, uno)
    assert predict(export.on(uno), uno).flash > 32_256
    model_file.save(network, model)
    assert main(["verify", str(model), "--data", "digits", "--board", "uno", "--format", "float32"]) == 2
    assert "bytes needed, 32,256 there" in capsys.readouterr().err
