"""Commands on a file of inputs: agreement without accuracy, the original's answers, every answer kept."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from inputs_files import LABELS, floats, oblong_network, saved

from host.cli import main
from host.nn.encode import encode
from host.nn.formats import WeightFormat
from host.nn.network import float_scores
from host.quantise.calibrate import export_top
from host.quantise.lower import lower
from host.quantise.reference import infer


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, and inputs with nothing beside them."""
    folder = tmp_path_factory.mktemp("inputs")
    saved(folder, oblong_network())
    np.savez(folder / "d.npz", inputs=floats())
    return folder


def run(place: Path, *arguments: object, code: int = 0) -> dict:
    """The JSON of a command."""
    assert main([*map(str, arguments), "--json", str(place / "r.json")]) == code
    return json.loads((place / "r.json").read_text())


def refused(capsys, *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def with_answers(place: Path, name: str, **beside: object) -> Path:
    np.savez(place / name, inputs=floats(), **beside)
    return place / name


def reference():
    network = oblong_network()
    graph = lower(network, top=export_top(network, WeightFormat.INT8, None))
    return graph, infer(graph, encode(network, floats()))


def test_verify_tells_agreement_without_accuracy(place, capsys):
    result = run(place, "verify", place / "m.h5", "--data", place / "d.npz", "--board", "native")
    assert (result["verdict"], result["n"], result["dataset"], result["split"]) == ("pass", 40, "d.npz", "inputs")
    assert set(result["accuracy"].values()) == {None}
    assert (result["agreement"]["classes_equal"], result["agreement"]["scores_equal"]) == (40, 40)
    assert result["agreement"]["original_compared"] is None
    said = capsys.readouterr().out
    assert "accuracy" not in said
    assert "original" not in said
    assert "device = quantised: 40 classes, 40 scores of 40" in said


def test_labels_beside_them_give_the_accuracy(place):
    _, answers = reference()
    labels = answers.classes.astype(np.int64)
    labels[:4] = (labels[:4] + 1) % 3
    path = with_answers(place, "l.npz", labels=labels)
    result = run(place, "verify", place / "m.h5", "--data", path, "--board", "native", "--limit", 8)
    assert (result["n"], result["accuracy"]["device"]) == (8, 0.5)


def test_the_originals_classes_are_counted(place, capsys):
    _, answers = reference()
    outputs = np.eye(3)[answers.classes]
    outputs[:5] = outputs[:5, ::-1] + 2 * outputs[:5, [1, 2, 0]]
    right = int(np.sum(outputs.argmax(axis=1) == answers.classes))
    assert right < 40
    result = run(place, "verify", place / "m.h5", "--data", with_answers(place, "o.npz", outputs=outputs),
                 "--board", "native")  # fmt: skip
    agreement = result["agreement"]
    assert (agreement["original_compared"], agreement["original_equal"]) == ("classes", None)
    assert agreement["original_classes_equal"] == right
    assert f"device = original: {right} classes of 40" in capsys.readouterr().out
    assert result["verdict"] == "pass"


def test_a_code_that_differs_from_the_originals_fails_the_verification(place, capsys):
    """The sums of a net that was never codes stand for them here, as int32."""
    _, answers = reference()
    codes = answers.scores.astype(np.int32)
    verify = ("verify", place / "m.h5", "--board", "native", "--data")
    result = run(place, *verify, with_answers(place, "c.npz", codes=codes))
    assert (result["verdict"], result["agreement"]["original_equal"]) == ("pass", 40)
    codes[11, 1] += 1
    capsys.readouterr()
    result = run(place, *verify, with_answers(place, "c.npz", codes=codes), code=1)
    assert (result["verdict"], result["agreement"]["original_equal"]) == ("fail", 39)
    assert result["agreement"]["scores_equal"] == 40
    said = capsys.readouterr().out
    assert f"input 11, class 1: found {codes[11, 1] - 1}, need {codes[11, 1]}" in said
    assert "verdict: FAIL" in said


def test_evaluate_tells_what_changes_without_accuracy(place, capsys):
    _, answers = reference()
    path = with_answers(place, "e.npz", codes=answers.scores.astype(np.int32))
    result = run(place, "evaluate", place / "m.h5", "--data", path)
    network = oblong_network()
    truth = float_scores(network, encode(network, floats())).argmax(axis=1)
    assert set(result["accuracy"].values()) == {None}
    assert result["recall"]["int8"] is None
    assert result["changed"]["int8"] == np.sum(answers.classes != truth) == result["changed"]["original"]
    assert result["agreement"]["int8"]["original_equal"] == 40
    assert result["agreement"]["float32"]["original_compared"] == "classes"
    said = capsys.readouterr().out
    assert "accuracy" not in said
    assert "recall" not in said
    assert "unlike original" in said


def columns(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(encoding="utf-8", newline="") as stream:
        head, *rows = csv.reader(stream)
    return head, rows


HEAD = ["index", "label", "class", *(f"score {name}" for name in LABELS), *(f"probability {name}" for name in LABELS),
        "score_step"]  # fmt: skip


@pytest.mark.parametrize("command", ["verify", "evaluate"])
def test_every_answer_is_kept_in_a_table(place, command):
    graph, answers = reference()
    target = place / f"{command}.csv"
    options = ("--board", "native") if command == "verify" else ()
    run(place, command, place / "m.h5", "--data", place / "d.npz", *options, "--scores", target)
    head, rows = columns(target)
    assert head == HEAD
    assert [int(row[0]) for row in rows] == list(range(40))
    assert {row[1] for row in rows} == {""}
    assert [int(row[2]) for row in rows] == answers.classes.tolist()
    assert np.array_equal(np.array([row[3:6] for row in rows], np.int64), answers.scores)
    shares = np.exp(answers.scores * graph.score_step)
    shares /= shares.sum(axis=1, keepdims=True)
    assert np.array([row[6:9] for row in rows], float) == pytest.approx(shares, rel=1e-6, abs=1e-12)
    assert {float(row[9]) for row in rows} == {graph.score_step}


def test_an_archive_holds_the_same_and_says_whose_it_is(place):
    graph, answers = reference()
    labels = np.arange(40) % 3
    path = with_answers(place, "l.npz", labels=labels)
    run(place, "verify", place / "m.h5", "--data", path, "--board", "native", "--scores", place / "v.npz")
    with np.load(place / "v.npz", allow_pickle=False) as found:
        assert found["classes"].tolist() == list(LABELS)
        assert np.array_equal(found["scores"], answers.scores)
        assert np.array_equal(found["class"], answers.classes)
        assert found["label"].tolist() == labels.tolist()
        assert (found["score_step"], str(found["model_hash"])) == (graph.score_step, graph.hash)
        assert (str(found["answered_by"]), str(found["format"])) == ("device", "int8")
        assert found["probabilities"].sum(axis=1) == pytest.approx(np.ones(40))
    first = (place / "v.npz").read_bytes()
    run(place, "verify", place / "m.h5", "--data", path, "--board", "native", "--scores", place / "v.npz")
    assert (place / "v.npz").read_bytes() == first


def test_evaluate_keeps_the_scores_of_the_format_that_is_asked_for(place):
    network = oblong_network()
    target = place / "f.csv"
    run(place, "evaluate", place / "m.h5", "--data", place / "d.npz", "--format", "float32", "--scores", target)
    _, rows = columns(target)
    found = np.array([row[3:6] for row in rows], np.float32)
    codes = encode(network, floats())
    assert found == pytest.approx(float_scores(network, codes), rel=1e-4, abs=1e-4)
    exact = infer(lower(network, WeightFormat.FLOAT32), codes).scores
    assert found.tobytes() == exact.tobytes(), "the shortest texts read back to the same bits"


def test_a_file_of_scores_appears_whole_or_not_at_all(place, monkeypatch, capsys):
    target = place / "whole.csv"
    target.write_text("before")
    evaluate = ("evaluate", place / "m.h5", "--data", place / "d.npz", "--format", "int8", "--scores", target)

    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("host.report.scores_file._lines", broken)
    assert "No space left on device" in refused(capsys, *evaluate)
    assert target.read_text() == "before"
    assert [path.name for path in place.iterdir() if path.name.startswith(".whole")] == []


def test_places_for_scores_that_cannot_be_are_refused_at_once(place, capsys):
    evaluate = ("evaluate", place / "m.h5", "--data", place / "d.npz", "--scores")
    assert "suffix: found '.txt', need .csv or .npz" in refused(capsys, *evaluate, place / "a.txt")
    assert "does not exist" in refused(capsys, *evaluate, place / "none" / "a.csv")
    line = refused(capsys, *evaluate, place / "a.csv", "--json", place / "a.csv")
    assert "the file of --scores" in line


WRONG = {
    "another shape": ({"inputs": floats(3, (5, 3))}, (), "inputs: found 5x3 numbers each, need 12x3 for this model"),
    "NaN": ({"inputs": np.full((3, 12, 3), np.nan)}, (), "inputs: found NaN or infinity in row 0"),
    "labels beyond the classes": (
        {"inputs": floats(3), "labels": np.array([0, 1, 3])}, (), "labels: found 3 in row 2, need whole numbers 0..2"
    ),
    "codes of another net": (
        {"inputs": floats(3), "codes": np.zeros((3, 4), np.int8)}, (), "codes: found 3x4 numbers, need 3x3"
    ),
    "a split": ({"inputs": floats(3)}, ("--split", "test"), "--split: found test, need none for a file of inputs"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_the_net_cannot_take_is_one_line(place, capsys, case):
    arrays, options, need = WRONG[case]
    np.savez(place / "w.npz", **arrays)
    line = refused(capsys, "evaluate", place / "m.h5", "--data", place / "w.npz", *options)
    assert need in line
    assert "w.npz" in line


def test_an_accuracy_is_not_asked_of_inputs_without_labels(place, capsys):
    verify = ("verify", place / "m.h5", "--data", place / "d.npz", "--board", "native", "--min-accuracy", "0.5")
    assert "--min-accuracy: found" in refused(capsys, *verify)


def test_the_report_without_labels_has_no_picture_of_classes(place, capsys):
    run(place, "verify", place / "m.h5", "--data", place / "d.npz", "--board", "native")
    line = refused(capsys, "plot", place / "r.json", "recall")
    assert "confusion: found a verification without labels" in line


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        ((3, 6, 5), np.random.default_rng(0).integers(0, 256, (12, 6, 5, 3), np.uint8)),
        ((1, 5, 4), np.random.default_rng(0).integers(-128, 128, (12, 5, 4, 1), np.int8)),
        ((1, 5, 4), np.random.default_rng(0).random((12, 20))),
    ],
    ids=["channels", "signed codes", "features"],
)
def test_inputs_of_every_kind_reach_the_board(tmp_path, shape, values):
    saved(tmp_path, oblong_network(shape))
    np.savez(tmp_path / "d.npz", inputs=values)
    result = run(tmp_path, "verify", tmp_path / "m.h5", "--data", tmp_path / "d.npz", "--board", "native")
    assert (result["verdict"], result["agreement"]["scores_equal"]) == ("pass", 12)


def test_a_real_nets_inputs_and_answers_fit_a_net_of_its_shape(tmp_path, real_data):
    golden = real_data / "models" / "magic_wand.golden.npz"
    if not golden.is_file():
        pytest.skip(f"no {golden.name} in DIGITDUINO_DATA")
    with np.load(golden) as known:
        values = known["inputs"]
    network = oblong_network((1, 128, 3))
    codes = encode(network, values)
    assert codes.shape == (240, 128, 3)
    assert np.array_equal(codes, np.clip(np.sign(values) * np.floor(np.abs(values * 40) + 0.5), 0, 255)[..., 0])
