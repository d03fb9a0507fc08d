"""Nets of TensorFlow Lite made to harm: one line, within little memory and work, and nothing written."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hostile_refusals import Runner, refused
from tflite_nets import NONE, RELU, File, Net, tflite

MANY = 1 << 20


def small() -> Net:
    return Net(1, (1, 6, 6, 2)).conv(4, (3, 3)).pool("MAX", (2, 2)).dense(4)


def tensor(index: int, **fields: object) -> bytes:
    net = small()
    for name, value in fields.items():
        setattr(net.file.tensors[index], name, value)
    return net.bytes()


def said_of_the_file(**fields: object) -> bytes:
    net = small()
    for name, value in fields.items():
        setattr(net.file, name, value)
    return net.bytes()


def wired(op: int, **fields: object) -> bytes:
    net = small()
    for name, value in fields.items():
        setattr(net.file.operators[op], name, value)
    return net.bytes()


def patched(at: int, value: int, layout: str = "<I") -> bytes:
    data = bytearray(small().bytes())
    struct.pack_into(layout, data, at, value)
    return bytes(data)


def vector_of(length: int) -> bytes:
    """The first graph claims to have so many tensors."""
    data = bytearray(small().bytes())
    table = tflite.Model.GetRootAs(data, 0).Subgraphs(0)._tab
    struct.pack_into("<I", data, table.Vector(table.Offset(4)) - 4, length)
    return bytes(data)


def shared_scales() -> bytes:
    """A thousand tensors whose scales are the same mebibytes."""
    file, scales = File(outputs=(0,)), np.ones(MANY, np.float32)
    zeros = np.zeros(MANY, np.int64)
    for _ in range(1000):
        file.tensor((1, 4), "INT8", scales, zeros)
    return file.bytes()


def shared_weights() -> bytes:
    """A mebibyte of weights that twenty layers claim."""
    net = Net(1, (1, 1024)).dense(1024, activation=RELU)
    layer = net.file.operators[0]
    for _ in range(20):
        net.op(layer.name, net._activation((1, 1024), 0.1, 0), layer.inputs[1:], layer.options)
    return net.bytes()


def a_number() -> bytes:
    """A depthwise convolution over a tensor without axes."""
    net = Net(1, (1, 4, 4, 2)).depthwise((3, 3)).dense(4)
    net.file.tensors[0].shape = ()
    return net.bytes()


def in_circles() -> bytes:
    net = small()
    net.file.operators[2].outputs = net.file.operators[0].inputs[:1]
    net.file.operators += net.file.operators
    return net.bytes()


def many_operators() -> bytes:
    net = Net(1, (1, 4))
    for _ in range(300):
        net.reshape((1, 4))
    return net.bytes()


def many_tensors() -> bytes:
    net = small()
    for _ in range(4100):
        net.file.tensor((1,), "INT8")
    return net.bytes()


def a_wide_map() -> bytes:
    """Few weights, and a thousand times as many sums as any board holds."""
    net = Net(1, (1, 2000, 2000, 1)).conv(64, (1, 1), activation=NONE)
    return net.mean().dense(2).bytes()


def floats_of(size: float) -> bytes:
    net = Net(1, (1, 6, 6, 2), floats=True).conv(4, (3, 3)).dense(4)
    net.file.tensors[2].data = np.full(4, size)
    return net.bytes()


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "found damage (no bytes)"),
    "one byte": (lambda: b"\x00", "no TFL3"),
    "a signature alone": (lambda: b"\0\0\0\0TFL3", "need"),
    "a root at itself": (lambda: patched(0, 0), "need"),
    "a root far away": (lambda: patched(0, 0xFFFFFFFF), "damage"),
    "a root at the last byte": (lambda: patched(0, len(small().bytes()) - 1), "damage"),
    "billions of tensors": (lambda: vector_of(0xFFFFFFFF), "4,294,967,295 tensors"),
    "more tensors than there are": (lambda: vector_of(4000), "need"),
    "thousands of tensors": (many_tensors, "at most 4,096"),
    "thousands of operators": (many_operators, "at most 256"),
    "two graphs": (lambda: said_of_the_file(graphs=2), "subgraphs"),
    "no graph": (lambda: said_of_the_file(graphs=0), "subgraphs"),
    "another version": (lambda: said_of_the_file(version=2), "version"),
    "two inputs": (lambda: said_of_the_file(inputs=(0, 1)), "2 inputs"),
    "no output": (lambda: said_of_the_file(outputs=()), "0 outputs"),
    "an input outside": (lambda: said_of_the_file(inputs=(99,)), "tensor 99"),
    "an output before the first": (lambda: said_of_the_file(outputs=(-2,)), "tensor -2"),
    "a missing output": (lambda: said_of_the_file(outputs=(-1,)), "outputs"),
    "an operator's input outside": (lambda: wired(0, inputs=(0, 99, 2)), "op 0 CONV_2D: found tensor 99"),
    "an operator's input far before": (lambda: wired(0, inputs=(0, -(2**31), 2)), "op 0 CONV_2D"),
    "an operator without weights": (lambda: wired(0, inputs=(0,)), "op 0 CONV_2D"),
    "an operator whose weights are left out": (lambda: wired(0, inputs=(0, -1, 2)), "op 0 CONV_2D"),
    "an operator without inputs": (lambda: wired(0, inputs=()), "op 0 CONV_2D"),
    "an operator of two outputs": (lambda: wired(0, outputs=(3, 4)), "op 0 CONV_2D"),
    "an operator with a thousand inputs": (lambda: wired(0, inputs=(0,) * 1000), "at most 64"),
    "operators in circles": (in_circles, "need"),
    "a shape beyond 64 bits": (lambda: tensor(0, shape=(1, *(2**31 - 1,) * 3)), "tensor 0"),
    "a shape that overflows to 0": (lambda: tensor(0, shape=(1, 65536, 65536, 65536)), "tensor 0"),
    "a side below 0": (lambda: tensor(0, shape=(1, 6, -6, 2)), "tensor 0"),
    "a side of 0": (lambda: tensor(1, shape=(4, 0, 3, 2), data=()), "tensor 1"),
    "hundreds of axes": (lambda: tensor(0, shape=(1,) * 500), "500 axes"),
    "weights beyond their bytes": (lambda: tensor(1, shape=(4, 3, 3, 2000)), "tensor 1"),
    "a buffer outside": (lambda: tensor(1, buffer=77), "buffer 77"),
    "weights of other weights' bytes": (lambda: tensor(1, buffer=2), "tensor 1"),
    "a scale of NaN": (lambda: tensor(0, scales=(float("nan"),)), "tensor 0"),
    "an endless scale": (lambda: tensor(3, scales=(float("inf"),)), "tensor 3"),
    "a scale of 0": (lambda: tensor(1, scales=(0.0,), zeros=(0,)), "tensor 1"),
    "a scale below 0": (lambda: tensor(3, scales=(-1.0,)), "tensor 3"),
    "the smallest of scales": (lambda: tensor(3, scales=(1e-45,)), "less than 2^30"),
    "the largest of scales": (lambda: tensor(0, scales=(3e38,)), "less than 2^30"),
    "an endless zero point": (lambda: tensor(0, zeros=(2**63 - 1,)), "zero point"),
    "more scales than zero points": (lambda: tensor(0, scales=(1, 1)), "tensor 0"),
    "mebibytes of scales, a thousand times": (shared_scales, "too many scales"),
    "mebibytes of weights, twenty times": (shared_weights, "8,388,608"),
    "biases that no sum holds": (lambda: tensor(2, data=(2**31 - 1,) * 4), "int8: layer 0"),
    "biases of NaN": (lambda: floats_of(float("nan")), "NaN"),
    "biases as large as floats can be": (lambda: floats_of(3e38), "net's numbers"),
    "a single number for a map": (a_number, "op 0 DEPTHWISE_CONV_2D"),
    "a variable": (lambda: tensor(1, variable=True), "a variable"),
    "sparse weights": (lambda: tensor(1, sparse=True), "sparse"),
    "a map beyond any board": (a_wide_map, "tensor"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_hostile_file_is_one_line(run_limited: Runner, tmp_path: Path, case: str) -> None:
    make, word = FILES[case]
    path = tmp_path / "net.tflite"
    path.write_bytes(make())
    assert word in refused(run_limited, tmp_path, "import", path, "-o", "net.h5")


@pytest.mark.parametrize("eighth", range(8))
def test_half_a_file(run_limited: Runner, tmp_path: Path, eighth: int) -> None:
    data, path = small().bytes(), tmp_path / "net.tflite"
    path.write_bytes(data[: len(data) * eighth // 8])
    refused(run_limited, tmp_path, "import", path, "-o", "net.h5")


def test_a_file_beyond_the_limit_is_not_read(run_limited: Runner, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    with path.open("wb") as file:
        file.write(small().bytes())
        file.truncate(65 << 20)
    assert "67,108,864" in refused(run_limited, tmp_path, "import", path, "-o", "net.h5")


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: None], ids=["a folder", "nothing"])
def test_what_is_no_file(run_limited: Runner, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "net.tflite")
    refused(run_limited, tmp_path, "import", tmp_path / "net.tflite", "-o", "net.h5")
