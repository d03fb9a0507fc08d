"""Nets of learned kernels end to end: built by PlatformIO, streamed digits, every score compared, costs held to account."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from commands import planned
from learned_networks import LAYERS, learned_network

from host.cli import main
from host.deploy import model as model_file
from host.deploy.deployment import check_fit
from host.deploy.target import BOARDS
from host.train.architecture import Conv2d, Dense, Flatten, MaxPool2d, ReLU

FAR = (Conv2d(16, 3), ReLU(), Flatten(), Dense(24), ReLU())
"""75,000 weights: more than a near pointer reaches."""
LEAN = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 5), ReLU(), MaxPool2d(), Flatten(), Dense(64), ReLU())
"""On 28×28, more than an Uno holds beside the image."""


def verify(place: Path, layers: Any, board: str, *arguments: object, side: int = 16) -> dict[str, Any]:
    """The document of one run over handwritten digits."""
    model, target = place / "net.h5", place / "result.json"
    model_file.save(learned_network(layers, side=side), model)
    data = ["--data", "digits" if side == 16 else "mnist", "--json", str(target)]
    assert main(["verify", str(model), "--board", board, *map(str, arguments), *data]) == 0
    return json.loads(target.read_text())


def assert_equal(result: dict[str, Any], count: int) -> None:
    assert (result["verdict"], result["n"]) == ("pass", count)
    assert result["agreement"]["classes_equal"] == result["agreement"]["scores_equal"] == count


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_agrees_on_the_native_build(tmp_path: Path, name: str) -> None:
    assert_equal(verify(tmp_path, name, "native"), 359)


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("depthwise", "growing")])
def test_every_layer_agrees_on_the_simulated_uno(tmp_path: Path, name: str) -> None:
    assert_equal(verify(tmp_path, name, "uno", "--limit", 8), 8)


@pytest.mark.parametrize("layers", ["depthwise", "growing", FAR], ids=["depthwise", "growing", "far"])
def test_a_mega_reads_far_and_agrees(tmp_path: Path, layers: Any) -> None:
    result = verify(tmp_path, layers, "mega", "--limit", 6)
    assert_equal(result, 6)
    assert result["board"]["mcu"] == "atmega2560"
    if layers is FAR:
        assert result["memory"]["flash"] > 80_000


def test_an_image_may_be_overwritten_where_ram_is_short(tmp_path: Path, real_data: Path) -> None:
    result = verify(tmp_path, LEAN, "uno", "--limit", 5, side=28)
    assert_equal(result, 5)
    assert "MODEL_IMAGE_AT" in (render_of(tmp_path, "uno"))
    assert result["memory"]["ram_free_min"] > 100
    assert result["link"]["retries"] == result["link"]["resets"] == 0


def render_of(place: Path, board: str) -> str:
    assert main(["export", str(place / "net.h5"), "--board", board, "-o", str(place / "out")]) == 0
    return (place / "out/model.h").read_text()


@pytest.mark.parametrize(
    ("layers", "side", "board"),
    [("padded", 16, "uno"), ("pools", 16, "uno"), ("strided", 16, "uno"), (LEAN, 28, "uno"), ("depthwise", 16, "mega")],
    ids=["padded", "pools", "strided", "lean", "depthwise"],
)
def test_predicted_costs_are_the_real_ones(tmp_path: Path, real_data: Path, layers: Any, side: int, board: str) -> None:
    result = verify(tmp_path, layers, board, "--limit", 4, side=side)
    network, plan = model_file.load(tmp_path / "net.h5"), planned(tmp_path / "net.h5", board=board)
    budget = check_fit(network, plan, BOARDS[board])
    assert budget.flash == pytest.approx(result["memory"]["flash"], rel=0.02, abs=250)
    assert budget.ram_static == pytest.approx(result["memory"]["ram_static"], abs=24)
    assert budget.cycles == pytest.approx(result["cycles"]["mean"], rel=0.12)
    assert result["memory"]["stack_max"] < budget.stack


def test_a_profile_names_the_stages(tmp_path: Path) -> None:
    result = verify(tmp_path, "padded", "uno", "--limit", 3, "--profile")
    names = list(json.loads(json.dumps(result["cycles"]))["parts"]) if "parts" in result["cycles"] else []
    assert not names or names == ["conv 5x5 4, pool 2", "conv 3x3 6, pool 3", "dense 24-10"]


def test_export_tells_what_a_net_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model_file.save(learned_network("padded"), tmp_path / "net.h5")
    render_of(tmp_path, "uno")
    said = capsys.readouterr().out
    assert "conv 5x5 4, pool 2; conv 3x3 6, pool 3; dense 24-10, int8" in said
    assert re.search(r"flash +7,\d{3} of 32,256 bytes", said)


def test_the_two_formats_of_these_nets_are_compared(tmp_path: Path) -> None:
    model_file.save(learned_network("padded"), tmp_path / "net.h5")
    target = tmp_path / "evaluation.json"
    assert main(["evaluate", str(tmp_path / "net.h5"), "--data", "digits", "--json", str(target)]) == 0
    result = json.loads(target.read_text())
    assert list(result["accuracy"]) == ["float32", "int8"] and result["changed"]["float32"] == 0
    assert result["changed"]["int8"] <= 20


@pytest.mark.parametrize(
    "command", ["export --format text", "export --format float16", "evaluate --data digits --format float16"]
)
def test_what_these_nets_have_not_is_refused_in_one_line(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model_file.save(learned_network("padded"), tmp_path / "net.h5")
    name, *rest = command.split()
    assert main([name, str(tmp_path / "net.h5"), *rest]) == 2
    assert "net of learned kernels" in capsys.readouterr().err
