"""What is not taken of a TensorFlow Lite net: refused by operator and place, with the way out, and nothing written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from networks import random_network
from tflite_nets import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, TANH, Net, Operator

from host.cli import main
from host.errors import InputError
from host.importers import Options, import_net
from host.modelfile import file as model_file

SHAPE = (1, 8, 8, 2)


def small(floats: bool = False) -> Net:
    """Ops 0 CONV_2D, 1 MAX_POOL_2D, 2 FULLY_CONNECTED; tensors 0 input, 1 to 3 and 5 to 7 of layers, 4 of the pool."""
    return Net(1, SHAPE, floats=floats).conv(4, (3, 3)).pool("MAX", (2, 2)).dense(4)


def option(op: int, name: str, value: float) -> Net:
    net = small()
    net.file.operators[op].options[name] = value
    return net


def tensor(index: int, floats: bool = False, **fields: object) -> Net:
    net = small(floats)
    for name, value in fields.items():
        setattr(net.file.tensors[index], name, value)
    return net


def with_end(name: str, **options: float) -> Net:
    net = small()
    return net.op(name, net.file.tensor(net.shape, "INT8", (1 / 256,), (-128,)), (), options)


def branching() -> Net:
    net = small()
    net.file.operators[2].inputs = (0, *net.file.operators[2].inputs[1:])
    return net


def output_in_mid_net() -> Net:
    net = small()
    net.file.outputs = net.file.operators[0].outputs
    return net


def requantised() -> Net:
    net = Net(1, SHAPE).conv(4, (3, 3))
    return net.op("QUANTIZE", net.file.tensor(net.shape, "INT8", (0.3,), (4,))).dense(4)


def relu_of_another_scale() -> Net:
    net = Net(1, SHAPE).conv(4, (3, 3), activation=NONE)
    return net.op("RELU", net.file.tensor(net.shape, "INT8", (0.3,), (4,))).dense(4)


def added(net: Net) -> Net:
    """An addition to each channel, in a net of floats."""
    constant = net.file.tensor((4,), "FLOAT32", data=np.ones(4))
    return net.op("ADD", net.file.tensor(net.shape, "FLOAT32"), (constant,), {"activation": NONE})


def added_integers() -> Net:
    net = Net(1, SHAPE).conv(4, (3, 3))
    constant = net.file.tensor((4,), "INT8", (0.1,), (0,), data=np.ones(4))
    return net.op("ADD", net.file.tensor(net.shape, "INT8", (0.1,), (0,)), (constant,), {"activation": NONE}).dense(4)


def unknown(name: str) -> Net:
    net = Net(1, SHAPE).conv(4, (3, 3))
    return net.keep(name).dense(4)


REFUSED: dict[str, tuple[Callable[[], Net], tuple[str, ...]]] = {
    "dilation": (lambda: option(0, "dilation_h", 2), ("op 0 CONV_2D: found dilation 2, need 1; train it with",)),
    "an activation": (lambda: option(0, "activation", TANH), ("op 0 CONV_2D", "activation TANH", "relu6")),
    "a two-sided activation": (lambda: option(0, "activation", RELU_N1_TO_1), ("op 0 CONV_2D", "RELU_N1_TO_1")),
    "a stride of 0": (lambda: option(0, "stride_h", 0), ("op 0 CONV_2D", "stride")),
    "shuffled weights": (lambda: option(2, "format", 1), ("op 2 FULLY_CONNECTED", "shuffled")),
    "a window of 0": (lambda: option(1, "height", 0), ("op 1 MAX_POOL_2D", "window")),
    "asymmetric weights": (lambda: tensor(1, zeros=(3, 0, 0, 0)), ("op 0 CONV_2D", "weights with zero points", "int8")),
    "int16 activations": (lambda: tensor(0, kind="INT16"), ("op 0 CONV_2D", "INT16 activations", "int8")),
    "uint8 activations": (lambda: tensor(0, kind="UINT8", zeros=(100,)), ("op 0 CONV_2D", "UINT8", "again with int8")),
    "int4 weights": (lambda: tensor(1, kind="INT4"), ("op 0 CONV_2D", "INT4 weights of INT8")),
    "hybrid": (
        lambda: tensor(1, floats=True, kind="INT8", data=np.ones((4, 3, 3, 2))),
        ("op 0 CONV_2D", "INT8 weights of FLOAT32 activations", "representative data set"),
    ),
    "half of it int8": (
        lambda: tensor(4, kind="FLOAT32", scales=()),
        ("op 1 MAX_POOL_2D", "FLOAT32 activations in a net"),
    ),
    "weights that are computed": (lambda: tensor(1, data=None), ("op 0 CONV_2D", "weights that are no constants")),
    "biases of int8": (lambda: tensor(2, kind="INT8"), ("op 0 CONV_2D", "biases", "int32")),
    "too few biases": (lambda: tensor(2, shape=(3,), data=np.zeros(3)), ("op 0 CONV_2D", "3 biases")),
    "scales along another axis": (lambda: tensor(1, axis=3), ("op 0 CONV_2D", "axis 3")),
    "too few scales": (lambda: tensor(1, scales=(1, 1), zeros=(0, 0)), ("op 0 CONV_2D", "2 scales")),
    "no scale": (lambda: tensor(0, scales=(), zeros=()), ("op 0 CONV_2D", "0 scales of tensor 0")),
    "a zero point beyond a code": (lambda: tensor(0, zeros=(128,)), ("op 0 CONV_2D", "zero point that is no code")),
    "steps of next to nothing": (lambda: tensor(3, scales=(1e-30,)), ("op 0 CONV_2D", "less than 2^30")),
    "another scale behind a pool": (lambda: tensor(4, scales=(0.5,)), ("op 1 MAX_POOL_2D", "another scale")),
    "another output": (lambda: tensor(3, shape=(1, 6, 6, 5)), ("op 0 CONV_2D", "an output (1, 6, 6, 5)")),
    "two images at once": (lambda: Net(1, (2, 8, 8, 2)).conv(4, (3, 3)), ("op 0 CONV_2D", "one image at a time")),
    "overlapping means": (
        lambda: Net(1, SHAPE).conv(4, (3, 3)).pool("AVERAGE", (3, 3), stride=(1, 1)).dense(4),
        ("op 1 AVERAGE_POOL_2D", "side by side"),
    ),
    "a padded pool": (
        lambda: Net(1, SHAPE).conv(4, (2, 2)).pool("MAX", (2, 2), padding=SAME).dense(4),
        ("op 1 MAX_POOL_2D", "SAME", "VALID"),
    ),
    "padding before a pool": (
        lambda: Net(1, SHAPE).pad([(0, 0), (1, 1), (1, 1), (0, 0)]).pool("MAX", (2, 2)).dense(4),
        ("op 0 PAD", "before op 1 MAX_POOL_2D", "need a convolution behind padding"),
    ),
    "padding at the end": (
        lambda: small().reshape((1, 2, 2, 1)).pad([(0, 0), (1, 1), (1, 1), (0, 0)]),
        ("op 4 PAD", "need a map"),
    ),
    "padding of channels": (
        lambda: Net(1, SHAPE).pad([(0, 0), (0, 0), (0, 0), (0, 1)]).conv(4, (3, 3)).dense(4),
        ("op 0 PAD", "rows and columns"),
    ),
    "padding beyond the kernel": (
        lambda: Net(1, SHAPE).pad([(0, 0), (3, 3), (0, 0), (0, 0)]).conv(4, (3, 3)).dense(4),
        ("op 1 CONV_2D: padding: found 3, need 0..2",),
    ),
    "a mean over channels": (lambda: Net(1, SHAPE).conv(4, (3, 3)).mean((1, 2, 3)).dense(4), ("op 1 MEAN", "axes")),
    "a mean over rows": (lambda: Net(1, SHAPE).conv(4, (3, 3)).mean((1,)).dense(4), ("op 1 MEAN", "axes [1]")),
    "a branch": (branching, ("op 2 FULLY_CONNECTED", "one chain of layers")),
    "an output in mid-net": (output_in_mid_net, ("net.tflite: net", "as the output")),
    "requantised in mid-net": (requantised, ("op 1 QUANTIZE", "in between")),
    "an activation of another scale": (relu_of_another_scale, ("op 1 RELU", "another scale")),
    "an activation behind an average": (
        lambda: Net(1, SHAPE).conv(4, (3, 3), activation=NONE, zero=-9).pool("AVERAGE", (2, 2)).keep("RELU").dense(4),
        ("op 2 RELU", "behind an average pool"),
    ),
    "a float convolution without activation": (
        lambda: Net(1, SHAPE, floats=True).conv(4, (3, 3), activation=NONE).conv(4, (3, 3)).dense(4),
        ("op 0 CONV_2D: found it without ReLU, need one right behind it",),
    ),
    "an addition before padding": (
        lambda: added(Net(1, SHAPE, floats=True).conv(4, (3, 3))).conv(4, (3, 3), padding=SAME).dense(4),
        ("op 2 CONV_2D with padding: found op 1 ADD before it",),
    ),
    "an addition of integers": (added_integers, ("op 1 ADD", "net of floats")),
    "an operator": (lambda: unknown("TANH"), ("op 1 TANH", "need one of CONV_2D", "with relu or relu6")),
    "a transposition": (lambda: unknown("TRANSPOSE"), ("op 1 TRANSPOSE", "height, width, channels")),
    "one score": (lambda: with_end("LOGISTIC"), ("op 3 LOGISTIC", "a score for each class, and softmax")),
    "a sigmoid in between": (lambda: unknown("LOGISTIC"), ("op 1 LOGISTIC", "use relu between layers")),
    "a sharpened softmax": (lambda: with_end("SOFTMAX", beta=2.0), ("op 3 SOFTMAX", "a beta of 2")),
    "a layer behind softmax": (lambda: small().softmax().dense(4), ("op 4 FULLY_CONNECTED", "behind SOFTMAX")),
    "an activation of scores": (
        lambda: Net(1, SHAPE, floats=True).conv(4, (3, 3)).dense(4, activation=RELU),
        ("op 1 FULLY_CONNECTED", "it behind the last layer"),
    ),
    "a pool at the end": (
        lambda: Net(1, SHAPE).conv(4, (3, 3)).mean(),
        ("end: found op 1 MEAN, need a dense layer, whose outputs are the scores",),
    ),
    "a map at the end": (
        lambda: Net(1, SHAPE).conv(4, (3, 3), activation=NONE),
        ("end: found op 0 CONV_2D", "end the net"),
    ),
    "one class": (lambda: Net(1, SHAPE).conv(4, (3, 3)).dense(1), ("classes", "2..255")),
    "no layer": (lambda: Net(1, SHAPE), ("net.tflite: net", "no layer")),
    "a map of a vector": (
        lambda: Net(1, SHAPE).dense(16, activation=RELU6).reshape((1, 4, 4, 1)).conv(4, (3, 3)).dense(4),
        ("op 2 CONV_2D", "need a map"),
    ),
    "a map of another shape": (
        lambda: Net(1, SHAPE).conv(4, (3, 3)).reshape((1, 4, 9, 4)).conv(4, (3, 3)).dense(4),
        ("op 2 CONV_2D", "a map reshaped"),
    ),
    "a dense layer for each column": (
        lambda: tensor(7, shape=(4, 4), data=np.ones((4, 4)), scales=(1,), zeros=(0,)),
        ("op 2 FULLY_CONNECTED", "flatten before"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    make, words = REFUSED[case]
    make().write(tmp_path / "net.tflite")
    monkeypatch.chdir(tmp_path)
    assert main(["import", "net.tflite", "-o", "net.h5"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("host: net.tflite: ") and said.count("\n") == 1
    assert said.count("; ") == 1 and "found" in said and "need" in said
    assert [word for word in words if word not in said] == []
    assert [path.name for path in tmp_path.iterdir()] == ["net.tflite"]


def test_a_range_of_inputs_for_a_net_that_brings_its_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--input-range.*leave it out"):
        import_net(small().write(tmp_path / "net.tflite"), Options(input_range=(0.0, 1.0)))


@pytest.mark.parametrize("labels", ["a,b,c", "a,b,c,c", "a,b,c,", "a,b,c,\x1b"])
def test_labels_that_do_not_name_the_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: str) -> None:
    path = small().write(tmp_path / "net.tflite")
    assert main(["import", str(path), "-o", str(tmp_path / "net.h5"), "--labels", labels]) == 2
    assert "labels" in capsys.readouterr().err
    assert not (tmp_path / "net.h5").exists()


def test_without_the_reader_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = small().write(tmp_path / "net.tflite")
    monkeypatch.setitem(sys.modules, "tflite", None)
    assert main(["import", str(path), "-o", str(tmp_path / "net.h5")]) == 4
    assert "pip install 'digitduino[tflite]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("net.txt", ".tflite, .lite (TensorFlow Lite), .keras, .h5, .hdf5 (Keras), .onnx (ONNX)"),
        ("net.pkl", "a pickle is a program"),
        ("net.tflite", "no TFL3"),
        ("empty.onnx", "found damage (no bytes), need the whole file"),
        ("folder", "found a folder, need the file of a trained net; name the file, or convert a SavedModel"),
        ("missing.onnx", "found nothing, need the file of a trained net"),
        (
            "model.h5",
            "found a model of digitduino already, need a net of another tool; give it to the commands as it is",
        ),
    ],
)
def test_files_of_another_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, word: str) -> None:
    for each in ("net.txt", "net.pkl", "net.tflite"):
        (tmp_path / each).write_bytes(b"something else")
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "folder").mkdir()
    model_file.save(random_network(), tmp_path / "model.h5")
    assert main(["import", str(tmp_path / name), "-o", str(tmp_path / "out.h5")]) == 2
    said = capsys.readouterr().err
    assert word in said and said.count("\n") == 1
    assert not (tmp_path / "out.h5").exists()


def test_the_suffix_does_not_matter_where_the_file_says_what_it_is(tmp_path: Path) -> None:
    assert import_net(small().write(tmp_path / "net"), Options()).source == "TensorFlow Lite"


def test_a_long_vector_is_taken_as_the_most_square_map(tmp_path: Path) -> None:
    path = Net(1, (1, 300)).dense(4).write(tmp_path / "net.tflite")
    found = import_net(path, Options())
    assert found.network.input_shape == (1, 15, 20)
    assert "300 values are taken as 15x20; --shape says otherwise" in found.notes
    assert import_net(path, Options(shape=(10, 30))).network.input_shape == (1, 10, 30)


def test_shapes_computed_beside_the_chain_are_passed_over(tmp_path: Path) -> None:
    """As converters write a flattening of a batch of any size."""
    net = Net(1, SHAPE).conv(4, (3, 3))
    shape = net.file.tensor((4,), "INT32")
    net.file.operators.append(Operator("SHAPE", (net.at,), (shape,)))
    net.op("RESHAPE", net.file.tensor((1, 144), "INT8", *_scale(net)), (shape,)).dense(4)
    assert import_net(net.write(tmp_path / "net.tflite"), Options()).network.architecture.classes == 4


def _scale(net: Net) -> tuple[object, object]:
    return net.file.tensors[net.at].scales, net.file.tensors[net.at].zeros


def test_what_the_command_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = small().softmax().write(tmp_path / "net.tflite")
    assert main(["import", str(path), "-o", str(tmp_path / "net.h5"), "--labels", "a,b,c,d"]) == 0
    said = capsys.readouterr().out
    for words in (
        "TensorFlow Lite, conv 3x3 4, pool 2; dense 36-4",
        "3 ops bit for bit as TensorFlow Lite Micro",
        "input: codes 0..255 stand for -6.05..6.7, a step for 0.05",
        "left to the host: SOFTMAX",
        "next: `host verify",
    ):
        assert words in said
