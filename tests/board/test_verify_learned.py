"""Nets of learned kernels end to end: built by PlatformIO, streamed digits, every score compared."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from host.deploy.deployment import calibrate, check_fit, choose
from host.deploy.learned_costs import STACK_BYTES
from learned_networks import LAYERS, learned_network

from host import data
from host.cli import main
from host.compile.boards import BOARDS
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.layers import BatchNorm, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.train import train
from host.train.optimisers import Adam, Schedule
from host.train.recipe import Recipe

FAR = (Conv2d(16, 3), ReLU(), Flatten(), Dense(24), ReLU())
"""75,000 weights: more than a near pointer reaches."""
LEAN = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 5), ReLU(), MaxPool2d(), Flatten(), Dense(64), ReLU())
"""On 28×28, more than an Uno holds beside the image."""
TURNS = (
    *(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(24, 3), ReLU(), MaxPool2d()),
    *(Flatten(), Dense(32), ReLU()),
)
"""On 28×28, more than an Uno holds at all, unless two convolutions run in turns."""
DEPTH_TURNS = (
    *(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(16, 3, groups=16), ReLU(), MaxPool2d()),
    *(Flatten(), Dense(32), ReLU()),
)
"""The same where the second of the two is depthwise."""
PACKED = ("int4", "ternary")


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


@pytest.mark.parametrize("kernel", ["asm", "portable"])
@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("depthwise", "growing")])
def test_every_layer_agrees_on_the_simulated_uno(tmp_path: Path, name: str, kernel: str) -> None:
    assert_equal(verify(tmp_path, name, "uno", "--limit", 8, "--kernel", kernel), 8)


@pytest.mark.parametrize("kernel", ["asm", "portable"])
@pytest.mark.parametrize(
    "layers", ["depthwise", "separable", "growing", FAR], ids=["depthwise", "separable", "growing", "far"]
)
def test_a_mega_reads_far_and_agrees(tmp_path: Path, layers: Any, kernel: str) -> None:
    result = verify(tmp_path, layers, "mega", "--limit", 6, "--kernel", kernel)
    assert_equal(result, 6)
    assert result["board"]["mcu"] == "atmega2560"
    if layers is FAR:
        assert result["memory"]["flash"] > 80_000


@pytest.mark.parametrize("fmt", PACKED)
@pytest.mark.parametrize("name", LAYERS)
def test_packed_weights_agree_on_the_native_build(tmp_path: Path, name: str, fmt: str) -> None:
    result = verify(tmp_path, name, "native", "--format", fmt)
    assert_equal(result, 359)
    assert result["model"]["format"] == fmt


@pytest.mark.parametrize("fmt", PACKED)
@pytest.mark.parametrize(("name", "kernel"), [("padded", "asm"), ("pools", "portable"), ("strided", "asm")])
def test_packed_weights_agree_on_the_simulated_uno(tmp_path: Path, name: str, kernel: str, fmt: str) -> None:
    assert_equal(verify(tmp_path, name, "uno", "--limit", 6, "--kernel", kernel, "--format", fmt, "--per-tensor"), 6)


@pytest.mark.parametrize(("kernel", "fmt"), [("asm", "int4"), ("portable", "ternary")])
def test_packed_weights_agree_on_a_mega(tmp_path: Path, kernel: str, fmt: str) -> None:
    assert_equal(verify(tmp_path, "depthwise", "mega", "--limit", 4, "--kernel", kernel, "--format", fmt), 4)


def test_packed_weights_are_read_far(tmp_path: Path) -> None:
    wide = (Conv2d(16, 3), ReLU(), Flatten(), Dense(50), ReLU())
    result = verify(tmp_path, wide, "mega", "--limit", 3, "--format", "int4")
    assert_equal(result, 3)
    assert result["memory"]["flash"] > 80_000


@pytest.mark.parametrize("layers", [TURNS, DEPTH_TURNS], ids=["full", "depthwise"])
def test_two_convolutions_in_turns_fit_an_uno(tmp_path: Path, real_data: Path, layers: Any) -> None:
    result = verify(tmp_path, layers, "uno", "--limit", 4, side=28)
    assert_equal(result, 4)
    assert result["memory"]["stack_max"] < STACK_BYTES and result["memory"]["ram_free_min"] > 0


def test_an_image_may_be_overwritten_where_ram_is_short(tmp_path: Path, real_data: Path) -> None:
    result = verify(tmp_path, LEAN, "uno", "--limit", 5, side=28)
    assert_equal(result, 5)
    assert "MODEL_IMAGE_AT" in (render_of(tmp_path, "uno"))
    assert result["memory"]["ram_free_min"] > 100
    assert result["link"]["retries"] == result["link"]["resets"] == 0


def render_of(place: Path, board: str) -> str:
    assert main(["export", str(place / "net.h5"), "--board", board, "-o", str(place / "out")]) == 0
    return (place / "out/model.h").read_text()


COSTS = {
    "padded": ("padded", 16, "uno"),
    "turns": (TURNS, 28, "uno"),
    "depthwise turns": (DEPTH_TURNS, 28, "uno"),
    "pools": ("pools", 16, "uno"),
    "overlapping": ("overlapping", 16, "uno"),
    "strided": ("strided", 16, "uno"),
    "lean": (LEAN, 28, "uno"),
    "depthwise": ("depthwise", 16, "mega"),
    "separable": ("separable", 16, "uno"),
    "strided depthwise": ("strided depthwise", 16, "uno"),
}


@pytest.mark.parametrize(
    ("name", "kernel", "fmt"),
    [
        *((name, kernel, "int8") for name in COSTS for kernel in ("asm", "portable")),
        *(("padded", kernel, fmt) for kernel in ("asm", "portable") for fmt in PACKED),
        *[("lean", "asm", "int4"), ("strided", "portable", "ternary"), ("depthwise", "asm", "int4")],
    ],
)
def test_predicted_costs_are_the_real_ones(tmp_path: Path, real_data: Path, name: str, kernel: str, fmt: str) -> None:
    layers, side, board = COSTS[name]
    images = data.load("digits" if side == 16 else "mnist").test
    result = verify(tmp_path, layers, board, "--limit", 4, "--kernel", kernel, "--format", fmt, side=side)
    network = calibrate(model_file.load(tmp_path / "net.h5"), data.Split(images.images[:4], images.labels[:4]))
    plan = choose(network, WeightFormat[fmt.upper()], BOARDS[board], kernel)
    budget = check_fit(network, plan, BOARDS[board])
    assert budget.flash == pytest.approx(result["memory"]["flash"], abs=400)
    assert budget.ram_static == pytest.approx(result["memory"]["ram_static"], abs=24)
    assert budget.cycles == pytest.approx(result["cycles"]["mean"], rel=0.12)
    assert result["memory"]["stack_max"] < budget.stack


def test_a_profile_names_the_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify(tmp_path, "padded", "uno", "--limit", 3, "--profile")
    said = capsys.readouterr().out
    for name in ("conv 5x5 4, pool 2", "conv 3x3 6, pool 3", "dense 24-10"):
        assert re.search(rf"\d {name}, mean", said)


def test_export_tells_what_a_net_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model_file.save(learned_network("padded"), tmp_path / "net.h5")
    render_of(tmp_path, "uno")
    said = capsys.readouterr().out
    assert "conv 5x5 4, pool 2; conv 3x3 6, pool 3; dense 24-10, int8" in said
    assert re.search(r"flash +[789],\d{3} of 32,256 bytes", said)


def test_the_formats_of_these_nets_are_compared(tmp_path: Path) -> None:
    model_file.save(learned_network("padded"), tmp_path / "net.h5")
    target = tmp_path / "evaluation.json"
    assert main(["evaluate", str(tmp_path / "net.h5"), "--data", "digits", "--json", str(target)]) == 0
    result = json.loads(target.read_text())
    assert {"float32", "int8", *PACKED} <= set(result["accuracy"]) and result["changed"]["float32"] == 0
    assert result["changed"]["int8"] <= 20 and result["changed"]["int8"] < result["changed"]["ternary"]


@pytest.mark.parametrize("arguments", ["--format int4", "--format ternary", "--per-tensor"])
def test_a_preconvolved_net_has_no_packed_weights(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(Path(__file__).parents[2] / "firmware/model/default.h5")
    for command in (["export", model], ["verify", model, "--board", "native"], ["evaluate", model]):
        data = [] if command[0] == "export" else ["--data", "digits"]
        assert main([*command, *data, *arguments.split()]) == 2
        said = capsys.readouterr().err
        assert "found a pre-convolved net" in said and said.count("\n") == 1


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
