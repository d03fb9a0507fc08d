"""Writes .tflite files: tables of a flatbuffer by the numbers of their fields, and small random nets of int8 or floats.

Needs flatbuffers, which comes with the optional reader; `tflite_micro` is the oracle that answers for such files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from needed import need_module

ADVICE = "run `pip install 'digitduino[dev]'`"
flatbuffers = need_module("flatbuffers", ADVICE)
tflite = need_module("tflite", ADVICE)

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6, TANH = range(5)
_NUMPY = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT32": "<i4", "INT64": "<i8", "INT8": "i1", "UINT8": "u1"}
_OPTIONS = {
    "CONV_2D": ("Conv2DOptions", "bpadding istride_w istride_h bactivation idilation_w idilation_h"),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        "bpadding istride_w istride_h imultiplier bactivation idilation_w idilation_h",
    ),
    "MAX_POOL_2D": ("Pool2DOptions", "bpadding istride_w istride_h iwidth iheight bactivation"),
    "AVERAGE_POOL_2D": ("Pool2DOptions", "bpadding istride_w istride_h iwidth iheight bactivation"),
    "FULLY_CONNECTED": ("FullyConnectedOptions", "bactivation bformat"),
    "SOFTMAX": ("SoftmaxOptions", "fbeta"),
    "MEAN": ("ReducerOptions", "bkeep_dims"),
    "ADD": ("AddOptions", "bactivation"),
    "MUL": ("MulOptions", "bactivation"),
    "RESHAPE": ("ReshapeOptions", ""),
    "SQUEEZE": ("SqueezeOptions", "vaxes"),
    "EXPAND_DIMS": ("ExpandDimsOptions", ""),
    "PAD": ("PadOptions", ""),
}
"""The table of each operator's options, and its fields in order: b a byte, i an int32, f a float32, v several int32."""


@dataclass
class Tensor:
    shape: tuple[int, ...]
    kind: str = "INT8"
    scales: Any = ()
    zeros: Any = ()
    axis: int = 0
    data: Any = None
    buffer: int | None = None
    variable: bool = False
    sparse: bool = False


@dataclass
class Operator:
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class File:
    """What a file says; a test may say what no converter would."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: tuple[int, ...] = (0,)
    outputs: tuple[int, ...] = ()
    version: int = 3
    graphs: int = 1

    def tensor(self, *arguments: Any, **options: Any) -> int:
        self.tensors.append(Tensor(*arguments, **options))
        return len(self.tensors) - 1

    def bytes(self) -> bytes:
        writer = _Writer()
        buffers = [writer.table({})]
        tensors = []
        for tensor in self.tensors:
            number = 0
            if tensor.data is not None:
                data = np.asarray(tensor.data, _NUMPY.get(tensor.kind, "u1"))
                buffers.append(writer.table({0: writer.bytes(data.tobytes())}))
                number = len(buffers) - 1
            tensors.append(self._tensor(writer, tensor, number if tensor.buffer is None else tensor.buffer))
        names = sorted({operator.name for operator in self.operators})
        codes = [writer.table({0: ("b", min(_builtin(name), 127)), 3: ("i", _builtin(name))}) for name in names]
        operators = [_operator(writer, operator, names) for operator in self.operators]
        graph = {
            0: writer.offsets(tensors),
            1: writer.numbers(self.inputs, "<i4"),
            2: writer.numbers(self.outputs, "<i4"),
            3: writer.offsets(operators),
        }
        graphs = [writer.table(graph) for _ in range(self.graphs)]
        model = {0: ("u", self.version), 1: writer.offsets(codes), 2: writer.offsets(graphs)}
        return writer.finish(writer.table({**model, 4: writer.offsets(buffers)}))

    @staticmethod
    def _tensor(writer: _Writer, tensor: Tensor, buffer: int) -> int:
        fields = {0: writer.numbers(tensor.shape, "<i4"), 1: ("b", getattr(tflite.TensorType, tensor.kind))}
        fields[2] = ("u", buffer)
        if len(tensor.scales):
            scale = {2: writer.numbers(tensor.scales, "<f4"), 3: writer.numbers(tensor.zeros, "<i8")}
            fields[4] = writer.table({**scale, 6: ("i", tensor.axis)})
        if tensor.variable:
            fields[5] = ("b", 1)
        if tensor.sparse:
            fields[6] = writer.table({})
        return writer.table(fields)


def _operator(writer: _Writer, operator: Operator, names: list[str]) -> int:
    fields = {0: ("u", names.index(operator.name))}
    fields |= {1: writer.numbers(operator.inputs, "<i4"), 2: writer.numbers(operator.outputs, "<i4")}
    if operator.name in _OPTIONS:
        table, names_of_fields = _OPTIONS[operator.name]
        options = {
            slot: writer.field(name[0], operator.options[name[1:]])
            for slot, name in enumerate(names_of_fields.split())
            if name[1:] in operator.options
        }
        fields |= {3: ("b", getattr(tflite.BuiltinOptions, table)), 4: writer.table(options)}
    return writer.table(fields)


def _builtin(name: str) -> int:
    return int(getattr(tflite.BuiltinOperator, name))


class _Writer:
    """Flatbuffers, from the leaves up. A field is a number ("b", "i", "u" or "f", value) or the place of what was
    written before."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)
        self._shared: dict[int, tuple[Any, int]] = {}

    def table(self, fields: dict[int, Any]) -> int:
        builder = self._builder
        builder.StartObject(max(fields, default=-1) + 1)
        put = {
            "b": builder.PrependInt8Slot,
            "i": builder.PrependInt32Slot,
            "u": builder.PrependUint32Slot,
            "f": builder.PrependFloat32Slot,
        }
        for slot, value in fields.items():
            if isinstance(value, tuple):
                put[value[0]](slot, float(value[1]) if value[0] == "f" else int(value[1]), None)
            else:
                builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return int(builder.EndObject())

    def field(self, kind: str, value: Any) -> Any:
        """A number as `table` takes it, or the place of several."""
        return self.numbers(value, "<i4") if kind == "v" else (kind, value)

    def numbers(self, values: Any, kind: str) -> int:
        """The same array in several places is written once."""
        if id(values) not in self._shared or not isinstance(values, np.ndarray):
            self._shared[id(values)] = values, int(self._builder.CreateNumpyVector(np.asarray(values, kind)))
        return self._shared[id(values)][1]

    def bytes(self, data: bytes) -> int:
        self._builder.StartVector(1, len(data), 16)
        self._builder.head -= len(data)
        self._builder.Bytes[self._builder.head : self._builder.head + len(data)] = data
        return int(self._builder.EndVector())

    def offsets(self, places: list[int]) -> int:
        self._builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            self._builder.PrependUOffsetTRelative(place)
        return int(self._builder.EndVector())

    def finish(self, root: int) -> bytes:
        self._builder.Finish(root, b"TFL3")
        return bytes(self._builder.Output())


class Net:
    """A random chain of layers, int8 or float32; `file` is what it has come to so far."""

    def __init__(self, seed: int, shape: tuple[int, ...], *, floats: bool = False, scale: float = 0.05, zero: int = -7):
        self.rng = np.random.default_rng(seed)
        self.floats = floats
        self.file = File()
        self.at = self._activation(shape, scale, zero)
        self.file.outputs = (self.at,)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.file.tensors[self.at].shape

    def write(self, path: Path) -> Path:
        path.write_bytes(self.bytes())
        return path

    def bytes(self) -> bytes:
        return self.file.bytes()

    def conv(
        self,
        channels: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        padding: int = VALID,
        activation: int = RELU,
        by_channel: bool = True,
        groups: int = 1,
        zero: int | None = None,
        scale: float | None = None,
    ) -> Net:
        filters = (channels, *kernel, self.shape[3] // groups)
        weights = self._weights(filters, 0, by_channel)
        sides = _sides(self.shape[1:3], kernel, stride, padding)
        options = {"dilation_w": 1, "dilation_h": 1, **_window(stride, padding, activation)}
        return self._layer("CONV_2D", weights, channels, (1, *sides, channels), options, zero, scale)

    def depthwise(
        self,
        kernel: tuple[int, int],
        *,
        multiplier: int = 1,
        stride: tuple[int, int] = (1, 1),
        padding: int = SAME,
        activation: int = RELU,
        by_channel: bool = True,
    ) -> Net:
        channels = self.shape[3] * multiplier
        weights = self._weights((1, *kernel, channels), 3, by_channel)
        sides = _sides(self.shape[1:3], kernel, stride, padding)
        options = {"dilation_w": 1, "dilation_h": 1, **_window(stride, padding, activation)}
        options["multiplier"] = multiplier
        return self._layer("DEPTHWISE_CONV_2D", weights, channels, (1, *sides, channels), options)

    def dense(self, units: int, *, activation: int = NONE, by_channel: bool = False, zero: int | None = None) -> Net:
        weights = self._weights((units, int(np.prod(self.shape))), 0, by_channel)
        return self._layer("FULLY_CONNECTED", weights, units, (1, units), {"activation": activation}, zero)

    def pool(
        self,
        name: str,
        size: tuple[int, int],
        *,
        stride: tuple[int, int] | None = None,
        padding: int = VALID,
        activation: int = NONE,
    ) -> Net:
        stride = stride or size
        sides = _sides(self.shape[1:3], size, stride, padding)
        options = {**_window(stride, padding, activation), "height": size[0], "width": size[1]}
        return self._keep(f"{name}_POOL_2D", (1, *sides, self.shape[3]), (), options)

    def mean(self, axes: tuple[int, ...] = (1, 2), *, keep_dims: bool = False, gain: float = 0.6, zero: int = 3) -> Net:
        constant = self.file.tensor((len(axes),), "INT32", data=axes)
        channels = self.shape[-1]
        target = self._activation((1, 1, 1, channels) if keep_dims else (1, channels), self._scale * gain, zero)
        return self.op("MEAN", target, (constant,), {"keep_dims": keep_dims})

    def pad(self, paddings: list[tuple[int, int]]) -> Net:
        constant = self.file.tensor((len(paddings), 2), "INT32", data=paddings)
        shape = tuple(side + sum(pads) for side, pads in zip(self.shape, paddings, strict=True))
        return self._keep("PAD", shape, (constant,))

    def reshape(self, shape: tuple[int, ...]) -> Net:
        return self._keep("RESHAPE", shape, (self.file.tensor((len(shape),), "INT32", data=shape),))

    def expand(self, axis: int) -> Net:
        shape = (*self.shape[:axis], 1, *self.shape[axis:])
        return self._keep("EXPAND_DIMS", shape, (self.file.tensor((1,), "INT32", data=(axis,)),))

    def squeeze(self, axis: int) -> Net:
        shape = (*self.shape[:axis], *self.shape[axis + 1 :])
        return self._keep("SQUEEZE", shape, (), {"axes": (axis,)})

    def keep(self, name: str) -> Net:
        """An operator whose output has the shape, scale and zero code of its input."""
        return self._keep(name, self.shape, ())

    def op(self, name: str, target: int, constants: tuple[int, ...] = (), options: dict[str, Any] | None = None) -> Net:
        self.file.operators.append(Operator(name, (self.at, *constants), (target,), options or {}))
        self.at = target
        self.file.outputs = (target,)
        return self

    def softmax(self, beta: float = 1.0) -> Net:
        target = self._activation(self.shape, 1 / 256, -128)
        return self.op("SOFTMAX", target, (), {"beta": beta})

    @property
    def _scale(self) -> float:
        scales = self.file.tensors[self.at].scales
        return float(scales[0]) if len(scales) else 1.0

    def _keep(self, name: str, shape: Any, constants: tuple[int, ...], options: dict[str, Any] | None = None) -> Net:
        before = self.file.tensors[self.at]
        target = self.file.tensor(tuple(shape), before.kind, before.scales, before.zeros)
        return self.op(name, target, constants, options)

    def _activation(self, shape: tuple[int, ...], scale: float, zero: int) -> int:
        if self.floats:
            return self.file.tensor(shape, "FLOAT32")
        return self.file.tensor(shape, "INT8", (np.float32(scale),), (zero,))

    def _weights(self, shape: tuple[int, ...], axis: int, by_channel: bool) -> int:
        if self.floats:
            count = int(np.prod(shape)) // shape[axis]
            return self.file.tensor(shape, "FLOAT32", data=self.rng.normal(0, (2 / count) ** 0.5, shape))
        count = shape[axis] if by_channel else 1
        scales = self.rng.uniform(0.004, 0.02, count).astype(np.float32)
        weights = self.rng.integers(-127, 128, shape)
        return self.file.tensor(shape, "INT8", scales, np.zeros(count), axis, weights)

    def _layer(
        self,
        name: str,
        weights: int,
        outputs: int,
        shape: Any,
        options: dict[str, Any],
        zero: int | None = None,
        scale: float | None = None,
    ) -> Net:
        filters = self.file.tensors[weights]
        inputs = filters.data.size // outputs
        if self.floats:
            bias = self.file.tensor((outputs,), "FLOAT32", data=self.rng.normal(0, 0.1, outputs))
            return self.op(name, self._activation(shape, 0, 0), (weights, bias), options)
        step = self._scale * float(np.mean(filters.scales))
        reach = 73 * 73 * inputs**0.5  # of a sum of so many products
        numbers = self.rng.integers(-int(reach), int(reach), outputs)
        bias = self.file.tensor((outputs,), "INT32", (np.float32(step),), (0,), data=numbers)
        zero = int(self.rng.integers(-128, 20)) if zero is None else zero
        return self.op(name, self._activation(shape, scale or step * reach / 60, zero), (weights, bias), options)


def _window(stride: tuple[int, int], padding: int, activation: int) -> dict[str, int]:
    return {"padding": padding, "stride_h": stride[0], "stride_w": stride[1], "activation": activation}


def _sides(sides: Any, kernel: tuple[int, int], stride: tuple[int, int], padding: int) -> tuple[int, ...]:
    if padding == SAME:
        return tuple(-(-side // step) for side, step in zip(sides, stride, strict=True))
    return tuple((side - size) // step + 1 for side, size, step in zip(sides, kernel, stride, strict=True))


def answers(data: bytes, inputs: Any) -> Any:
    """What TensorFlow Lite Micro makes of inputs (N, …): (N, scores)."""
    runtime = need_module("tflite_micro", ADVICE).runtime
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    found = []
    for one in inputs:
        interpreter.set_input(one[None], 0)
        interpreter.invoke()
        found.append(interpreter.get_output(0).reshape(-1))
    return np.array(found)


def ending_at(data: bytes, tensor: int) -> bytes:
    """The same file with another tensor as its output."""
    changed = bytearray(data)
    tflite.Model.GetRootAs(changed, 0).Subgraphs(0).OutputsAsNumpy()[0] = tensor
    return bytes(changed)
