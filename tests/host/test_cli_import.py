"""`host import` of nets of floats at the command line: what it says, what it refuses, and the next step."""

from __future__ import annotations

import json
import re
from pathlib import Path

import keras_files as keras
import numpy as np
import pytest

from host.cli import main
from host.importers import FORMATS
from host.modelfile import file as model_file

Capture = pytest.CaptureFixture[str]
RNG = np.random.default_rng(0)


def mlp(inputs: int, hidden: int) -> list[tuple[str, dict[str, object], dict[str, object]]]:
    return [keras.input_layer(inputs), keras.dense(RNG, inputs, hidden, "relu"), keras.dense(RNG, hidden, 4)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    keras.write_keras(tmp_path / "small.keras", mlp(256, 6))
    keras.write_keras(tmp_path / "large.keras", mlp(784, 60))
    keras.write_keras(tmp_path / "wide.keras", mlp(8, 400))
    keras.write_h5(tmp_path / "net.h5", mlp(8, 6))
    return tmp_path


def data(place: Path, *shape: int, low: float = 0.0) -> Path:
    """40 inputs, the first `low` and 1 in turn, the others 0..1."""
    values = RNG.random((40, *shape)).astype(np.float32)
    values.reshape(-1)[:2] = low, 1
    np.savez(place / "d.npz", inputs=values, labels=np.arange(40) % 4)
    return place / "d.npz"


def said(capsys: Capture, *arguments: object, code: int = 0) -> str:
    assert main([*map(str, arguments)]) == code
    shown = capsys.readouterr()
    assert shown.err.count("\n") == bool(code)
    return shown.err if code else shown.out


@pytest.mark.parametrize("shape", [(256,), (16, 16), (8, 32), (8, 8, 4)])
def test_data_of_any_shape_fits_a_net_of_a_long_vector(place: Path, capsys: Capture, shape: tuple[int, ...]) -> None:
    path = data(place, *shape)
    shown = said(capsys, "import", "small.keras", "-o", "m.h5", "--check", path)
    assert "256 values are taken as 16x16; --shape says otherwise" in shown
    assert "input: codes 0..255 stand for 0..1, a step for 0.00392157; --input-range says otherwise" in shown
    assert "cut" not in shown and "left out" not in shown and "next: `host verify m.h5 --data " in shown
    said(capsys, "import", "small.keras", "-o", "new.h5")
    said(capsys, "calibrate", "new.h5", "--data", path)
    assert model_file.load(Path("new.h5")).output_max == model_file.load(Path("m.h5")).output_max


def test_inputs_beyond_the_range_are_counted(place: Path, capsys: Capture) -> None:
    path = data(place, 256, low=-0.5)
    cut = "0.00977 % of the values lie outside 0..1 and were cut: import the net with another --input-range"
    assert cut in said(capsys, "import", "small.keras", "-o", "m.h5", "--check", path)
    assert cut in said(capsys, "evaluate", "m.h5", "--data", path)
    assert "cut" not in said(capsys, "import", "small.keras", "-o", "m.h5", "--check", path, "--input-range=-0.5,1")


def test_a_net_that_no_board_holds_is_said_to_be_one(place: Path, capsys: Capture) -> None:
    """Units that are never above 0 are left out before."""
    layer = r"dense 8-[34]\d\d"
    why = rf"int8: {layer}: found {layer}, need at most 255 units, of at most 65,535 inputs; "
    for check in ([], ["--check", data(place, 8)]):
        shown = said(capsys, "import", "wide.keras", "-o", "m.h5", *check)
        assert re.search(f"^  no board can hold it: {why}", shown, re.M) and "next:" not in shown
        assert bool(re.search(f"^left out: {why}", shown, re.M)) == bool(check)


def test_the_board_of_the_next_step_has_room(place: Path, capsys: Capture) -> None:
    for net, inputs, board in (("small", 256, "uno"), ("large", 784, "mega")):
        shown = said(capsys, "import", f"{net}.keras", "-o", "m.h5", "--check", data(place, inputs))
        assert shown.endswith(f"d.npz --board {board}`\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("small.keras -o m.h5 --limit 3", "import: --limit: found 3 without --check, need data to limit"),
        ("small.keras -o m.json", "m.json: found a .json, need a model's name"),
        ("net.h5 -o net.h5", "-o: found net.h5"),
    ],
)
def test_what_would_harm_or_change_nothing_is_refused(place: Path, capsys: Capture, arguments: str, words: str) -> None:
    before = {path: path.read_bytes() for path in place.iterdir()}
    assert words in said(capsys, "import", *arguments.split(), code=2)
    assert {path: path.read_bytes() for path in place.iterdir()} == before


def test_other_commands_say_that_a_net_must_be_imported(place: Path, capsys: Capture) -> None:
    for suffix in sorted(each for one in FORMATS for each in one.suffixes if each not in (".h5", ".hdf5")):
        (place / f"net{suffix}").write_bytes(b"\x00\x00\x00\x00TFL3 or others")
        shown = said(capsys, "evaluate", f"net{suffix}", "--data", "digits", code=2)
        assert f"need a model file; import it: `host import net{suffix} -o net.h5`" in shown
    shown = said(capsys, "evaluate", "net.h5", "--data", "digits", code=2)
    assert "found a net of Keras, need a model file; import it: `host import net.h5 -o net-imported.h5`" in shown
    said(capsys, "import", "net.h5", "-o", "m.onnx")  # a model, whatever it is called
    assert model_file.load(Path("m.onnx")).image_shape == (1, 8)


def test_the_json_says_what_was_taken(place: Path, capsys: Capture) -> None:
    said(capsys, "import", "small.keras", "-o", "m.h5", "--json", "r.json")
    notes = json.loads(Path("r.json").read_text())["notes"]
    assert [note.split(":")[0] for note in notes] == ["256 values are taken as 16x16; --shape says otherwise", "input"]
