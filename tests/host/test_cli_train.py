"""`host train` for every preset: what is listed, refused, interrupted and gone on with; convolutions to the board."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import LIMIT_S, surroundings

from host.cli import main
from host.modelfile import file as model_file
from host.train import PRESETS

Capture = pytest.CaptureFixture[str]
QUICK = ["train", "--preset", "simple-cnn"]


def train(output: Path, *options: object) -> list[str]:
    return [*QUICK, *map(str, options), "-o", str(output)]


def test_the_list_holds_every_preset_with_its_figure(capsys: Capture) -> None:
    assert main(["train", "--list"]) == 0
    shown = capsys.readouterr().out
    assert main(["train", "--list", "--json", "-"]) == 0
    listed = json.loads(capsys.readouterr().out)["presets"]
    assert [entry["name"] for entry in listed] == list(PRESETS)
    assert [entry["family"] for entry in listed].count("preconv") == 4
    for entry in listed:
        assert f"{entry['name']} " in shown and entry["summary"] in shown and entry["figure"] in shown


def test_a_net_with_a_convolution_goes_from_training_to_a_board(tmp_path: Path, capsys: Capture) -> None:
    model = tmp_path / "m.h5"
    options = ("--epochs", 2, "--holdout", 0.2, "--rate", 0.004, "--batch", 32, "--json", tmp_path / "t.json")
    assert main(train(model, *options)) == 0
    assert capsys.readouterr().out.startswith("simple-cnn conv 3x3 32, pool 2; dense 1568-10 on digits, seed 0: ")
    result = json.loads((tmp_path / "t.json").read_text())
    assert (result["preset"], result["engine"], len(result["history"]["validation_loss"])) == ("simple-cnn", "numpy", 2)
    assert set(result["accuracy"]) == {"train", "validation", "test"} and result["accuracy"]["test"] > 0.85
    assert result["hash"] == model_file.content_hash(model_file.load(model))
    assert main(["evaluate", str(model), "--data", "digits", "--format", "int8"]) == 0
    assert main(["export", str(model), "--board", "mega", "-o", str(tmp_path / "headers")]) == 0
    assert (tmp_path / "headers" / "model.h").exists()
    assert main(["verify", str(model), "--data", "digits", "--board", "native", "--limit", "40"]) == 0
    assert "verdict: PASS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "uno-cn"], "preset: name: found 'uno-cn' (did you mean uno-cnn?), need one of preconv,"),
        (["--preset", "uno-cn"], "did you mean uno-cnn?"),
        (
            [*QUICK[1:], "--hidden", "8"],
            "train: hidden: found it with preset simple-cnn and 0 hidden dense layers, need one",
        ),
        ([*QUICK[1:], "--reg", "-1"], "train: reg: found -1.0, need a finite number from 0"),
        (
            [*QUICK[1:], "--cycles", "3000"],
            "train: cycles: found it with preset simple-cnn and no aim for cycles, need",
        ),
        (
            [*QUICK[1:], "--no-rehearsal"],
            "train: no-rehearsal: found it with preset simple-cnn and no validation run, need",
        ),
        (["--cycles", "3000"], "train: cycles: found it with preset preconv and no aim for cycles, need"),
        (["--preset", "preconv-seed", "--rate", "1"], "found it with preset preconv-seed and optimiser l-bfgs-b, need"),
        (["--preset", "preconv-cheap", "--qat", "int4"], "train: qat: found it with preset preconv-cheap and weights"),
        (["--preset", "preconv-cheap", "--patience", "3"], "train: patience: found it with preset preconv-cheap and"),
        (["--preset", "preconv-cheap", "--engine", "torch"], "train: engine: found torch with an aim for cycles, need"),
        (["--optimiser", "l-bfgs-b"], "train: optimiser: found l-bfgs-b with augmented copies, need none"),
        (["--patience", "3"], "train: patience: found it without validation images, need some; set holdout"),
        (["--qat", "int4-9"], "train: qat: found 'int4-9', need formats among int8, int4, ternary, each alone or"),
        (["--resume"], "x.h5.checkpoint: checkpoint: found none, need one of an interrupted training"),
        (
            ["--preset", "preconv", "--sweep-cost"],
            "train: --preset: found it with --sweep-cost, which trains its own nets of preconv and preconv-cheap, need",
        ),
        ([*QUICK[1:], "--sweep-cost"], "train: --preset: found it with --sweep-cost"),
        (["--sweep-cost", "--hidden", "8"], "train: --hidden: found it with --sweep-cost, need a training of one net"),
        (["--seeds", "2"], "train: --seeds: found it with a training of one net, need --sweep-cost for it"),
        ([*QUICK[1:], "--device", "cpu"], "train: --device: found it with engine numpy, need --engine torch"),
        ([*QUICK[1:], "--resume"], "x.h5.checkpoint: checkpoint: found none, need one of an interrupted training"),
        ([*QUICK[1:], "--patience", "2", "--holdout", "0"], "train: patience: found it without validation images"),
        ([*QUICK[1:], "--batch", "1"], "train: batch: found 1, need a whole number 2 or more"),
        ([*QUICK[1:], "--rate", "0"], "train: rate: found 0.0, need a finite number above 0"),
        ([*QUICK[1:], "--rate", "nan"], "train: rate: found nan"),
        ([*QUICK[1:], "--holdout", "1"], "train: holdout: found 1.0, need a share from 0 up to 1"),
        (["--preset", "uno-cnn", "--optimiser", "l-bfgs-b"], "train: optimiser: found l-bfgs-b with BatchNorm, need"),
        ([*QUICK[1:], "--optimiser", "l-bfgs-b", "--patience", "2"], "found l-bfgs-b with patience, need none"),
        (
            [*QUICK[1:], "--optimiser", "l-bfgs-b", "--rate", "1"],
            "train: rate: found it with preset simple-cnn and optimiser l-bfgs-b",
        ),
    ],
)
def test_what_does_not_apply_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    output = [] if "--sweep-cost" in options else ["-o", "x.h5"]
    assert main(["train", *options, *output]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_missing_torch_is_a_missing_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "host.train.engines.torch_engine", raising=False)
    assert main(train(tmp_path / "x.h5", "--engine", "torch")) == 4
    assert "pip install 'digitduino[torch]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def started(arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "host", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings(), text=True)


def stop_after_an_epoch(process: subprocess.Popen[str], state: Path, number: int) -> tuple[str, str]:
    """Send a signal once another epoch is saved; return what was printed."""
    before = state.stat().st_mtime_ns if state.exists() else 0
    end = time.monotonic() + LIMIT_S
    while not (state.exists() and state.stat().st_mtime_ns > before):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.005)
    os.kill(process.pid, number)
    return process.communicate(timeout=LIMIT_S)


def test_an_interrupted_training_goes_on_to_the_same_model(tmp_path: Path, capsys: Capture) -> None:
    model, state, epochs = tmp_path / "m.h5", tmp_path / "m.h5.checkpoint", ("--epochs", 12)
    process = started(train(model, *epochs, "--checkpoint"))
    output, _ = stop_after_an_epoch(process, state, signal.SIGINT)
    assert process.returncode == 130
    kept = f"kept {state}; --resume instead of --checkpoint goes on from there"
    assert output.splitlines() == [f"saved the best network so far to {model}", kept]
    assert len(model_file.load(model).provenance.history["loss"]) < 12

    assert main(train(model, *epochs, "--checkpoint")) == 2
    assert "found one of an interrupted training, need --resume" in capsys.readouterr().err
    assert main(train(model, "--epochs", 11, "--resume")) == 2
    assert "found one of another training" in capsys.readouterr().err

    process = started(train(model, *epochs, "--resume"))
    stop_after_an_epoch(process, state, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL

    assert main(train(model, *epochs, "--resume")) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["m.h5"]
    assert main(train(tmp_path / "whole.h5", *epochs)) == 0
    whole, resumed = (model_file.load(tmp_path / name) for name in ("whole.h5", "m.h5"))
    assert model_file.content_hash(resumed) == model_file.content_hash(whole)
    assert resumed.provenance == whole.provenance
