"""ONNX and Keras files made to harm: one line, within little memory and work, and nothing written."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras_files as keras
import numpy as np
import pytest
from hostile_refusals import Runner, refused
from onnx_files import Net, onnx

RNG = np.random.default_rng(0)
MANY = 1 << 22
KERAS = [
    keras.input_layer(6, 5, 1),
    keras.conv(RNG, 1, 2, (2, 2), activation="relu"),
    ("Flatten", {}, {}),
    keras.dense(RNG, 40, 3, "softmax"),
]


def small() -> Net:
    return Net(1, 6, 6).conv(1, 2, (3, 3)).put("Relu").put("Flatten").gemm(32, 3)


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def message(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def model_of(graph: bytes) -> bytes:
    return message(7, graph) + message(8, b"\x10\x11")


def changed(change: Callable[[Any], object]) -> bytes:
    model = small().model()
    change(model)
    return model.SerializeToString()


def wired(index: int, **inputs: str) -> bytes:
    """Node `index` takes other tensors."""

    def change(model: Any) -> None:
        for at, name in inputs.items():
            model.graph.node[index].input[int(at[1:])] = name

    return changed(change)


def with_constants(op: str, *values: np.ndarray, **attributes: object) -> bytes:
    """An operator on constants, before anything else."""
    net = Net(1, 6, 6)
    names = [net.tensor(each) for each in values]
    travels, net.head = net.head, names[0]
    net.put(op, *names[1:], **attributes)
    made, net.head = net.head, travels
    return net.put("Reshape", made).put("Flatten").gemm(36, 3).model().SerializeToString()


def doubled() -> bytes:
    """A constant that is doubled forty times over."""
    net = small()
    travels, net.head = net.head, net.tensor(np.ones(1 << 20, np.float32))
    for _ in range(40):
        net.put("Concat", net.head, axis=0)
    net.head = travels
    return net.put("Relu").model().SerializeToString()


def wide_joint() -> bytes:
    """Two small convolutions with nothing between, which would be a huge one."""
    net = Net(2000, 2, 2).conv(2000, 2000, (1, 1), group=2000).conv(2000, 4000, (1, 1), group=2000)
    return net.put("Relu").put("Flatten").gemm(16000, 2).model().SerializeToString()


ONNX: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "found damage (no bytes)"),
    "no message": (lambda: b"\x08\x08", "no version of its operators"),
    "noise": (lambda: bytes(range(256)) * 40, "damage"),
    "cut off": (lambda: small().model().SerializeToString()[:-40], "damage"),
    "thirty million operators": (lambda: model_of(message(1, b"") * (30 << 20)), "damage"),
    "ten thousand operators": (lambda: model_of(message(1, b"") * 10_000), "10,000, need at most 4,096"),
    "ten thousand inputs": (lambda: changed(lambda m: m.graph.node[0].input.extend(["x"] * 10_000)), "10,003 entries"),
    "sixty million numbers of an attribute": (
        lambda: model_of(message(1, message(5, b"\x0a\x01k" + message(8, b"\1" * (60 << 20)) + b"\xa0\x01\x07"))),
        "damage",
    ),
    "a tensor of 2^64 numbers": (
        lambda: changed(lambda m: m.graph.initializer[0].dims.extend([1 << 62, 4])),
        "a shape of",
    ),
    "a tensor of less than nothing": (
        lambda: changed(lambda m: m.graph.initializer[0].dims.extend([-1])),
        "a shape of",
    ),
    "a tensor without its numbers": (
        lambda: changed(lambda m: m.graph.initializer[0].ClearField("raw_data")),
        "damage",
    ),
    "another type": (lambda: changed(lambda m: setattr(m.graph.initializer[0], "data_type", 99)), "numbers of type 99"),
    "a tensor in a device": (
        lambda: changed(lambda m: m.graph.initializer[0].external_data.add(key="location", value="/dev/zero")),
        "numbers kept in another file",
    ),
    "in circles": (lambda: wired(0, _0="Gemm_3_0"), "from which the net has gone on"),
    "a name twice": (lambda: changed(lambda m: m.graph.node[1].output.__setitem__(0, "t0")), "each name once"),
    "a huge input": (
        lambda: changed(lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[2], "dim_value", 1 << 40)),
        "input: found the shape",
    ),
    "strides of nothing": (
        lambda: changed(lambda m: m.graph.node[0].attribute.append(onnx.helper.make_attribute("strides", [0, 0]))),
        "need one or two from 1",
    ),
    "huge strides": (
        lambda: changed(lambda m: m.graph.node[0].attribute.append(onnx.helper.make_attribute("strides", [2**62, 1]))),
        "",
    ),
    "huge padding": (
        lambda: changed(lambda m: m.graph.node[0].attribute.append(onnx.helper.make_attribute("pads", [2**62] * 4))),
        "padding: found",
    ),
    "two and a half groups": (
        lambda: changed(lambda m: m.graph.node[0].attribute.append(onnx.helper.make_attribute("group", 2.5))),
        "need a whole number",
    ),
    "no groups": (
        lambda: changed(lambda m: setattr(m.graph.node[0].attribute[0], "i", 0)),
        "need weights that fit",
    ),
    "a sum of two long vectors": (
        lambda: with_constants("Add", np.ones((3000, 1), np.int64), np.ones((1, 3000), np.int64)),
        "constants that do not fit it",
    ),
    "many copies": (
        lambda: with_constants("Gather", np.ones((1, 4000), np.int64), np.zeros(4000, np.int64), axis=0),
        "constants that do not fit it",
    ),
    "a division by nothing": (
        lambda: with_constants("Div", np.ones(2, np.int64), np.zeros(2, np.int64)),
        "constants that do not fit it (division by 0)",
    ),
    "a doubled constant": (doubled, "constants that do not fit it"),
    "a wide joint": (wide_joint, "need at most 4,194,304"),
    "escapes in names": (
        lambda: changed(
            lambda m: m.graph.node[0].CopyFrom(onnx.helper.make_node("\x1b]0;", ["x"], ["y"], "\x1b[2J\n"))
        ),
        "an operator that no board computes",
    ),
    "a graph within": (
        lambda: changed(
            lambda m: m.graph.node[0].CopyFrom(
                onnx.helper.make_node("If", ["x"], ["Conv_0_0"], then_branch=small().model().graph)
            )
        ),
        "node 0 If",
    ),
}


@pytest.mark.parametrize("case", ONNX)
def test_hostile_onnx(run_limited: Runner, tmp_path: Path, case: str) -> None:
    build, words = ONNX[case]
    (tmp_path / "net.onnx").write_bytes(build())
    assert words in refused(run_limited, tmp_path, "import", "net.onnx", "-o", "out.h5")


def described(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """A .keras file whose description is changed."""

    def write(path: Path) -> None:
        config = keras.described(KERAS)
        change(config)
        keras.write_keras(path, KERAS, config=config)

    return write


def layer(index: int, **settings: object) -> Callable[[Path], None]:
    return described(lambda config: config["config"]["layers"][index]["config"].update(settings))


def text(content: str | bytes) -> Callable[[Path], None]:
    """A .keras file whose description is this text."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", content)
            archive.writestr("model.weights.h5", b"")

    return write


def weights(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    """A .keras file whose HDF5 is changed."""

    def write(path: Path) -> None:
        keras.write_keras(path, KERAS)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        memory = io.BytesIO(members["model.weights.h5"])
        with h5py.File(memory, "r+", libver="latest") as file:
            change(file)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in (members | {"model.weights.h5": memory.getvalue()}).items():
                archive.writestr(name, content)

    return write


def replaced(name: str, **how: Any) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **how)

    return change


def linked(link: Any) -> Callable[[h5py.File], object]:
    def change(file: h5py.File) -> None:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = link

    return change


def many_links(file: h5py.File) -> None:
    empty = file.create_group("empty")
    for index in range(5000):
        empty[f"link {index}"] = empty


class Opened:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("unpickled", "w"))


KERNEL = "layers/conv2d/vars/0"
KERAS_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "nothing": (lambda path: path.write_bytes(b"") and None, "damage"),
    "a zip cut off": (lambda path: path.write_bytes(b"PK\3\4" + bytes(400)) and None, "damage"),
    "HDF5 cut off": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(400)) and None, "damage"),
    "no description": (
        lambda path: zipfile.ZipFile(path, "w").writestr("model.weights.h5", b""),
        "no config.json",
    ),
    "a bomb": (text(b"[" * (64 << 20)), "config.json: found 67,108,864 bytes"),
    "nested lists": (text("[" * 100_000), "damage"),
    "a list": (text("[]"), "need an object"),
    "a number": (text("1e999"), "need an object"),
    "bytes that are no text": (text(b"\xff\xfe"), "damage"),
    "a million layers": (
        text(json.dumps({"class_name": "Sequential", "config": {"layers": [0] * 1_000_000}})),
        "1000000 layers",
    ),
    "layers of numbers": (
        described(lambda config: config["config"].update(layers=[1, 2])),
        "need class_name",
    ),
    "a model of another class": (described(lambda config: config.update(class_name="\x1b[2J")), "a model of class"),
    "a program": (
        described(lambda config: config["config"]["layers"].insert(1, {"class_name": "Lambda", "config": {}})),
        "layer 1 Lambda 'Lambda': found a layer that no board computes",
    ),
    "a huge input": (layer(0, batch_shape=[None, 1 << 30, 1 << 30, 1]), "need at most 4,194,304"),
    "an input of texts": (layer(0, batch_shape=[None, "a", 5, 1]), "a side of 'a'"),
    "an endless input": (layer(0, batch_shape=[None, None, 5, 1]), "a side of 'None'"),
    "a kernel of nothing": (layer(1, kernel_size=[0, 2]), "whole numbers from 1"),
    "a huge stride": (layer(1, strides=[1 << 40, 1]), "whole numbers from 1"),
    "a stride beyond the map": (layer(1, strides=[1 << 30, 1]), ""),
    "groups of nothing": (layer(1, groups=0), "need weights that fit"),
    "texts for a flag": (layer(1, use_bias="yes"), "use_bias 'yes'"),
    "an activation of lists": (layer(1, activation=["relu"] * 1000), "activation"),
    "an activation nested": (
        layer(1, activation={"class_name": "ReLU", "config": {"max_value": "six"}}),
        "max_value 'six'",
    ),
    "a limit of NaN": (
        layer(1, activation={"class_name": "ReLU", "config": {"max_value": float("nan")}}),
        "limit of nan",
    ),
    "a name with escapes": (layer(1, name="\x1b[2J", data_format="x\x07"), "need channels_last"),
    "a link to another file": (weights(linked(h5py.ExternalLink("/etc/passwd", "/x"))), "one that leads elsewhere"),
    "a link within": (weights(linked(h5py.SoftLink("/layers/dense/vars/0"))), "one that leads elsewhere"),
    "thousands of links": (weights(many_links), "or thousands"),
    "numbers in a device": (
        weights(replaced(KERNEL, shape=(2, 2, 1, 2), dtype="f4", external=[("/dev/zero", 0, 32)])),
        "numbers kept in other files",
    ),
    "a huge array": (
        weights(replaced(KERNEL, shape=(1 << 12, 1 << 12, 1, 2), dtype="f4", chunks=True)),
        "numbers, need",
    ),
    "huge chunks": (
        weights(replaced(KERNEL, shape=(2, 2, 1, 2), maxshape=(None,) * 4, chunks=(4096, 4096, 1, 2), dtype="f4")),
        "numbers, need",
    ),
    "texts for weights": (weights(replaced(KERNEL, data=["a", "b"])), "values of type"),
    "another shape": (weights(replaced(KERNEL, data=np.zeros(8, np.float32))), "a kernel (8,)"),
    "NaN": (weights(replaced(KERNEL, data=np.full((2, 2, 1, 2), np.nan, np.float32))), "NaN or infinity"),
    "large numbers": (weights(replaced(KERNEL, data=np.full((2, 2, 1, 2), 1e300))), "NaN or infinity in weights"),
    "no weights": (weights(lambda file: file.__delitem__("layers/conv2d")), "found nothing"),
    "weights too many": (weights(lambda file: file.create_dataset("layers/dense/vars/2", data=1.0)), "3 arrays"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps(Opened())) and None, "damage"),
}


@pytest.mark.parametrize("case", KERAS_FILES)
def test_hostile_keras_files(run_limited: Runner, tmp_path: Path, case: str) -> None:
    write, words = KERAS_FILES[case]
    write(tmp_path / "net.keras")
    assert words in refused(run_limited, tmp_path, "import", "net.keras", "-o", "out.h5")


def test_a_pickle_is_never_opened(run_limited: Runner, tmp_path: Path) -> None:
    for suffix in (".pkl", ".joblib"):
        (tmp_path / f"net{suffix}").write_bytes(pickle.dumps(Opened()))
        assert "a pickle is a program" in refused(run_limited, tmp_path, "import", f"net{suffix}", "-o", "out.h5")
