"""ONNX nets that onnxruntime quantised: their own whole numbers, and how near its answers are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from imported import images_for
from needed import need_module
from onnx_files import Net, answers, onnx

from host.errors import InputError
from host.importers import Imported, Options, import_net
from host.modelfile import file as model_file
from host.nn.layers import AveragePool2d, Dense, ReLU
from host.quantise import reference
from host.quantise.lower import lower

quantization = need_module("onnxruntime.quantization", "pip install onnxruntime")
KINDS = {"int8": quantization.QuantType.QInt8, "uint8": quantization.QuantType.QUInt8}
SHAPE = (1, 10, 9)
EXTENT = {"int8": 128, "uint8": 0}


def floats() -> Net:
    net = (
        Net(*SHAPE)
        .conv(1, 6, (3, 3), pads=[1, 1, 1, 1])
        .put("Relu")
        .put("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    )
    net.conv(6, 8, (2, 2), group=2).put("Clip", net.tensor(np.float32(0)), net.tensor(np.float32(6)))
    return net.put("GlobalAveragePool").put("Flatten").gemm(8, 4).put("Softmax", axis=1)


class Calibration(quantization.CalibrationDataReader):
    """Noise of 0..1."""

    def __init__(self, shape: tuple[int, ...], name: str = "x") -> None:
        random = np.random.default_rng(1)
        self._batches: Iterator[np.ndarray] = iter(random.random((3, 20, *shape), dtype=np.float32))
        self._name = name

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {self._name: batch}


def quantised(folder: Path, activations: str = "int8", weights: str = "int8", per_channel: bool = True) -> Path:
    """As its users are told to: quantize_static, in QDQ format."""
    net = floats()
    net.shape[0] = 20
    path = folder / "net.onnx"
    logging.disable(logging.WARNING)
    quantization.quantize_static(
        net.save(folder / "floats.onnx"),
        path,
        Calibration(tuple(net.shape[1:])),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=KINDS[activations],
        weight_type=KINDS[weights],
        per_channel=per_channel,
    )
    logging.disable(logging.NOTSET)
    return path


def codes_of(path: Path, name: str, imported: Imported, images: np.ndarray, activations: str) -> np.ndarray:
    """The u8 codes that onnxruntime has in the tensor `name` for these pixels."""
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    scaling = imported.network.scaling
    inputs = ((images.astype(np.float32) - np.float32(scaling.offset)) / np.float32(scaling.divisor)).astype(np.float32)
    found = [answers(model.SerializeToString(), inputs[at : at + 20], [name])[0] for at in range(0, len(inputs), 20)]
    return np.concatenate(found).astype(np.int64) + EXTENT[activations]


def quantised_tensor(path: Path, op: str) -> str:
    """The codes of what the operator of that kind makes, or what is left of its activation."""
    nodes = onnx.load(path).graph.node
    made = next(node.output[0] for node in nodes if node.op_type == op)
    return next(node.output[0] for node in nodes if node.op_type == "QuantizeLinear" and node.input[0] == made)


@pytest.mark.parametrize(
    ("activations", "weights", "per_channel"),
    [("int8", "int8", True), ("uint8", "int8", False), ("uint8", "uint8", True)],
)
def test_each_layer_is_within_one_code_of_onnxruntime(
    tmp_path: Path, activations: str, weights: str, per_channel: bool
) -> None:
    """Of the same codes. Through several layers a difference may grow; classes stay the same here."""
    path = quantised(tmp_path, activations, weights, per_channel)
    imported = import_net(path, Options())
    network = imported.network
    images = images_for(network, 400)
    graph = lower(network)
    first = reference.conv_sums(graph.ops[0], images)
    codes = np.clip(graph.ops[0].rows.requantiser.scaled(first) + graph.ops[0].codes.zero, 0, 255)
    codes = np.maximum(codes, graph.ops[0].codes.low)
    theirs = codes_of(path, quantised_tensor(path, "Conv"), imported, images, activations)
    assert np.abs(codes - theirs).max() <= 1 and (codes != theirs).mean() < 0.005
    scores = reference.infer(graph, images).scores
    last = codes_of(path, quantised_tensor(path, "Gemm"), imported, images, activations)
    assert np.ptp(last) > 100
    assert np.abs(scores - last).max() <= 1 and (scores != last).mean() < 0.01
    assert (scores.argmax(axis=1) != last.argmax(axis=1)).mean() < 0.01


def test_its_numbers_are_the_files_own(tmp_path: Path) -> None:
    path = quantised(tmp_path)
    tensors = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
    imported = import_net(path, Options())
    given, layers = imported.network.given, imported.network.architecture.layers
    assert given is not None and given.pool_center == 0 and imported.source == "ONNX, quantised (QDQ)"
    whole = [rows for rows in given.layers if rows is not None]
    assert len(whole) == 4 and "4 layers with the file's own scales" in imported.notes[0]
    for rows, name in zip((whole[0], whole[1], whole[3]), ("t0", "t2", "t6"), strict=True):
        np.testing.assert_array_equal(rows.weights, tensors[f"{name}_quantized"])
    np.testing.assert_array_equal(whole[0].bias, tensors["t1_quantized"])
    assert whole[0].scale == tensors["Relu_1_0_scale"] and whole[0].low == whole[0].zero
    assert whole[2].weights is not None and (whole[2].weights == 64).all()
    assert isinstance(layers[given.layers.index(whole[2])], AveragePool2d)
    factor = whole[1].scale / whole[2].scale / (4 * 3) / 64
    assert whole[2].multipliers[0] * 2.0 ** (int(whole[2].exponents[0]) - 31) == pytest.approx(factor)
    assert imported.network.scaling.divisor == pytest.approx(1 / tensors["x_scale"]) and imported.left == ("Softmax",)
    floats_of = imported.network.parameters.of(0)["weights"]
    np.testing.assert_allclose(floats_of, whole[0].weights * tensors["t0_scale"].reshape(-1, 1, 1, 1), rtol=1e-6)
    assert imported.network.output_max[-1] == pytest.approx(max(255 - whole[3].zero, whole[3].zero) * whole[3].scale)


MEANS = [("GlobalAveragePool", 0.6237), ("GlobalAveragePool", 1.2173), ("AveragePool", 1.2173), ("AveragePool", 5.3719)]
"""Operators, and steps of the input in one of the output, so that no exact mean lies between two codes."""


@pytest.mark.parametrize(("op", "ratio"), MEANS)
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_means_of_another_scale_are_those_of_onnxruntime(tmp_path: Path, op: str, ratio: float, kind: type) -> None:
    """All but 2 in 1,000 or so, 1 in 100 at these scales, by 1: also where a mean's factor is little below a half."""
    net = Net(3, 2, 4, batch=20)

    def pair(scale: float, zero: int) -> None:
        names = net.tensor(np.float32(scale)), net.tensor(np.array(zero, kind))
        net.put("QuantizeLinear", *names).put("DequantizeLinear", *names)

    pair(ratio / 255, 3)
    net.put(op, **({} if op.startswith("Global") else {"kernel_shape": [2, 2], "strides": [2, 2]}))
    pair(1 / 255, 11)
    weights, features = net.head, 3 if op.startswith("Global") else 6
    net.head = net.tensor(net.rng.integers(-100, 100, (features, 3)).astype(np.int8))
    net.put("DequantizeLinear", net.tensor(np.float32(0.02)), net.tensor(np.array(0, np.int8)))
    matrix, net.head = net.head, weights
    net.put("Flatten").put("MatMul", matrix)
    pair(0.05, 20)
    path = net.save(tmp_path / "net.onnx")
    imported = import_net(path, Options())
    graph, images = lower(imported.network), images_for(imported.network, 2000)
    ours = reference.op_inputs(graph, images)[1].astype(np.int64)
    name = [node.output[0] for node in onnx.load(path).graph.node if node.op_type == "QuantizeLinear"][1]
    activations = "int8" if kind == np.int8 else "uint8"
    theirs = codes_of(path, name, imported, images, activations).reshape(ours.shape)
    assert len(np.unique(theirs)) > 40
    assert np.abs(ours - theirs).max() <= 1 and (ours != theirs).mean() < 0.02
    model_file.save(imported.network, tmp_path / "net.h5")
    assert lower(model_file.load(tmp_path / "net.h5")).hash == graph.hash


def test_a_relu_that_was_left_out_is_put_back(tmp_path: Path) -> None:
    """Where no code is below zero, onnxruntime drops the operator; other formats need it."""
    imported = import_net(quantised(tmp_path, "uint8"), Options())
    kinds = [type(layer) for layer in imported.network.architecture.layers]
    assert kinds.count(ReLU) == 2 and kinds[-1] is Dense


def hand_made(**changes: object) -> Net:
    """Input, MatMul and Add and ReLU and MatMul, all quantised by hand; `changes` spoils something."""
    net = Net(6, batch=1)
    net.opset = 17

    def pair(scale: float, zero: int, kind: object = np.uint8) -> None:
        names = net.tensor(np.float32(scale)), net.tensor(np.array(zero, kind))
        net.put("QuantizeLinear", *names).put("DequantizeLinear", *names)

    def weights(name: str, *shape: int) -> str:
        travels = net.head
        net.head = net.tensor(net.rng.integers(-100, 100, shape).astype(changes.get(f"{name} kind", np.int8)))
        scale = net.tensor(np.float32(changes.get(f"{name} scale", 0.02)))
        zero = net.tensor(np.array(changes.get(f"{name} zero", 0), changes.get(f"{name} kind", np.int8)))
        net.put("DequantizeLinear", scale, zero)
        made, net.head = net.head, travels
        return made

    pair(1 / 255, int(changes.get("input zero", 0)), changes.get("input kind", np.uint8))
    net.put("MatMul", weights("first", 6, 5)).put("Add", net.normal(5)).put("Relu")
    if not changes.get("open"):
        pair(float(changes.get("scale", 0.03)), 0)
    if "again" in changes:
        pair(0.05, 3)
    if "relu" in changes:
        net.put("Clip", net.tensor(np.float32(0)), net.tensor(np.float32(2)))
        pair(0.03, 0)
    if "arithmetic" in changes:
        net.put("Mul", net.normal(5))
    net.put("MatMul", weights("last", 5, 3))
    if not changes.get("end open"):
        pair(0.04, 120)
    if "sigmoid" in changes:
        net.put("Sigmoid")
    return net


def test_a_bias_that_is_added_behind_and_a_relu_over_codes(tmp_path: Path) -> None:
    path = hand_made(relu=True).save(tmp_path / "net.onnx")
    imported = import_net(path, Options())
    given = imported.network.given
    assert given is not None
    first = next(rows for rows in given.layers if rows is not None)
    assert first.bias.any() and (first.low, first.high) == (0, 67)
    images = images_for(imported.network, 60)
    inputs = images.reshape(-1, 6).astype(np.float32) / np.float32(255)
    theirs = np.concatenate([answers(path, each[None])[0] for each in inputs])
    ours = (reference.infer(lower(imported.network), images).scores - 120) * 0.04
    assert np.abs(theirs - ours).max() < 0.04 * 2.5 and (np.abs(theirs - ours) > 0.01).mean() < 0.2


REFUSED = {
    "open": ("node 7 MatMul 'my_MatMul_7': found it behind node 3 MatMul", "need QuantizeLinear between"),
    "end open": ("node 9 MatMul 'my_MatMul_9': found none behind it", "need QuantizeLinear behind every layer"),
    "again": ("node 8 QuantizeLinear", "made codes of (0.05"),
    "arithmetic": ("node 8 Mul 'my_Mul_8': found arithmetic between quantised layers", "need a bias"),
    "sigmoid": ("found a sigmoid over quantised scores", "train the net with two outputs and softmax"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_quantised_alike_is_named(tmp_path: Path, case: str) -> None:
    with pytest.raises(InputError) as caught:
        import_net(hand_made(**{case: True}).save(tmp_path / "net.onnx"), Options())
    assert all(words in str(caught.value) for words in REFUSED[case]), caught.value


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"first scale": 0.0}, "found a scale that is no finite number above 0"),
        ({"first scale": float("nan")}, "found a scale that is no finite number above 0"),
        ({"scale": 1e-30}, "need less than 2^30 in one"),
        ({"first kind": np.uint8, "first zero": 3}, "need -128..127"),
        ({"input kind": np.uint16}, "found activations of uint16"),
    ],
)
def test_numbers_beyond_eight_bits_are_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    net = hand_made(**changes)
    with pytest.raises(InputError) as caught:
        import_net(net.save(tmp_path / "net.onnx"), Options())
    assert words in str(caught.value), caught.value


def test_a_range_of_inputs_is_refused_where_the_file_has_its_own(tmp_path: Path) -> None:
    path = hand_made().save(tmp_path / "net.onnx")
    with pytest.raises(InputError, match="found --input-range for a net that brings its own scale of inputs"):
        import_net(path, Options(None, (0.0, 2.0)))
    assert import_net(path, Options(shape=(2, 3))).network.input_shape == (1, 2, 3)


def test_operators_of_whole_numbers_are_refused_with_the_way_out(tmp_path: Path) -> None:
    net = Net(*SHAPE)
    net.put("QLinearConv")
    with pytest.raises(InputError, match=r"node 0 QLinearConv .*quantise with QuantFormat\.QDQ"):
        import_net(net.save(tmp_path / "net.onnx"), Options())
