"""An import that reads a file wrongly is found where the answers of the net's original are known: by its codes, of
which the first that differs is named, and as a cause of its own, never as a range or a rounding.

A wrong import of a file is the right import of a wrong file: each defect is planted in a copy of the net's file, while
the original's codes are those of TensorFlow Lite Micro for the file as it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tflite_nets import RELU, Net, answers

from host.api import load_samples
from host.cli import main
from host.importers import Options, import_net
from host.modelfile import file as model_file
from host.nn.network import float_scores
from host.quantise.losses import losses, op_layers
from host.quantise.lower import lower
from host.quantise.reference import infer

INPUTS = 60
INPUT, FILTERS, CONV_BIAS, MAP, ROWS, BIAS = range(6)
"""The file's first tensors."""


def net() -> Net:
    return Net(61, (1, 6, 5, 3)).conv(4, (3, 3)).dense(6, activation=RELU).dense(4)


def rows_by_channel(file: Any) -> None:
    """The rows of the dense layer behind the map as if that lay channel by channel."""
    rows = file.tensors[ROWS]
    rows.data = rows.data.reshape(-1, 4, 3, 4).transpose(0, 3, 1, 2).reshape(rows.data.shape)


def bias_shifted(file: Any) -> None:
    file.tensors[CONV_BIAS].data = np.roll(file.tensors[CONV_BIAS].data, 1)


def zero_code_off(file: Any) -> None:
    (zero,) = file.tensors[MAP].zeros
    file.tensors[MAP].zeros = (zero + 1,)


def channels_swapped(file: Any) -> None:
    file.tensors[FILTERS].data = file.tensors[FILTERS].data[..., ::-1]


def one_bias_off(file: Any) -> None:
    """Of one unit."""
    bias = file.tensors[BIAS]
    bias.data = bias.data + np.where(np.arange(len(bias.data)) == 2, 3000, 0)


DEFECTS = (rows_by_channel, bias_shifted, zero_code_off, channels_swapped, one_bias_off)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of inputs with the original's codes."""
    inputs = np.random.default_rng(4).integers(-128, 128, (INPUTS, 6, 5, 3)).astype(np.int8)
    target = tmp_path_factory.mktemp("planted") / "inputs.npz"
    np.savez(target, inputs=inputs, codes=answers(net().bytes(), inputs))
    return target


def imported(folder: Path, defect: Any = None) -> Path:
    made = net()
    if defect is not None:
        defect(made.file)
    model_file.save(import_net(made.write(folder / "net.tflite"), Options()).network, folder / "net.h5")
    return folder / "net.h5"


def first_difference(model: Path, given: Path) -> dict[str, int]:
    """Not by the report's code."""
    network = model_file.load(model)
    samples = load_samples(str(given), network, None, None).samples
    found = infer(lower(network), samples.images).scores.astype(int) - 128
    with np.load(given) as file:
        index, klass = np.argwhere(found != file["codes"])[0].tolist()
        original = int(file["codes"][index, klass])
    return {"index": index, "class": klass, "found": int(found[index, klass]), "original": original}


def explained(model: Path, given: Path, capsys: pytest.CaptureFixture[str], index: int) -> tuple[Any, str]:
    target = model.with_suffix(".json")
    capsys.readouterr()
    arguments = ["explain", str(model), "--data", str(given), "--index", str(index), "--json", str(target)]
    assert main(arguments) == 0
    return json.loads(target.read_text()), capsys.readouterr().out


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda each: each.__name__)
def test_explain_names_the_import_and_no_range(
    tmp_path: Path, given: Path, capsys: pytest.CaptureFixture[str], defect: Any
) -> None:
    model = imported(tmp_path, defect)
    first = first_difference(model, given)
    result, said = explained(model, given, capsys, first["index"])
    against = result["original"]["reference"]
    assert against["original_compared"] == "codes" and against["original_equal"] < INPUTS
    assert against["original_first"] == first
    wrong = INPUTS - against["original_equal"]
    (cause,) = result["causes"]
    assert cause.startswith(f"the reference has other codes than the original in {wrong} of {INPUTS} answers")
    assert f"likely cause: {cause}" in said
    assert (
        f"first that differs from the original: input {first['index']}, class {first['class']}: "
        f"found {first['found']}, need {first['original']}"
    ) in said
    with np.load(given) as file:
        assert result["class"]["original"] == int(file["codes"][first["index"]].argmax())
    # The float net has the defect too, so that no op's loss points at rounding.
    assert all(op["loss"] is not None for op in result["ops"])


def test_of_a_right_import_nothing_is_said(tmp_path: Path, given: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, said = explained(imported(tmp_path), given, capsys, 7)
    against = result["original"]["reference"]
    assert against["original_equal"] == against["original_classes_equal"] == result["original"]["n"] == INPUTS
    assert against["original_first"] is None and "other codes than the original" not in said
    assert result["original"]["float"]["original_compared"] == "classes"
    assert f"reference = original: {INPUTS} classes, all codes in {INPUTS} answers of {INPUTS}" in said
    assert f"original says {result['class']['original']}" in said


def test_verify_fails_and_names_the_first_code(tmp_path: Path, given: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, target = imported(tmp_path, zero_code_off), tmp_path / "result.json"
    arguments = ["verify", str(model), "--data", str(given), "--board", "native", "--json", str(target)]
    capsys.readouterr()
    assert main(arguments) == 1
    result, first = json.loads(target.read_text()), first_difference(model, given)
    agreement = result["agreement"]
    assert (result["verdict"], agreement["scores_equal"]) == ("fail", INPUTS)  # the board says what the import says
    assert agreement["original_equal"] < INPUTS and agreement["original_first"] == first
    assert "first that differs from the original: input" in capsys.readouterr().out


def test_losses_of_means_and_of_scores_that_are_codes(tmp_path: Path) -> None:
    """Each op stands at its layer; what a score loses counts from the code of 0.0."""
    made = Net(25, (1, 6, 7, 2)).conv(6, (2, 2)).mean().dense(5, activation=RELU).dense(4, zero=60)
    network = import_net(made.write(tmp_path / "mean.tflite"), Options()).network
    graph = lower(network, prune=False)
    assert op_layers(network.architecture, graph.ops) == [1, 2, 5, 6]
    images = np.random.default_rng(5).integers(0, 256, (50, 2, 6, 7)).astype(np.uint8)
    found = losses(network, graph, images)
    assert all(loss.error is not None and loss.error < 0.2 for loss in found), found
    codes = infer(graph, images).scores.astype(float) - graph.ops[-1].codes.zero
    floats = float_scores(network, images).astype(float)
    step = (codes * floats).sum() / (codes**2).sum()
    assert found[-1].error == pytest.approx(np.sqrt(((floats - step * codes) ** 2).sum() / (floats**2).sum()), rel=1e-3)
    assert graph.ops[-1].codes.zero == 60 + 128 and found[-1].used == pytest.approx(
        max(-codes.min() / 188, codes.max() / 67), rel=1e-6
    )
