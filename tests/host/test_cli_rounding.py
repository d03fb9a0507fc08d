"""Which of several roundings a command took is said: trained for the format, or rounded when training was over."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from networks import network_of, qat_network, random_network

from host.cli import main
from host.compile.candidates import candidates
from host.compile.exports import lowered
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat

Capture = pytest.CaptureFixture[str]
AWARE, AFTER, TENSOR = "quantisation-aware", "post-training", "post-training, per tensor"
DROPPED = "--per-tensor: leaves out what was trained for ternary, which has a step for each row"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model_file.save(qat_network("padded", "ternary"), tmp_path / "tuned.h5")
    model_file.save(random_network(shape=(16, 16), classes=10), tmp_path / "m.h5")
    return tmp_path


def exported(capsys: Capture, *options: str) -> tuple[str, dict[str, Any]]:
    """What is said, and the JSON."""
    capsys.readouterr()
    assert main(["export", *options, "--board", "mega", "-o", "out", "--json", "e.json"]) == 0
    return capsys.readouterr().out, json.loads(Path("e.json").read_text())


@pytest.mark.parametrize(
    ("options", "way"),
    [
        ("tuned.h5 --format ternary", AWARE),
        ("tuned.h5 --format int4", AFTER),
        ("tuned.h5 --format ternary --per-tensor", TENSOR),
        ("tuned.h5 --format int4 --per-tensor", TENSOR),
        ("m.h5", TENSOR),
        ("m.h5 --format int4", AFTER),
        ("m.h5 --format float32", None),
    ],
)
def test_export_says_the_rounding(place: Path, capsys: Capture, options: str, way: str | None) -> None:
    said, document = exported(capsys, *options.split())
    assert document["model"]["rounding"] == way
    assert (f"({way})" in said.splitlines()[0]) == (way is not None)
    assert (DROPPED in said) == (options == "tuned.h5 --format ternary --per-tensor")


def test_evaluate_says_what_is_dropped_and_shows_the_best_formats_recall(place: Path, capsys: Capture) -> None:
    assert recall_of(capsys, "tuned.h5") == "ternary"
    assert recall_of(capsys, "tuned.h5", "--format", "int4") == "int4"
    assert recall_of(capsys, "tuned.h5", "--format", "float32") == "float32"
    assert recall_of(capsys, "tuned.h5", "--per-tensor", said=DROPPED) == "int8"
    assert recall_of(capsys, "m.h5") == "int8"
    assert recall_of(capsys, "m.h5", "--format", "float16") == "float16"


def test_what_was_not_measured_is_not_said_to_be_left_out(place: Path, capsys: Capture) -> None:
    arguments = ("evaluate", "tuned.h5", "--data", "digits", "--limit", "60", "--per-tensor", "--format")
    assert main([*arguments, "int4"]) == 0
    assert "--per-tensor" not in capsys.readouterr().out
    assert main([*arguments, "ternary"]) == 0
    assert DROPPED in capsys.readouterr().out


def recall_of(capsys: Capture, *arguments: str, said: str = "") -> str:
    """Whose recall the last line shows, checked against the JSON."""
    capsys.readouterr()
    assert main(["evaluate", *arguments, "--data", "digits", "--limit", "60", "--json", "v.json"]) == 0
    shown = capsys.readouterr().out
    assert (said or "--per-tensor") in shown or not said
    found = re.fullmatch(r"recall per class, (\w+) \(%\): (.*)", shown.splitlines()[-1])
    assert found is not None
    shares = json.loads(Path("v.json").read_text())["recall"][found[1]]
    assert found[2].split() == ["-" if share is None else f"{100 * share:.1f}" for share in shares]
    return found[1]


def test_a_board_that_carries_any_rounding_is_named_by_it() -> None:
    network, fmt = qat_network("padded", "ternary"), WeightFormat.TERNARY
    ways = {each.graph.hash: each.graph.rounding for each in candidates(network, fmt)}
    assert set(ways.values()) == {AFTER, TENSOR, AWARE}
    assert ways[lowered(network, fmt).hash] == AWARE
    plain = network_of("padded")
    assert {each.graph.rounding for each in candidates(plain, fmt)} == {AFTER, TENSOR}
    assert plain.qat == () and lowered(plain, fmt).rounding == AFTER


@pytest.mark.parametrize(("fmt", "way"), [("ternary", AWARE), ("int8", AFTER)])
def test_verify_says_the_rounding(place: Path, capsys: Capture, fmt: str, way: str) -> None:
    arguments = ["--data", "digits", "--board", "native", "--limit", "5", "--format", fmt, "--json", "v.json"]
    assert main(["verify", "tuned.h5", *arguments]) == 0
    assert f"{fmt} ({way}), digits test: 5 digits\n" in capsys.readouterr().out
    assert json.loads((place / "v.json").read_text())["model"]["rounding"] == way
