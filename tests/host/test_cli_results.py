"""What the commands give to programs: JSON whose keys are a contract, alone on standard output where asked for."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host.atomic import write_text
from host.cli import main
from host.errors import InputError
from host.modelfile import file as model_file

AFTERWARDS = "post-training, per tensor"
FORMATS = {"float32", "float16", "int8", "int4", "ternary", f"int4 {AFTERWARDS}", f"ternary {AFTERWARDS}"}
"""What a net behind the fixed front end is measured in: as int8 each layer has one scale in any case."""
Capture = pytest.CaptureFixture[str]


def document(capsys: Capture, *arguments: object) -> dict[str, Any]:
    """Run a command with `--json -`; returns what stands on standard output, which must be JSON and nothing else."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json", "-"]) == 0
    output, errors = capsys.readouterr()
    assert errors != ""
    return dict(json.loads(output))


def test_evaluate(trained: Callable[..., Path], capsys: Capture) -> None:
    result = document(capsys, "evaluate", trained("preconv-seed"), "--data", "usps")
    assert {"schema", "dataset", "split", "n", "accuracy", "changed", "recall", "confusion"} <= set(result)
    assert (result["schema"], result["dataset"], result["split"], result["n"]) == (1, "usps", "test", 2007)
    for part in ("accuracy", "changed", "recall", "confusion"):
        assert set(result[part]) == FORMATS
    assert result["changed"]["float32"] == 0
    for name in FORMATS:
        matrix = np.array(result["confusion"][name])
        assert matrix.shape == (10, 10) and matrix.sum() == 2007
        assert result["accuracy"][name] == pytest.approx(np.trace(matrix) / 2007)
        assert result["recall"][name] == pytest.approx(matrix.diagonal() / matrix.sum(axis=1))


def test_evaluate_one_format_on_a_part(trained: Callable[..., Path], capsys: Capture) -> None:
    arguments = ["--data", "usps", "--format", "int8", "--split", "train", "--limit", 100]
    result = document(capsys, "evaluate", trained("preconv-seed"), *arguments)
    assert (result["split"], result["n"], set(result["accuracy"])) == ("train", 100, {"float32", "int8"})


def test_train(tmp_path: Path, capsys: Capture) -> None:
    model = tmp_path / "m.h5"
    result = document(capsys, "train", "--preset", "preconv-seed", "--seed", 3, "--epochs", 20, "-o", model)
    assert {"preset", "seed", "seconds", "history", "accuracy", "dataset", "engine", "hash"} <= set(result)
    assert (result["preset"], result["seed"], result["dataset"]) == ("preconv-seed", 3, "digits")
    assert {"train", "validation", "test"} == set(result["accuracy"])
    assert result["history"]["loss"] and all(result["history"].values())
    assert result["hash"] == model_file.content_hash(model_file.load(model))


def test_train_without_a_validation_run_gives_the_same_network(tmp_path: Path, capsys: Capture) -> None:
    arguments = ["train", "--preset", "preconv-seed", "--epochs", 20, "-o", tmp_path / "m.h5"]
    whole, short = document(capsys, *arguments), document(capsys, *arguments, "--no-rehearsal")
    assert whole["hash"] == short["hash"]
    assert "validation" not in short["accuracy"]


def test_export(trained: Callable[..., Path], tmp_path: Path, capsys: Capture) -> None:
    result = document(capsys, "export", trained("preconv-seed"), "--format", "float16", "-o", tmp_path / "out")
    assert (result["model"]["format"], result["board"], result["kernel"]) == ("float16", "uno", "asm")
    assert set(result["predicted"]) >= {"compiler", "flash", "ram_static", "stack", "cycles"}
    assert 0.93 < result["accuracy"] < 0.94


def test_verify(trained: Callable[..., Path], capsys: Capture) -> None:
    arguments = ["--data", "usps", "--board", "native", "--limit", 30]
    result = document(capsys, "verify", trained("preconv-seed"), *arguments)
    assert (result["verdict"], result["n"], result["predicted"]) == ("pass", 30, None)


def test_json_into_a_pipe_is_written_into_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "hello")
    reader.join()
    assert got == ["hello"]
    assert pipe.is_fifo()


def test_a_model_does_not_replace_a_pipe_or_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(InputError, match="need a file"):
            model_file.save(model_file.load(Path("firmware/model/default.h5").resolve()), tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]
