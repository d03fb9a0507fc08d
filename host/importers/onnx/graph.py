"""An ONNX file as plain data, every count and size in it looked at before it is believed. Nothing is run, and no other
file is opened for its tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data.problem import one_line
from host.errors import InputError
from host.importers.base import library, refused
from host.nn.limits import MAX_ALL_ELEMENTS, MAX_ELEMENTS

MAX_NODES = 4096
MAX_LIST = 4096
"""Numbers of one attribute, where they are no weights."""
MAX_TEXT = 4096
_SHOWN = 40
_STANDARD = ("", "ai.onnx")
_LEAST_OPSET = 7
AGAIN = "export the net again"


@dataclass(frozen=True)
class Node:
    """An operator: its attributes are numbers, texts, arrays, or lists of the first two."""

    path: Path
    index: int
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"node {self.index} {self.op}" + (f" '{self.name}'" if self.name else "")

    def wrong(self, found: str, need: str, do: str = AGAIN) -> InputError:
        """Returns (does not raise) a refusal of this operator."""
        return refused(self.path, self.place, found, need, do)

    def whole(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.wrong(f"{name} {one_line(str(value))[:_SHOWN]}", "a whole number")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.attributes.get(name, default)
        if not isinstance(value, int | float):
            raise self.wrong(f"{name} {one_line(str(value))[:_SHOWN]}", "a number")
        return float(value)

    def text(self, name: str, default: str) -> str:
        value = self.attributes.get(name, default)
        if not isinstance(value, str):
            raise self.wrong(f"{name} {one_line(str(value))[:_SHOWN]}", "a word")
        return value

    def wholes(self, name: str) -> list[int] | None:
        """A list of whole numbers, None where it is not there."""
        value = self.attributes.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(each, int) for each in value)):
            raise self.wrong(f"{name} {one_line(str(value))[:_SHOWN]}", "whole numbers")
        return value


@dataclass(frozen=True)
class Graph:
    """`input` is the one tensor that is given, of sizes where 0 stands for one that is not fixed."""

    nodes: list[Node]
    constants: dict[str, NDArray[Any]]
    input: str
    sizes: tuple[int, ...]
    outputs: tuple[str, ...]


def parse(path: Path, content: bytes) -> Graph:
    """Raise InputError where the file is none, or larger than a board's net can be."""
    onnx = library(path, "onnx", "onnx")
    model = onnx.ModelProto()
    model.ParseFromString(content)
    opset = [each.version for each in model.opset_import if each.domain in _STANDARD]
    if not opset or min(opset) < _LEAST_OPSET:
        found = f"operators of version {min(opset)}" if opset else "no version of its operators"
        raise refused(path, "opset", found, f"{_LEAST_OPSET} or later", "export the net with a newer exporter")
    return _Reader(path, onnx).graph(model.graph)


class _Reader:
    def __init__(self, path: Path, onnx: Any) -> None:
        self._path, self._onnx = path, onnx
        self._elements = 0
        kinds = onnx.TensorProto
        self._dense = {
            *(kinds.FLOAT, kinds.DOUBLE, kinds.FLOAT16, kinds.BOOL),
            *(kinds.INT8, kinds.UINT8, kinds.INT16, kinds.UINT16, kinds.INT32, kinds.INT64),
        }

    def graph(self, graph: Any) -> Graph:
        for what, count in (("nodes", len(graph.node)), ("tensors", len(graph.initializer))):
            if count > MAX_NODES:
                raise refused(self._path, what, f"{count:,}", f"at most {MAX_NODES:,}", "give a smaller net")
        if graph.sparse_initializer:
            raise refused(self._path, "tensors", "sparse ones", "dense ones", AGAIN)
        constants = {each.name: self.tensor(each, f"tensor '{self._text(each.name)}'") for each in graph.initializer}
        given = [each for each in graph.input if each.name not in constants]
        if len(given) != 1:
            raise refused(self._path, "input", f"{len(given)} of them", "one", "export a net of one input")
        nodes = [self._node(each, index) for index, each in enumerate(graph.node)]
        return Graph(nodes, constants, given[0].name, self._sizes(given[0]), tuple(each.name for each in graph.output))

    def tensor(self, tensor: Any, place: str) -> NDArray[Any]:
        """Any tensor; texts as an array of objects."""
        kinds = self._onnx.TensorProto
        if tensor.data_location == kinds.EXTERNAL or len(tensor.external_data):
            do = "export the net into one file"
            raise refused(self._path, place, "numbers kept in another file", "numbers in the file itself", do)
        count = math.prod(tensor.dims) if min(tensor.dims, default=0) >= 0 else -1
        self._elements += max(count, 0)
        if not 0 <= count <= MAX_ELEMENTS or self._elements > MAX_ALL_ELEMENTS or len(tensor.dims) > 8:
            need = f"at most {MAX_ELEMENTS:,} numbers, {MAX_ALL_ELEMENTS:,} in all"
            raise refused(self._path, place, f"a shape of {list(tensor.dims)[:9]}", need, "give a smaller net")
        if tensor.data_type == kinds.STRING:
            if count > MAX_LIST or len(tensor.string_data) != count:
                raise refused(self._path, place, f"{len(tensor.string_data)} texts", f"{count}", AGAIN)
            texts = [each.decode("utf-8")[:MAX_TEXT] for each in tensor.string_data]
            return np.array(texts, object).reshape(tuple(tensor.dims))
        if tensor.data_type not in self._dense:
            raise refused(self._path, place, f"numbers of type {tensor.data_type}", "float32 or int8", AGAIN)
        array: NDArray[Any] = self._onnx.numpy_helper.to_array(tensor)
        if array.size != count:
            raise refused(self._path, place, f"{array.size} numbers", f"{count}", AGAIN)
        return array

    def _sizes(self, value: Any) -> tuple[int, ...]:
        kind = value.type.tensor_type
        kinds = self._onnx.TensorProto
        if not value.type.HasField("tensor_type") or not kind.HasField("shape") or len(kind.shape.dim) > 8:
            raise refused(self._path, "input", "no shape", "a fixed one", "export the net with a fixed input shape")
        if kind.elem_type not in self._dense or kind.elem_type == kinds.BOOL:
            raise refused(self._path, "input", f"values of type {kind.elem_type}", "numbers", "export it for float32")
        return tuple(int(each.dim_value) for each in kind.shape.dim)

    def _node(self, node: Any, index: int) -> Node:
        name = node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}"
        for what in (node.input, node.output, node.attribute):
            if len(what) > MAX_LIST:
                raise refused(self._path, f"node {index}", f"{len(what):,} entries", f"at most {MAX_LIST:,}", AGAIN)
        bare = Node(self._path, index, self._text(name), self._text(node.name), tuple(node.input), tuple(node.output))
        for attribute in node.attribute:
            bare.attributes[attribute.name] = self._value(attribute, bare)
        return bare

    def _value(self, attribute: Any, node: Node) -> Any:
        kinds = self._onnx.AttributeProto
        kind = attribute.type
        lists = {kinds.INTS: attribute.ints, kinds.STRINGS: attribute.strings, kinds.FLOATS: attribute.floats}
        if kind in lists:
            most = MAX_ELEMENTS if kind == kinds.FLOATS else MAX_LIST
            if len(lists[kind]) > most:
                raise node.wrong(f"{len(lists[kind]):,} entries of {self._text(attribute.name)}", f"at most {most:,}")
            self._elements += len(lists[kind])
            values = np.array(lists[kind], np.float32) if kind == kinds.FLOATS else list(lists[kind])
            return [each.decode("utf-8")[:MAX_TEXT] for each in values] if kind == kinds.STRINGS else values
        if kind == kinds.INT:
            return int(attribute.i)
        if kind == kinds.FLOAT:
            return float(attribute.f)
        if kind == kinds.STRING:
            return attribute.s.decode("utf-8")[:MAX_TEXT]
        if kind == kinds.TENSOR:
            return self.tensor(attribute.t, f"{node.place} {self._text(attribute.name)}")
        return None  # a graph within the graph: its operator is refused by name

    def _text(self, text: str) -> str:
        line = one_line(text)
        return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
