"""A .tflite file as plain, checked data: tensors and operators of its one graph. Knows no net.

Every index, length and size that the file claims is held against the file before it is used, so that a hostile one
costs no more than its own bytes. Constants are views of these.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data.problem import one_line
from host.errors import InputError
from host.importers.base import library, read_bytes, refused
from host.nn.limits import MAX_ELEMENTS

INT8, FLOAT = "INT8", "FLOAT32"
_EXTRA = "tflite"
_VERSION = 3
_MOST = {"tensors": 4096, "operators": 256, "operator codes": 512, "buffers": 8192, "indices": 64, "axes": 8}
_HEADER_BYTES = 8
_MAGIC = b"TFL3"
_DAMAGED = (struct.error, ValueError, TypeError, IndexError, OverflowError, MemoryError)
"""What flatbuffers and NumPy raise on offsets that lead out of the file."""
_NUMPY = {"FLOAT32": "<f4", "FLOAT16": "<f2", "INT32": "<i4", "INT64": "<i8", "INT8": "i1", "UINT8": "u1"}
_OPTIONS = {
    "CONV_2D": ("Conv2DOptions", "Padding StrideH StrideW DilationHFactor DilationWFactor FusedActivationFunction"),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        "Padding StrideH StrideW DilationHFactor DilationWFactor FusedActivationFunction DepthMultiplier",
    ),
    "FULLY_CONNECTED": ("FullyConnectedOptions", "FusedActivationFunction WeightsFormat"),
    "MAX_POOL_2D": ("Pool2DOptions", "Padding StrideH StrideW FilterHeight FilterWidth FusedActivationFunction"),
    "AVERAGE_POOL_2D": ("Pool2DOptions", "Padding StrideH StrideW FilterHeight FilterWidth FusedActivationFunction"),
    "SOFTMAX": ("SoftmaxOptions", "Beta"),
    "ADD": ("AddOptions", "FusedActivationFunction"),
    "MUL": ("MulOptions", "FusedActivationFunction"),
}
"""Table and fields of the options that each operator needs; others are taken without."""
ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}


@dataclass(frozen=True, eq=False)
class Tensor:
    """`scales` and `zeros` are empty where it is not quantised, and hold several numbers along `axis` where each row
    has its own; `data` None where it is no constant."""

    index: int
    shape: tuple[int, ...]
    kind: str
    scales: NDArray[np.float32]
    zeros: NDArray[np.int64]
    axis: int
    data: NDArray[Any] | None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Operator:
    """`inputs` and `outputs` are numbers of tensors, −1 for an input that is left out."""

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, float]

    @property
    def place(self) -> str:
        return f"op {self.index} {self.name}"


@dataclass(frozen=True, eq=False)
class File:
    """The graph of a file: what goes in, what comes out, and what is computed in between, in order."""

    path: Path
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    source: int
    target: int

    def refused(self, op: Operator | None, found: object, need: str, do: str) -> InputError:
        """Returns (does not raise) the error of an operator, or of the whole net."""
        return refused(self.path, "net" if op is None else op.place, found, need, do)


def read_file(path: Path) -> File:
    """Raise InputError, naming the place, where anything in the file is damaged, or of a kind that is not read;
    ToolMissing without the reader."""
    reader = library(path, "tflite", _EXTRA)
    data = read_bytes(path)
    if len(data) < _HEADER_BYTES or data[4:8] != _MAGIC:
        raise refused(path, "file", "no TFL3 signature", "a TensorFlow Lite file", "convert the net again")
    try:
        return _Reader(path, reader, data).file()
    except InputError:
        raise
    except _DAMAGED as error:
        reason = one_line(str(error)) or type(error).__name__
        raise refused(path, "file", f"damage ({reason})", "a whole TensorFlow Lite file", "copy it again") from error


class _Reader:
    def __init__(self, path: Path, library_: ModuleType, data: bytes) -> None:
        self._path, self._library, self._data = path, library_, data
        self._model = library_.Model.GetRootAs(data, 0)
        self._scales = 0  # how many were read: several tensors may claim the same ones
        self._operators = _names(library_.BuiltinOperator)
        self._kinds = _names(library_.TensorType)

    def file(self) -> File:
        model = self._model
        if model.Version() != _VERSION:
            raise self._refused("version", model.Version(), f"{_VERSION}", "convert the net again")
        graphs = self._count("subgraphs", model.SubgraphsLength())
        if graphs != 1:
            raise self._refused("subgraphs", graphs, "1", "convert a net without control flow")
        graph = model.Subgraphs(0)
        tensors = [
            self._tensor(graph.Tensors(index), index) for index in range(self._count("tensors", graph.TensorsLength()))
        ]
        operators = [
            self._operator(graph.Operators(index), index, len(tensors))
            for index in range(self._count("operators", graph.OperatorsLength()))
        ]
        ends = [
            self._indices("graph", name, length, at, len(tensors))
            for name, length, at in (
                ("inputs", graph.InputsLength(), graph.Inputs),
                ("outputs", graph.OutputsLength(), graph.Outputs),
            )
        ]
        for name, found in zip(("inputs", "outputs"), ends, strict=True):
            if len(found) != 1 or found[0] < 0:
                raise self._refused("graph", f"{len(found)} {name}", "one", "convert a net with one of each")
        return File(self._path, tuple(tensors), tuple(operators), ends[0][0], ends[1][0])

    def _tensor(self, tensor: Any, index: int) -> Tensor:
        place = f"tensor {index}"
        kind = self._kinds.get(tensor.Type(), f"type {tensor.Type()}")
        axes = self._count("axes", tensor.ShapeLength(), place)
        shape = tuple(int(tensor.Shape(axis)) for axis in range(axes))
        # Python's whole numbers do not overflow; −1 is a batch of any size.
        if any(side < 1 for side in shape[1:]) or (shape and shape[0] < 1 and shape[0] != -1):
            raise self._refused(place, f"shape {shape}", "sides from 1", "convert the net with a fixed input shape")
        shape = tuple(max(side, 1) for side in shape)
        if math.prod(shape) > MAX_ELEMENTS:
            need = f"at most {MAX_ELEMENTS:,}"
            raise self._refused(place, f"{math.prod(shape):,} numbers", need, "a board holds no such net")
        if tensor.IsVariable() or tensor.Sparsity() is not None:
            found = "a variable" if tensor.IsVariable() else "sparse storage"
            raise self._refused(place, found, "plain numbers", "convert the net without")
        scales, zeros, axis = self._quantisation(tensor, place)
        return Tensor(index, shape, kind, scales, zeros, axis, self._constant(tensor, place, kind, math.prod(shape)))

    def _quantisation(self, tensor: Any, place: str) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        given = tensor.Quantization()
        if given is None or not given.ScaleLength():
            return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        self._scales += given.ScaleLength() + given.ZeroPointLength()
        if self._scales > MAX_ELEMENTS:
            raise self._refused(place, "too many scales", f"at most {MAX_ELEMENTS:,} in all", "copy the file again")
        scales = np.asarray(given.ScaleAsNumpy(), np.float32)
        zeros = np.zeros(len(scales), np.int64)
        if given.ZeroPointLength():
            zeros = np.asarray(given.ZeroPointAsNumpy(), np.int64)
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            raise self._refused(place, "a scale that is not above 0, or not finite", "scales above 0", "convert again")
        if len(zeros) != len(scales):
            found = f"{len(scales)} scales and {len(zeros)} zero points"
            raise self._refused(place, found, "one of each", "convert the net again")
        return scales, zeros, int(given.QuantizedDimension())

    def _constant(self, tensor: Any, place: str, kind: str, size: int) -> NDArray[Any] | None:
        number = tensor.Buffer()
        if number >= self._count("buffers", self._model.BuffersLength()):
            raise self._refused(place, f"buffer {number}", "one of the file's", "copy the file again")
        buffer = self._model.Buffers(number)
        if buffer is None or not buffer.DataLength():
            return None
        data = buffer.DataAsNumpy()
        if kind not in _NUMPY:
            return None  # what needs it refuses its kind by name
        wanted = size * np.dtype(_NUMPY[kind]).itemsize
        if len(data) != wanted:
            raise self._refused(place, f"{len(data):,} bytes", f"{wanted:,} of its shape", "convert the net again")
        return np.frombuffer(data, _NUMPY[kind])

    def _operator(self, operator: Any, index: int, tensors: int) -> Operator:
        number = operator.OpcodeIndex()
        if number >= self._count("operator codes", self._model.OperatorCodesLength()):
            raise self._refused(f"op {index}", f"operator code {number}", "one of the file's", "copy the file again")
        code = self._model.OperatorCodes(number)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = self._operators.get(builtin, f"operator {builtin}")
        place = f"op {index} {name}"
        inputs = self._indices(place, "inputs", operator.InputsLength(), operator.Inputs, tensors)
        outputs = self._indices(place, "outputs", operator.OutputsLength(), operator.Outputs, tensors)
        if not inputs or len(outputs) != 1 or outputs[0] < 0 or inputs[0] < 0:
            found = f"{len(inputs)} inputs and {len(outputs)} outputs"
            raise self._refused(place, found, "an input and one output", "convert a net of plain layers")
        return Operator(index, name, inputs, outputs, self._options(operator, place, name))

    def _options(self, operator: Any, place: str, name: str) -> dict[str, float]:
        if name not in _OPTIONS:
            return {}
        table, fields = _OPTIONS[name]
        union = operator.BuiltinOptions()
        if union is None or operator.BuiltinOptionsType() != getattr(self._library.BuiltinOptions, table):
            raise self._refused(place, "no options, or another operator's", table, "convert the net again")
        options = getattr(self._library, table)()
        options.Init(union.Bytes, union.Pos)
        return {field: getattr(options, field)() for field in fields.split()}

    def _indices(self, place: str, name: str, length: int, at: Any, tensors: int) -> tuple[int, ...]:
        found = tuple(int(at(index)) for index in range(self._count("indices", length, place)))
        for index in found:
            if not -1 <= index < tensors:
                raise self._refused(place, f"tensor {index} among its {name}", f"0..{tensors - 1}", "copy it again")
        return found

    def _count(self, what: str, found: int, place: str = "file") -> int:
        most = _MOST.get(what, 1 << 10)
        if found > most:
            raise self._refused(place, f"{found:,} {what}", f"at most {most:,}", "a board holds no such net")
        return int(found)

    def _refused(self, place: str, found: object, need: str, do: str) -> InputError:
        return refused(self._path, place, found, need, do)


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
