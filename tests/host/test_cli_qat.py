"""`host train --qat` and what `host evaluate` says of formats that come in several ways."""

import json
from pathlib import Path

import pytest

from host.cli import main
from host.modelfile import file as model_file

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("qat") / "m.h5"
    arguments = ["train", "--preset", "simple-cnn", "--epochs", "1", "--qat", "ternary", "--qat", "int8"]
    assert main([*arguments, "-o", str(path)]) == 0
    return path


def evaluated(capsys: Capture, model: Path, *options: str) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert main(["evaluate", str(model), "--data", "digits", "--limit", "60", *options, "--json", "-"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_formats_that_were_trained_for_stand_beside_those_rounded_afterwards(model: Path, capsys: Capture) -> None:
    result = evaluated(capsys, model)
    aware, after, tensor = "quantisation-aware", "post-training", "post-training, per tensor"
    assert result["rounding"] == {
        "int8": aware,
        f"int8 {after}": after,
        f"int8 {tensor}": tensor,
        "int4": after,
        f"int4 {tensor}": tensor,
        "ternary": aware,
        f"ternary {after}": after,
        f"ternary {tensor}": tensor,
    }
    for part in ("accuracy", "changed", "recall", "confusion", "weights"):
        assert set(result[part]) == {"float32", "float16", *result["rounding"]}
    sizes = result["weights"]
    assert sizes["float32"] > sizes["int8"] == sizes[f"int8 {after}"] > sizes["int4"] > sizes["ternary"]


def test_one_format_or_one_way_alone(model: Path, capsys: Capture) -> None:
    assert list(evaluated(capsys, model, "--format", "ternary")["accuracy"])[:2] == ["float32", "ternary"]
    per_tensor = evaluated(capsys, model, "--per-tensor")
    assert list(per_tensor["accuracy"]) == ["float32", "float16", "int8", "int4", "ternary"]
    assert set(per_tensor["rounding"].values()) == {"post-training, per tensor"}


def test_the_table_names_the_rounding(model: Path, capsys: Capture) -> None:
    capsys.readouterr()
    assert main(["evaluate", str(model), "--data", "digits", "--limit", "60", "--format", "int8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["format", "rounding", "accuracy", "changed", "weights"]
    assert [line.split()[:2] for line in lines[3:5]] == [["int8", "quantisation-aware"], ["int8", "post-training"]]
    assert lines[-1].startswith("recall per class, int8 (%)")


@pytest.mark.parametrize(("fmt", "hint"), [("int4", True), ("int8", False)])
def test_another_format_than_those_trained_for_is_pointed_out(
    model: Path, tmp_path: Path, capsys: Capture, fmt: str, hint: bool
) -> None:
    capsys.readouterr()
    assert main(["export", str(model), "--board", "native", "--format", fmt, "-o", str(tmp_path)]) == 0
    line = "trained on for int8 and ternary: `--format int8` takes what that gave\n"
    assert (line in capsys.readouterr().out) == hint


def test_the_model_holds_what_was_asked_for(model: Path, tmp_path: Path) -> None:
    assert [tuned.format for tuned in model_file.load(model).qat] == ["int8", "ternary"]
    plain = tmp_path / "plain.h5"
    assert main(["train", "--preset", "simple-cnn", "--epochs", "1", "--qat", "none", "-o", str(plain)]) == 0
    assert model_file.load(plain).qat == ()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--preset", "simple-cnn", "--qat", "int3"],
            "train: qat: found 'int3', need formats among int8, int4, ternary",
        ),
        (["--preset", "preconv-cheap", "--qat", "int8"], "train: qat: found it with preset preconv-cheap and weights"),
    ],
)
def test_what_cannot_be_trained_for_is_refused(
    options: list[str], complaint: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["train", *options, "-o", str(tmp_path / "m.h5")]) == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_each_training_for_a_format_has_its_own_accuracy(tmp_path: Path, capsys: Capture) -> None:
    arguments = ["train", "--preset", "simple-cnn", "--epochs", "1", "--qat", "int4", "--qat", "int4-6", "--json", "-"]
    assert main([*arguments, "-o", str(tmp_path / "m.h5")]) == 0
    assert list(json.loads(capsys.readouterr().out)["rounded_accuracy"]) == ["int4", "int4-6"]
