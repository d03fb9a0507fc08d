"""Nets of many layers end to end: trained, exported, built, streamed and compared, and what a user is told. Every
kernel on every net is the matrix's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from networks import network_of, random_network
from programs import DEPTH_TURNS, FAR, LEAN, TURNS

from host import data
from host.cli import main
from host.compile.boards import BOARDS
from host.compile.budget import predict
from host.compile.exports import export_for
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.layers import BatchNorm, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.quantise.calibrate import calibrate
from host.train import train
from host.train.optimisers import Adam, Schedule
from host.train.recipe import Recipe

PACKED = ("int4", "ternary")


def verify(place: Path, layers: Any, board: str, *arguments: object, side: int = 16) -> dict[str, Any]:
    """The document of one run over handwritten digits."""
    model, target = place / "net.h5", place / "result.json"
    model_file.save(network_of(layers, side=side), model)
    data = ["--data", "digits" if side == 16 else "mnist", "--json", str(target)]
    assert main(["verify", str(model), "--board", board, *map(str, arguments), *data]) == 0
    return json.loads(target.read_text())


def assert_equal(result: dict[str, Any], count: int) -> None:
    assert (result["verdict"], result["n"]) == ("pass", count)
    assert result["agreement"]["classes_equal"] == result["agreement"]["scores_equal"] == count


@pytest.mark.parametrize("board", ["native", "uno"])
def test_a_net_with_overlapping_pools_goes_the_whole_way(tmp_path: Path, board: str) -> None:
    """Trained, saved, loaded, exported and streamed, as a user would: the pools that overlap are in every step."""
    layers = (Conv2d(4, 3), BatchNorm(), ReLU(), MaxPool2d(3, 2), Conv2d(12, 3), BatchNorm(), MaxPool2d(3, 1))
    recipe = Recipe(
        (*layers, ReLU(), Flatten()), epochs=1, schedule=Schedule(0.01, "cosine", 0.1), optimiser=Adam(), batch=32
    )
    digits = data.load("digits")
    trained = calibrate(train(digits, recipe), digits.train)
    assert trained.provenance.metrics["test"] > 0.5  # chance is 0.1
    model, target = tmp_path / "net.h5", tmp_path / "result.json"
    model_file.save(trained, model)
    assert model_file.content_hash(model_file.load(model)) == model_file.content_hash(trained)
    assert main(["export", str(model), "--board", "uno", "--kernel", "asm", "-o", str(tmp_path / "out")]) == 0
    listing = (tmp_path / "out/model_net.h").read_text()
    assert listing.count("    .stride = 2,") == 2  # once for either kernel; the convolutions' is 1
    count = 359 if board == "native" else 6
    wanted = ["--data", "digits", "--board", board, "--limit", str(count), "--json", str(target)]
    assert main(["verify", str(model), *wanted]) == 0
    assert_equal(json.loads(target.read_text()), count)


@pytest.mark.parametrize("fmt", PACKED)
def test_packed_weights_may_share_one_scale(tmp_path: Path, fmt: str) -> None:
    result = verify(tmp_path, "padded", "uno", "--limit", 6, "--format", fmt, "--per-tensor")
    assert_equal(result, 6)
    assert (result["model"]["format"], result["model"]["rounding"]) == (fmt, "post-training, per tensor")


@pytest.mark.parametrize("fmt", ["int8", "int4"])
def test_a_mega_reads_what_no_near_pointer_reaches(tmp_path: Path, fmt: str) -> None:
    wide = FAR if fmt == "int8" else (*FAR[:3], Dense(50), ReLU())
    result = verify(tmp_path, wide, "mega", "--limit", 3, "--format", fmt)
    assert_equal(result, 3)
    assert (result["board"]["mcu"], result["memory"]["flash"] > 80_000) == ("atmega2560", True)


@pytest.mark.parametrize("layers", [TURNS, DEPTH_TURNS], ids=["full", "depthwise"])
def test_two_convolutions_in_turns_fit_an_uno(tmp_path: Path, real_data: Path, layers: Any) -> None:
    result = verify(tmp_path, layers, "uno", "--limit", 4, side=28)
    assert_equal(result, 4)
    uno = BOARDS["uno"]
    export = export_for(model_file.load(tmp_path / "net.h5"), WeightFormat.INT8, uno)
    assert export.on(uno).layout.pair is not None
    assert result["memory"]["stack_max"] < predict(export.on(uno), uno).stack and result["memory"]["ram_free_min"] > 0


def test_an_image_may_be_overwritten_where_ram_is_short(tmp_path: Path, real_data: Path) -> None:
    result = verify(tmp_path, LEAN, "uno", "--limit", 5, side=28)
    assert_equal(result, 5)
    assert "MODEL_IMAGE_AT" in (render_of(tmp_path, "uno"))
    assert result["memory"]["ram_free_min"] > 100
    assert result["link"]["retries"] == result["link"]["resets"] == 0


def render_of(place: Path, board: str) -> str:
    assert main(["export", str(place / "net.h5"), "--board", board, "-o", str(place / "out")]) == 0
    return (place / "out/model.h").read_text()


def test_a_profile_names_the_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify(tmp_path, "padded", "uno", "--limit", 3, "--profile")
    said = capsys.readouterr().out
    for name in ("conv 5x5 4, pool 2", "conv 3x3 6, pool 3", "dense 24-10"):
        assert re.search(rf"\d {name}, mean", said)


def test_export_tells_what_a_net_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model_file.save(network_of("padded"), tmp_path / "net.h5")
    render_of(tmp_path, "uno")
    said = capsys.readouterr().out
    assert "conv 5x5 4, pool 2; conv 3x3 6, pool 3; dense 24-10, int8" in said
    assert re.search(r"flash +[789],\d{3} of 32,256 bytes", said)


def test_formats_are_compared(tmp_path: Path) -> None:
    model_file.save(network_of("padded"), tmp_path / "net.h5")
    target = tmp_path / "evaluation.json"
    assert main(["evaluate", str(tmp_path / "net.h5"), "--data", "digits", "--json", str(target)]) == 0
    result = json.loads(target.read_text())
    assert {"float32", "int8", *PACKED} <= set(result["accuracy"]) and result["changed"]["float32"] == 0
    assert result["changed"]["int8"] <= 20 and result["changed"]["int8"] < result["changed"]["ternary"]


@pytest.mark.parametrize("fmt", PACKED)
def test_packed_weights_behind_the_front_end(tmp_path: Path, fmt: str) -> None:
    model, target = tmp_path / "net.h5", tmp_path / "result.json"
    model_file.save(random_network(shape=(16, 16), hidden=12, classes=10), model)
    for board, count in (("native", 359), ("uno", 20)):
        wanted = ["--data", "digits", "--board", board, "--format", fmt, "--limit", str(count), "--json", str(target)]
        assert main(["verify", str(model), *wanted]) == 0
        assert_equal(json.loads(target.read_text()), count)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("export --format text", "text: found"),
        ("export --kernel unrolled --format float16", "unrolled: dense 24-10: found float16 weights, need"),
    ],
)
def test_what_a_net_cannot_have_is_refused_in_one_line(
    tmp_path: Path, command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model_file.save(network_of("padded"), tmp_path / "net.h5")
    name, *rest = command.split()
    assert main([name, str(tmp_path / "net.h5"), *rest]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
