"""Nets of TensorFlow Lite with int8 numbers: every code that TensorFlow Lite Micro puts out, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needed import lacking
from tflite_nets import NONE, RELU, RELU6, SAME, VALID, Net, answers, ending_at

from host.importers import Imported, Options, import_net
from host.importers.multipliers import quantised_multipliers
from host.modelfile import file as model_file
from host.quantise.lower import lower
from host.quantise.numerics import double_rounded
from host.quantise.reference import infer

SHARED = {"magic_wand": 16, "micro_speech": 8, "keyword_spotting": 33}
"""Of each net the tensor that goes into its softmax."""
INPUTS = 240
RANDOM_INPUTS = 1000

NETS = {
    "a convolution, valid": lambda: Net(1, (1, 7, 6, 3)).conv(5, (3, 2)).dense(4),
    "a convolution, same": lambda: Net(2, (1, 7, 6, 3)).conv(5, (4, 3), padding=SAME).dense(4),
    "strides over odd sides, same": lambda: Net(3, (1, 7, 9, 2)).conv(4, (3, 4), stride=(2, 3), padding=SAME).dense(4),
    "strides over odd sides, valid": lambda: Net(4, (1, 7, 9, 2)).conv(4, (3, 4), stride=(2, 3)).dense(4),
    "a stride beyond the kernel": lambda: Net(5, (1, 8, 9, 2)).conv(4, (1, 2), stride=(3, 4), padding=SAME).dense(4),
    "one scale for a convolution": lambda: Net(6, (1, 6, 6, 2)).conv(4, (3, 3), by_channel=False).dense(4),
    "a linear convolution": lambda: Net(7, (1, 6, 6, 2)).conv(4, (3, 3), activation=NONE).dense(4),
    "limited at 6": lambda: Net(8, (1, 6, 6, 2)).conv(4, (3, 3), activation=RELU6, zero=-40, scale=6 / 100.6).dense(4),
    "limited at 6, rounded down": lambda: (
        Net(8, (1, 6, 6, 2)).conv(4, (3, 3), activation=RELU6, zero=-40, scale=6 / 100.4).dense(4)
    ),
    "groups": lambda: Net(9, (1, 6, 6, 4)).conv(6, (3, 3), groups=2).dense(4),
    "depthwise": lambda: Net(10, (1, 6, 6, 3)).depthwise((3, 3)).conv(4, (1, 1)).dense(4),
    "depthwise with a multiplier": lambda: (
        Net(11, (1, 6, 7, 3)).depthwise((3, 2), multiplier=2, padding=VALID).dense(4)
    ),
    "depthwise of one channel": lambda: Net(12, (1, 6, 6, 1)).depthwise((3, 3), multiplier=4).dense(4),
    "depthwise, strides, one scale": lambda: (
        Net(13, (1, 9, 8, 3)).depthwise((3, 3), stride=(2, 2), by_channel=False, activation=NONE).dense(4)
    ),
    "padding, then a convolution": lambda: (
        Net(14, (1, 6, 5, 2)).pad([(0, 0), (1, 2), (2, 0), (0, 0)]).conv(4, (3, 3)).dense(4)
    ),
    "padding, then same": lambda: (
        Net(15, (1, 6, 5, 2))
        .pad([(0, 0), (1, 1), (1, 0), (0, 0)])
        .conv(4, (3, 3), stride=(2, 1), padding=SAME)
        .dense(4)
    ),
    "padding in mid-net": lambda: (
        Net(16, (1, 6, 6, 2))
        .conv(3, (3, 3))
        .pad([(0, 0), (0, 1), (0, 1), (0, 0)])
        .depthwise((2, 2), padding=VALID)
        .dense(4)
    ),
    "max pools": lambda: Net(17, (1, 9, 8, 2)).conv(4, (2, 2)).pool("MAX", (2, 2)).dense(4),
    "max pools that overlap": lambda: Net(18, (1, 9, 8, 2)).conv(4, (2, 2)).pool("MAX", (3, 2), stride=(2, 1)).dense(4),
    "max pools, same without padding": lambda: (
        Net(19, (1, 8, 8, 2)).conv(4, (1, 1)).pool("MAX", (2, 4), padding=SAME).dense(4)
    ),
    "a max pool on the input": lambda: Net(20, (1, 8, 8, 2)).pool("MAX", (2, 2)).dense(4),
    "average pools of an even window": lambda: (
        Net(21, (1, 8, 8, 2)).conv(4, (1, 1), activation=NONE).pool("AVERAGE", (2, 2)).dense(4)
    ),
    "average pools of an odd window": lambda: (
        Net(22, (1, 7, 9, 2)).conv(4, (2, 1), activation=NONE).pool("AVERAGE", (2, 3)).dense(4)
    ),
    "an average pool on the input": lambda: Net(23, (1, 8, 8, 2)).pool("AVERAGE", (4, 2)).dense(4),
    "an average over the map, other strides": lambda: (
        Net(24, (1, 6, 6, 2)).conv(4, (3, 3)).pool("AVERAGE", (4, 4), stride=(1, 1)).dense(4)
    ),
    "a mean": lambda: Net(25, (1, 6, 7, 2)).conv(6, (2, 2), activation=NONE).mean().dense(4),
    "a mean, axes turned and negative": lambda: (
        Net(26, (1, 6, 7, 2)).conv(6, (2, 2)).mean((-2, 1), keep_dims=True).dense(4)
    ),
    "a mean of a small scale": lambda: Net(27, (1, 4, 4, 2)).conv(6, (1, 1), activation=NONE).mean(gain=0.2).dense(4),
    "a mean whose sums tie": lambda: Net(41, (1, 2, 3, 6), scale=0.3125).mean(gain=0.2).dense(4),
    "a mean of one row": lambda: Net(28, (1, 1, 5, 2)).conv(6, (1, 2), activation=NONE).mean((2,)).dense(4),
    "dense layers": lambda: Net(29, (1, 30)).dense(12, activation=RELU).dense(8, activation=RELU6).dense(4),
    "dense layers, linear": lambda: Net(30, (1, 30)).dense(12).dense(4),
    "dense layers by channel": lambda: (
        Net(31, (1, 30)).dense(12, activation=RELU, by_channel=True).dense(4, by_channel=True)
    ),
    "a dense layer over a map": lambda: Net(32, (1, 3, 4, 5)).reshape((1, 60)).dense(4),
    "a vector that is an image": lambda: (
        Net(33, (1, 42)).reshape((1, 7, 6, 1)).conv(4, (3, 3)).reshape((1, 80)).dense(4)
    ),
    "a convolution over the whole map": lambda: Net(34, (1, 5, 6, 2)).conv(3, (2, 2)).conv(4, (4, 5), activation=NONE),
    "a convolution of one place": lambda: (
        Net(35, (1, 5, 6, 2)).conv(3, (2, 2)).mean(keep_dims=True).conv(4, (1, 1), activation=NONE).reshape((1, 4))
    ),
    "one row that becomes a column": lambda: (
        Net(36, (1, 20, 3))
        .expand(1)
        .conv(4, (1, 5))
        .squeeze(1)
        .expand(2)
        .pool("MAX", (2, 1))
        .conv(5, (3, 1), padding=SAME, stride=(2, 1))
        .depthwise((2, 1))
        .squeeze(2)
        .mean((1,))
        .dense(4)
    ),
    "an activation by itself": lambda: (
        Net(37, (1, 6, 6, 2)).conv(4, (3, 3), activation=NONE, zero=-30).keep("RELU").dense(4)
    ),
    "an activation behind a max pool": lambda: (
        Net(38, (1, 6, 6, 2), scale=0.02)
        .conv(4, (3, 3), activation=NONE, zero=-30)
        .pool("MAX", (2, 2))
        .keep("RELU6")
        .dense(4)
    ),
    "an activation in a max pool": lambda: (
        Net(39, (1, 6, 6, 2)).conv(4, (3, 3), activation=NONE, zero=-30).pool("MAX", (2, 2), activation=RELU).dense(4)
    ),
    "an activation of the scores": lambda: Net(42, (1, 6, 6, 2)).conv(4, (3, 3)).dense(4, activation=RELU, zero=-90),
    "activations behind activations": lambda: (
        Net(43, (1, 6, 6, 2), scale=0.02).conv(4, (3, 3), activation=NONE, zero=-30).keep("RELU").keep("RELU6").dense(4)
    ),
    "an activation twice": lambda: (
        Net(40, (1, 6, 6, 2)).conv(4, (3, 3)).pool("AVERAGE", (2, 2), activation=RELU).dense(4)
    ),
}


def taken(net: Net, folder: Path) -> Imported:
    return import_net(net.write(folder / "net.tflite"), Options())


def images(codes: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Int8 codes (N, …) in TensorFlow's order as u8 images (N, channels, height, width)."""
    channels, height, width = shape
    wide = (codes.astype(np.int64) + 128).astype(np.uint8)
    return wide.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)


def codes_of(imported: Imported, inputs: np.ndarray) -> np.ndarray:
    """Int8 scores for int8 inputs."""
    return infer(lower(imported.network), images(inputs, imported.network.input_shape)).scores - 128


def random_codes(net: Net, count: int = INPUTS) -> np.ndarray:
    """Half of them near one another, so that sums tie."""
    rng, shape = np.random.default_rng(0), (count // 2, *net.file.tensors[0].shape[1:])
    return np.concatenate([rng.integers(-128, 128, shape), rng.integers(-9, 3, shape)]).astype(np.int8)


@pytest.mark.parametrize("name", NETS)
def test_codes_are_those_of_tensorflow_lite_micro(tmp_path: Path, name: str) -> None:
    net = NETS[name]()
    inputs = random_codes(net)
    expected = answers(net.bytes(), inputs)
    assert len(np.unique(expected)) > 20
    imported = taken(net, tmp_path)
    np.testing.assert_array_equal(codes_of(imported, inputs), expected)
    assert "bit for bit as TensorFlow Lite Micro" in imported.notes[0]


@pytest.mark.parametrize("name", NETS)
def test_floats_are_what_the_codes_stand_for(tmp_path: Path, name: str) -> None:
    """A weight is worth so much that the multipliers bring sums of them to the steps of the output."""
    network = taken(NETS[name](), tmp_path).network
    assert network.given is not None
    source = 1 / network.scaling.divisor
    for index, rows in enumerate(network.given.layers):
        if rows is None:
            continue
        if rows.weights is not None:
            floats, wide = network.parameters.of(index), rows.weights.reshape(len(rows.bias), -1).astype(float)
            worth = rows.multipliers * 2.0 ** (rows.exponents.astype(float) - 31) * rows.scale
            np.testing.assert_allclose(floats["weights"].reshape(wide.shape), wide * worth[:, None] / source, rtol=1e-6)
            np.testing.assert_allclose(floats["bias"], rows.bias * worth, rtol=1e-6)
        source = rows.scale


def boundary(factors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Sums of which two ways to reckon a factor make different codes; one for each, nothing if there is none."""
    found = []
    for one, other in zip(*(np.stack(quantised_multipliers(each), 1) for each in (factors, others)), strict=True):
        middle = np.rint((np.arange(-100, 100) + 0.5) * 2.0**31 / (float(one[0]) * 2.0 ** float(one[1]))).astype(
            np.int64
        )
        sums = (middle[:, None] + np.arange(-40, 41)).reshape(-1)
        differ = double_rounded(sums, one[0], one[1]) != double_rounded(sums, other[0], other[1])
        found.append(sums[differ][0] if differ.any() else 0)
    return np.array(found)


@pytest.mark.parametrize(("by_channel", "is_conv"), [(False, False), (True, False), (False, True), (True, True)])
def test_scales_are_multiplied_in_float64(tmp_path: Path, by_channel: bool, is_conv: bool) -> None:
    """By biases that make another code where the product of input's and weights' scale is a float32 number."""
    units = 24
    net = Net(5, (1, 1, 1, 4), scale=3e-4)
    if is_conv:
        net.conv(units, (1, 1), by_channel=by_channel, activation=NONE)
    else:
        net.dense(units, by_channel=by_channel)
    filters, bias, target = (net.file.tensors[index] for index in (1, 2, 3))
    source = net.file.tensors[0].scales[0]
    target.scales, target.zeros = (np.float32(1.7),), (0,)
    filters.scales = np.random.default_rng(1).uniform(3e-3, 9e-3, len(filters.scales)).astype(np.float32)
    exact = float(source) * filters.scales.astype(np.float64) / float(target.scales[0])
    rounded = (source * filters.scales).astype(np.float64) / float(target.scales[0])
    bias.data = boundary(np.broadcast_to(exact, units), np.broadcast_to(rounded, units))
    assert np.count_nonzero(bias.data) > units // 3
    inputs = np.full((1, 1, 1, 4), net.file.tensors[0].zeros[0], np.int8)
    np.testing.assert_array_equal(codes_of(taken(net, tmp_path), inputs), answers(net.bytes(), inputs))


def test_what_is_the_hosts(tmp_path: Path) -> None:
    net = Net(50, (1, 5, 6, 2)).conv(3, (2, 2)).dense(4)
    imported = taken(net.softmax(), tmp_path)
    assert imported.left == ("SOFTMAX",)
    assert lower(imported.network).score_step == pytest.approx(float(net.file.tensors[-2].scales[0]))


def test_quantise_and_dequantise_at_the_ends(tmp_path: Path) -> None:
    plain = Net(51, (1, 5, 6, 2)).conv(3, (2, 2)).dense(4)
    net = Net(51, (1, 5, 6, 2))
    before = net.file.tensor(net.shape, "FLOAT32")
    net.conv(3, (2, 2)).dense(4)
    net.op("DEQUANTIZE", net.file.tensor((1, 4), "FLOAT32"))
    first = net.file.operators[0]
    net.file.inputs = (before,)
    net.file.operators.insert(0, replace(first, name="QUANTIZE", inputs=(before,), outputs=(0,), options={}))
    inputs = random_codes(plain, 20)
    np.testing.assert_array_equal(codes_of(taken(net, tmp_path), inputs), answers(plain.bytes(), inputs))
    floats = ((inputs.astype(np.float32) - net.file.tensors[0].zeros[0]) * net.file.tensors[0].scales[0]).astype(
        np.float32
    )
    scale, zero = (getattr(net.file.tensors[net.at - 1], name)[0] for name in ("scales", "zeros"))
    np.testing.assert_allclose(answers(net.bytes(), floats), (answers(plain.bytes(), inputs) - zero) * scale, rtol=1e-6)


def test_unsigned_inputs_are_the_same_codes(tmp_path: Path) -> None:
    plain = Net(52, (1, 5, 6, 2)).dense(4)
    net = Net(52, (1, 5, 6, 2))
    before = net.file.tensor(net.shape, "UINT8", net.file.tensors[0].scales, (121,))
    net.dense(4)
    net.file.inputs = (before,)
    net.file.operators.insert(0, replace(net.file.operators[0], name="QUANTIZE", inputs=(before,), outputs=(0,)))
    inputs = random_codes(plain, 20)
    np.testing.assert_array_equal(codes_of(taken(net, tmp_path), inputs), answers(plain.bytes(), inputs))
    unsigned = (inputs.astype(int) + 128).astype(np.uint8)
    np.testing.assert_array_equal(answers(net.bytes(), unsigned), answers(plain.bytes(), inputs))


def test_the_model_file_keeps_every_number(tmp_path: Path) -> None:
    net = NETS["a mean"]()
    imported, inputs = taken(net, tmp_path), random_codes(net, 20)
    model_file.save(imported.network, tmp_path / "model.h5")
    again = replace(imported, network=model_file.load(tmp_path / "model.h5"))
    np.testing.assert_array_equal(codes_of(again, inputs), codes_of(imported, inputs))
    assert lower(again.network).hash == lower(imported.network).hash


@pytest.fixture(params=SHARED)
def shared_net(request: pytest.FixtureRequest, real_data: Path) -> Path:
    path: Path = real_data / "models" / f"{request.param}.tflite"
    return path if path.is_file() else lacking(f"{path}: not found; the nets of other people are kept there")


def quantised(imported: Imported, inputs: np.ndarray) -> np.ndarray:
    """Int8 codes of what the file takes: floats are rounded with halves away from zero."""
    if inputs.dtype == np.int8:
        return inputs
    steps = (inputs / np.float32(1 / imported.network.scaling.divisor)).astype(np.float64)
    rounded = np.sign(steps) * np.floor(np.abs(steps) + 0.5) + imported.network.scaling.offset - 128
    return np.clip(rounded, -128, 127).astype(np.int8)


def test_golden_codes_of_other_peoples_nets(shared_net: Path) -> None:
    imported = import_net(shared_net, Options())
    with np.load(shared_net.with_suffix(".golden.npz")) as golden:
        found = codes_of(imported, quantised(imported, golden["inputs"]))
        np.testing.assert_array_equal(found, golden["codes"].reshape(found.shape))


def test_random_inputs_of_other_peoples_nets(shared_net: Path) -> None:
    imported = import_net(shared_net, Options())
    with np.load(shared_net.with_suffix(".golden.npz")) as golden:
        kind, shape = golden["inputs"].dtype, golden["inputs"].shape[1:]
    rng = np.random.default_rng(7)
    inputs = rng.integers(-128, 128, (RANDOM_INPUTS, *shape)).astype(np.int8)
    given = inputs
    if kind != np.int8:
        scaling = imported.network.scaling
        given = ((inputs + 128.0 - scaling.offset) / scaling.divisor).astype(np.float32)
        np.testing.assert_array_equal(quantised(imported, given), inputs)
    expected = answers(ending_at(shared_net.read_bytes(), SHARED[shared_net.stem]), given)
    np.testing.assert_array_equal(codes_of(imported, inputs), expected)
