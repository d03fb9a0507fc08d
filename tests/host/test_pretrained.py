"""The models that come with the package: listed truly, found by name, refused when they are not the index's."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from host import data, pretrained
from host.cli import main
from host.cli.parser import build_parser
from host.compile.exports import lowered
from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import float_scores
from host.quantise.reference import infer
from tools import make_pretrained

# One worker measures what several of them ask for.
pytestmark = pytest.mark.xdist_group("pretrained")

NAMES = ["preconv-usps", "preconv-cheap-usps", "preconv-mnist", "uno-cnn-usps", "uno-cnn-mnist"]
LARGEST = 300_000
"""Bytes of a file."""


@pytest.fixture(scope="module")
def tool():
    return make_pretrained


@pytest.fixture(scope="module")
def measured(tool):
    """What the tool measures on each file; planning the fastest kernel takes seconds, so it is done once."""
    known = {model.name: model for model in pretrained.index()}
    return {recipe.name: tool.described(recipe, known.get(recipe.name)) for recipe in tool.MODELS}


@pytest.fixture
def remembered(tool, measured, monkeypatch):
    """The tool takes the measurements that were made already."""
    monkeypatch.setattr(tool, "described", lambda recipe, known: measured[recipe.name])


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of host/pretrained that everything works on."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    for path in [*pretrained.FOLDER.glob("*.h5"), pretrained.FOLDER / pretrained.INDEX]:
        shutil.copy(path, folder)
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    return folder


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def refused(capsys, *arguments):
    assert main([*map(str, arguments)]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_index_and_files_agree(tool, remembered, capsys):
    assert tool.main(["--check"]) == 0, capsys.readouterr().out


def test_the_accuracies_are_those_of_the_test_images(tool, real_data):
    model = next(model for model in pretrained.index() if model.name == "preconv-cheap-usps")
    images = data.load("usps").test
    network = model_file.load(pretrained.FOLDER / model.file_name)
    graph = lowered(network, WeightFormat.INT8)
    assert np.mean(infer(graph, images.images).classes == images.labels) == model.accuracy["int8"]
    found = np.mean(float_scores(network, images.images).argmax(axis=1) == images.labels)
    assert abs(found - model.accuracy["float32"]) <= 0.001


def test_what_the_index_says_of_the_files():
    models = pretrained.index()
    assert {model.name for model in models} >= set(NAMES)
    for model in models:
        content = (pretrained.FOLDER / model.file_name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (model.bytes, model.sha256)
        assert model.bytes < LARGEST
        source = model_file.load(pretrained.FOLDER / model.file_name).provenance
        assert (source.dataset, source.dataset_sha256, source.preset) == (model.data, model.data_sha256, model.preset)


def test_the_commands_of_the_index_can_be_given():
    for model in pretrained.index():
        program, *arguments = model.command.split()
        given = build_parser().parse_args(arguments)
        assert (program, given.data, given.preset, given.output) == ("host", model.data, model.preset, model.file_name)


def test_host_models_lists_them(capsys):
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    for model in pretrained.index():
        assert f"\n{model.name}: {model.origin}; hash {model.content_hash[:16]}; {model.command}\n" in shown
        row = next(line for line in shown.splitlines() if line.startswith(f"{model.name} "))
        assert f"{100 * model.accuracy['int8']:.2f} %" in row and f"{model.predicted.cycles:,}" in row


def test_host_models_as_json_is_the_index(capsys):
    assert main(["models", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((pretrained.FOLDER / pretrained.INDEX).read_text())


def test_a_name_works_as_a_model(elsewhere, capsys):
    assert main(["export", "preconv-usps", "--format", "text", "-o", "out"]) == 0
    assert {path.name for path in (elsewhere / "out").iterdir()} == {"W1_CNN.txt", "W2_CNN.txt"}
    assert main(["export", "preconv-usps", "--board", "uno", "-o", "headers"]) == 0
    shown = capsys.readouterr().out
    cost = next(model.predicted for model in pretrained.index() if model.name == "preconv-usps")
    assert f"{cost.cycles:,} cycles" in shown and f"{cost.flash:,} of" in shown


def test_a_name_can_be_verified(elsewhere, real_data, capsys):
    arguments = ["--data", "usps", "--board", "native", "--limit", "20"]
    assert main(["verify", "preconv-cheap-usps", *arguments]) == 0
    assert "verdict: PASS" in capsys.readouterr().out


def test_a_file_of_that_name_comes_first(elsewhere):
    assert pretrained.path_of("preconv-usps") == str(pretrained.FOLDER / "preconv-usps.h5")
    (elsewhere / "preconv-usps").write_text("mine")
    assert pretrained.path_of("preconv-usps") == "preconv-usps"


@pytest.mark.parametrize("text", ["m.h5", "./preconv-usps", "/tmp/preconv-usps", "folder/preconv-usps", "a.json"])
def test_a_path_is_left_alone(elsewhere, text):
    assert pretrained.path_of(text) == text


def test_a_wrong_name_suggests_the_nearest(elsewhere, capsys):
    line = refused(capsys, "evaluate", "preconv-upsp", "--data", "usps")
    assert "found 'preconv-upsp'" in line and "did you mean preconv-usps?" in line
    assert "see `host models`" in refused(capsys, "export", "zzz")
    assert list(elsewhere.iterdir()) == []


def test_a_file_that_is_not_the_indexs_is_refused(copy, elsewhere, capsys):
    path = copy / "preconv-usps.h5"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "SHA-256: found " in refused(capsys, "export", "preconv-usps", "-o", "out")
    path.unlink()
    assert "found no readable file" in refused(capsys, "export", "preconv-usps", "-o", "out")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "models": []}', '{"schema": 1, "models": [{}]}'])
def test_a_damaged_index_is_said_so(copy, text):
    (copy / pretrained.INDEX).write_text(text)
    with pytest.raises(InputError, match="found no readable index"):
        pretrained.index()


def test_the_check_notices_each_disagreement(tool, copy, remembered, capsys):
    index = copy / pretrained.INDEX
    text = index.read_text()
    assert tool.main(["--check"]) == 0

    def complaint():
        assert tool.main(["--check"]) == 1
        return capsys.readouterr().out.splitlines()[-1]

    known = json.loads(text)
    for field in ("content_hash", "command", "origin"):
        wrong = json.loads(text)
        wrong["models"][0][field] += "x"
        index.write_text(json.dumps(wrong))
        assert complaint() == f"{known['models'][0]['name']}: {field}: differs from the file"
    wrong = json.loads(text)
    wrong["models"][1]["predicted"]["cycles"] += 1
    index.write_text(json.dumps(wrong))
    assert complaint().endswith("predicted: differs from the file")
    wrong = json.loads(text)
    del wrong["models"][0]
    index.write_text(json.dumps(wrong))
    assert "lists other models" in complaint()
    index.write_text(text)
    shutil.copy(copy / "preconv-usps.h5", copy / "stray.h5")
    assert "holds " in complaint()


def test_the_index_is_written_anew_as_it_was(tool, copy, remembered):
    text = (copy / pretrained.INDEX).read_text()
    (copy / pretrained.INDEX).write_text("{}")
    assert tool.main(["--index"]) == 0
    renewed = json.loads((copy / pretrained.INDEX).read_text())
    for new, old in zip(renewed["models"], json.loads(text)["models"], strict=True):
        assert new | {"accuracy": old["accuracy"]} == old


def test_training_replaces_one_model_and_its_entry(tool, copy, real_data, measured, monkeypatch):
    measure = tool.described
    quick = tool.Recipe("preconv-usps", "preconv-seed", "usps", options=("--epochs", "3", "--no-rehearsal"))
    monkeypatch.setattr(tool, "MODELS", (quick, *(recipe for recipe in tool.MODELS if recipe.name != quick.name)))
    monkeypatch.setattr(
        tool, "described", lambda recipe, known: measure(recipe, known) if recipe is quick else measured[recipe.name]
    )
    before = {path.name: path.read_bytes() for path in copy.glob("*.h5")}
    assert tool.main(["preconv-usps"]) == 0
    after = {path.name: path.read_bytes() for path in copy.glob("*.h5")}
    assert {name for name in before if before[name] != after[name]} == {"preconv-usps.h5"}
    entry = next(model for model in pretrained.index() if model.name == "preconv-usps")
    assert entry.command.endswith("--preset preconv-seed --seed 0 --epochs 3 --no-rehearsal -o preconv-usps.h5")
    assert entry.sha256 == hashlib.sha256(after["preconv-usps.h5"]).hexdigest()


def test_an_unknown_name_trains_nothing(tool, copy, capsys):
    with pytest.raises(SystemExit, match="2"):
        tool.main(["preconv-upsp"])
    assert "found preconv-upsp" in capsys.readouterr().err


def test_the_wheel_holds_them(repository, tmp_path):
    from hatchling.builders.wheel import WheelBuilder

    (built,) = WheelBuilder(str(repository)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(Path(built)) as wheel:
        for path in [*pretrained.FOLDER.glob("*.h5"), pretrained.FOLDER / pretrained.INDEX]:
            assert wheel.read(f"host/pretrained/{path.name}") == path.read_bytes()
