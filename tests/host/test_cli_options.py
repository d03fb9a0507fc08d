"""An option that would change nothing is refused in one line that says what it needs; nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from networks import network_of, random_network
from test_plot_figures import report

from host.cli import main
from host.modelfile import file as model_file
from host.nn.layers import Dense, Flatten, ReLU

Capture = pytest.CaptureFixture[str]
VERIFY = ("verify", "m.h5", "--data", "digits")
TRAIN = ("train", "--preset", "simple-cnn", "-o", "x.h5")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with models and a report."""
    monkeypatch.chdir(tmp_path)
    model_file.save(random_network(shape=(16, 16), classes=10), tmp_path / "m.h5")
    model_file.save(network_of("padded"), tmp_path / "conv.h5")
    model_file.save(network_of((Flatten(), Dense(256), ReLU())), tmp_path / "wide.h5")
    (tmp_path / "r.json").write_text(json.dumps(report()))
    return tmp_path


def refused(capsys: Capture, place: Path, *arguments: object) -> str:
    before = sorted(place.rglob("*"))
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err[:6]) == ("", 1, "host: ")
    assert sorted(place.rglob("*")) == before
    return err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("m.h5 loss --format int8", "plot: --format: found it with loss, need one of kernels, maps, recall, confusion"),
        ("m.h5 loss --split train", "plot: --split: found it with loss"),
        ("m.h5 kernels --data digits", "plot: --data: found it with kernels, need one of maps, recall, confusion"),
        ("m.h5 kernels --limit 5", "plot: --limit: found it with kernels, need one of recall, confusion, preconv, all"),
        ("m.h5 recall --digit 0", "plot: --digit: found it with recall, need one of maps, all"),
        ("m.h5 maps --limit 3", "plot: --limit: found it with maps"),
        (
            "r.json recall --format int8",
            "plot: --format: found it with a report, which holds its answers, need",
        ),
        ("m.h5 all --digit 10 --limit 5", "plot: --digit: found 10, need 0..4, which --limit 5 leaves; choose one"),
        ("m.h5 all --digit 5 --limit 5", "plot: --digit: found 5, need 0..4, which --limit 5 leaves"),
        ("r.json all --limit 5", "plot: --limit: found it with a report"),
        ("m.h5 all -o x.png", "x.png: found the name of one picture, need a folder's for all; leave .png out"),
        (
            "wide.h5 recall --format int4",
            "int4: dense 256-256: found dense 256-256, need at most 255 units, of at most 65,535 inputs; ",
        ),
    ],
)
def test_plot(place: Path, capsys: Capture, arguments: str, message: str) -> None:
    assert message in refused(capsys, place, "plot", *arguments.split())


def test_a_folder_may_be_called_like_a_picture(place: Path) -> None:
    (place / "x.png").mkdir()
    assert main(["plot", "r.json", "all", "-o", "x.png"]) == 0
    assert {path.name for path in (place / "x.png").iterdir()} == {"recall.png", "confusion.png"}


@pytest.mark.parametrize("option", ["--kernel asm", "--activation-bits 8", "--per-tensor", "--profile"])
def test_what_a_flashed_board_has_decided(place: Path, capsys: Capture, option: str) -> None:
    said = refused(capsys, place, *VERIFY, "--port", "/dev/ttyNone", *option.split())
    assert f"verify: {option.split()[0]}: found it with --port, where the flashed firmware decides" in said


@pytest.mark.parametrize(("option", "has"), [("--profile", "counts cycles"), ("--baud 500000", "has a line")])
def test_what_the_native_build_has_not(place: Path, capsys: Capture, option: str, has: str) -> None:
    said = refused(capsys, place, *VERIFY, "--board", "native", *option.split())
    assert f"verify: {option.split()[0]}: found it with --board native, need a board that {has}" in said


def test_a_step_for_a_whole_layer_is_for_integers(place: Path, capsys: Capture) -> None:
    arguments = ("--data", "digits", "--format", "float32", "--per-tensor")
    said = refused(capsys, place, "evaluate", "conv.h5", *arguments)
    assert "evaluate: --per-tensor: found it with --format float32, need an integer format" in said


@pytest.mark.parametrize("option", ["--kernel portable", "--board mega", "--per-tensor"])
def test_text_matrices_are_for_no_board(place: Path, capsys: Capture, option: str) -> None:
    said = refused(capsys, place, "export", "m.h5", "--format", "text", *option.split())
    assert f"export: {option.split()[0]}: found --format text, need C headers for it" in said


@pytest.mark.parametrize(
    "option", ["--data usps", "--preset preconv", "-o x.h5", "--seed 1", "--epochs 2", "--checkpoint", "--qat int8"]
)
def test_the_list_of_presets_trains_nothing(place: Path, capsys: Capture, option: str) -> None:
    said = refused(capsys, place, "train", "--list", *option.split())
    assert f"train: {option.split()[0]}: found it with --list, need a training for it" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--batch 1200", "train: --batch: found 1200, need at most the 1,199 images trained on"),
        ("--batch 500 --holdout 0.9", "train: --batch: found 500, need at most the 145 images trained on"),
        (
            "--holdout 0.99",
            "train: --holdout: found 0.99, which leaves 10 images to train on, need at least a batch of 64",
        ),
        ("--holdout 0.0001", "train: --holdout: found 0.0001, which is no image of any class, need a larger share"),
        ("-o x.json", "x.json: found a .json, which `host plot` takes for a report"),
    ],
)
def test_trainings_that_could_not_do_as_told(place: Path, capsys: Capture, options: str, message: str) -> None:
    assert message in refused(capsys, place, *TRAIN, *options.split())


def test_one_image_is_nothing_to_train_on(place: Path, capsys: Capture) -> None:
    images = np.zeros((1, 16, 16), np.uint8)
    np.savez(place / "one.npz", x_train=images, y_train=[0], x_test=images, y_test=[0])
    said = refused(capsys, place, *TRAIN, "--data", "one.npz")
    assert "images: found 1" in said


def test_patience_that_stops_nothing_is_explained(place: Path, capsys: Capture) -> None:
    arguments = ("--data", "digits", "--epochs", "1", "--holdout", "0.5", "--qat", "none", "--patience")
    assert main([*TRAIN, *arguments, "1"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    kept = "the net of the lowest validation loss is kept"
    assert first == f"--patience 1: not below the 1 of --epochs, stops nothing sooner; {kept}"
