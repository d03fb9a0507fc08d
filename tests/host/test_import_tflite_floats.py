"""Nets of TensorFlow Lite with float numbers: what TensorFlow Lite Micro answers, within 1e-4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tflite_nets import NONE, RELU, RELU6, SAME, Net, answers

from host.cli import main
from host.importers import Imported, Options, import_net
from host.modelfile import file as model_file
from host.nn.network import float_scores
from host.nn.scaling import Scaling


def steep(net: Net) -> Net:
    """With weights so large that 6 is a limit."""
    for tensor in net.file.tensors:
        tensor.data = None if tensor.data is None else tensor.data * 8
    return net


def constant(net: Net, op: str, value: float, activation: int) -> Net:
    """One number, added to what travels or multiplied by it."""
    number = net.file.tensor((1,), "FLOAT32", data=[value])
    return net.op(op, net.file.tensor(net.shape, "FLOAT32"), (number,), {"activation": activation})


NETS = {
    "convolutions and pools": lambda: (
        Net(1, (1, 9, 8, 3), floats=True)
        .conv(5, (3, 2), padding=SAME, stride=(2, 1))
        .depthwise((3, 3), multiplier=2)
        .pool("MAX", (2, 2))
        .dense(8, activation=RELU6)
        .dense(4)
    ),
    "a mean, a convolution at the end": lambda: (
        Net(2, (1, 7, 6, 2), floats=True)
        .pad([(0, 0), (1, 0), (0, 2), (0, 0)])
        .conv(6, (3, 3))
        .mean(keep_dims=True)
        .conv(4, (1, 1), activation=NONE)
    ),
    "average pools, an activation by itself": lambda: (
        Net(3, (1, 8, 8, 1), floats=True).conv(6, (3, 3), activation=NONE).keep("RELU").pool("AVERAGE", (3, 2)).dense(4)
    ),
    "activations behind activations": lambda: (
        steep(Net(11, (1, 6, 6, 2), floats=True).conv(4, (3, 3)))
        .keep("RELU6")
        .conv(5, (2, 2), activation=RELU6)
        .keep("RELU")
        .conv(4, (2, 2), activation=NONE)
        .keep("RELU")
        .keep("RELU6")
        .dense(4)
    ),
    "dense layers": lambda: Net(4, (1, 30), floats=True).dense(9, activation=RELU).dense(4),
}


def taken(net: Net, folder: Path, options: Options | None = None) -> Imported:
    return import_net(net.write(folder / "net.tflite"), options or Options())


def pixels(imported: Imported, count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *imported.network.input_shape)).astype(np.uint8)


def as_inputs(net: Net, images: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """What the file is given for u8 images (N, channels, height, width)."""
    values = low + images.transpose(0, 2, 3, 1) * ((high - low) / 255)
    return values.reshape(-1, *net.file.tensors[net.file.inputs[0]].shape[1:]).astype(np.float32)


def assert_same_answers(net: Net, imported: Imported, low: float = 0.0, high: float = 1.0) -> None:
    images = pixels(imported)
    expected = answers(net.bytes(), as_inputs(net, images, low, high))
    assert np.ptp(expected, axis=0).min() > 0.01
    np.testing.assert_allclose(float_scores(imported.network, images), expected, atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_floats_answer_as_tensorflow_lite_micro(tmp_path: Path, name: str) -> None:
    net = NETS[name]()
    imported = taken(net, tmp_path)
    assert_same_answers(net, imported)
    assert imported.network.given is None
    assert "of floats" in imported.notes[0]


@pytest.mark.parametrize(("op", "value", "activation"), [("ADD", -0.5, RELU), ("MUL", 30.0, RELU6)])
def test_an_activation_on_the_input_is_not_dropped(tmp_path: Path, op: str, value: float, activation: int) -> None:
    net = constant(Net(12, (1, 6, 6, 2), floats=True), op, value, activation).conv(4, (3, 3)).dense(4)
    assert_same_answers(net, taken(net, tmp_path))


def test_the_range_of_inputs_is_the_users(tmp_path: Path) -> None:
    net = NETS["dense layers"]()
    assert_same_answers(net, taken(net, tmp_path, Options(input_range=(-1.0, 2.0))), -1.0, 2.0)


def batch_normalised(net: Net, channels: int, activation: int) -> Net:
    shape = (channels,)
    gain = net.file.tensor(shape, "FLOAT32", data=net.rng.uniform(0.5, 2, channels))
    offset = net.file.tensor(shape, "FLOAT32", data=net.rng.normal(0, 1, channels))
    net.op("MUL", net.file.tensor(net.shape, "FLOAT32"), (gain,), {"activation": NONE})
    return net.op("ADD", net.file.tensor(net.shape, "FLOAT32"), (offset,), {"activation": activation})


def test_batch_normalisation_goes_into_the_layer_before(tmp_path: Path) -> None:
    net = Net(5, (1, 7, 6, 2), floats=True).conv(6, (3, 3), activation=NONE)
    batch_normalised(net, 6, RELU).dense(5, activation=NONE)
    imported = taken(batch_normalised(net, 5, NONE), tmp_path)
    assert_same_answers(net, imported)
    assert len(imported.network.architecture.layers) == 4


def test_a_normalisation_of_the_input_goes_into_its_scaling(tmp_path: Path) -> None:
    net = Net(6, (1, 5, 5, 1), floats=True)
    gain, offset = (net.file.tensor((), "FLOAT32", data=value) for value in (1 / 127.5, -1.0))
    net.op("MUL", net.file.tensor(net.shape, "FLOAT32"), (gain,), {"activation": NONE})
    net.op("ADD", net.file.tensor(net.shape, "FLOAT32"), (offset,), {"activation": NONE})
    net.conv(4, (3, 3)).dense(4)
    imported = taken(net, tmp_path, Options(input_range=(0.0, 255.0)))
    assert_same_answers(net, imported, 0.0, 255.0)
    assert (imported.network.scaling.offset, imported.network.scaling.divisor) == pytest.approx((127.5, 127.5))


def test_weights_of_half_precision(tmp_path: Path) -> None:
    """As converters write them: constants of float16, each brought to float32 by an operator."""
    net = Net(7, (1, 6, 6, 2), floats=True).conv(4, (3, 3)).dense(4)
    plain = Net(7, (1, 6, 6, 2), floats=True).conv(4, (3, 3)).dense(4)
    net.file.operators.clear()
    widened = {}
    for index, tensor in enumerate(list(net.file.tensors)):
        if tensor.data is not None:
            half = net.file.tensor(tensor.shape, "FLOAT16", data=np.asarray(tensor.data, np.float16))
            plain.file.tensors[index].data = np.asarray(tensor.data, np.float16).astype(np.float32)
            tensor.data = None
            widened[index] = half
    at, output = net.at, net.file.outputs
    for index, half in widened.items():
        net.at = half
        net.op("DEQUANTIZE", index)
    net.file.operators += plain.file.operators
    net.at, net.file.outputs = at, output
    imported = taken(net, tmp_path)
    images = pixels(imported)
    expected = answers(plain.bytes(), as_inputs(plain, images))
    np.testing.assert_allclose(float_scores(imported.network, images), expected, atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_the_command_takes_them_and_says_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path, output = NETS[name]().write(tmp_path / "net.tflite"), tmp_path / "net.h5"
    assert main(["import", str(path), "-o", str(output), "--input-range", "-1,1"]) == 0
    said = capsys.readouterr().out
    assert "codes 0..255 stand for -1..1" in said and f"next: `host calibrate {output}" in said
    assert model_file.load(output).scaling == Scaling(127.5, 127.5)
