"""The weights of one operator, out of TensorFlow Lite's layouts into ours, as whole numbers and as floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.steps import Floats
from host.importers.tflite import integers
from host.importers.tflite.file import INT8, File, Operator, Tensor
from host.nn.limits import MAX_ALL_ELEMENTS

_AGAIN = "convert again with int8 weights and activations (a representative data set), or without any quantisation"

Arrange = Callable[[NDArray[Any]], Any]
"""Brings weights from the file's layout into ours, outputs first."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """Of a layer: weights and bias float64, and `scales` (outputs,) of which the weights are whole numbers in int8."""

    weights: Floats
    bias: Floats
    scales: Floats | None


class Weights:
    """Reads the numbers of operators with weights. `halves` are tensors of float16 constants that were brought to
    float32 by an operator of the file."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._halves: dict[int, NDArray[np.float32]] = {}
        self._taken = 0

    def widen(self, op: Operator) -> None:
        """Take a DEQUANTIZE of a constant."""
        source = self._file.tensors[op.inputs[0]]
        if source.kind != "FLOAT16" or source.data is None:
            raise self._file.refused(op, f"{source.kind} constants", "FLOAT16 ones", _AGAIN)
        self._take(op, source.size)
        self._halves[op.outputs[0]] = source.data.astype(np.float32)

    def constant(self, op: Operator, at: int, what: str) -> NDArray[Any]:
        """Input `at` of an operator, flat."""
        index = op.inputs[at] if at < len(op.inputs) else -1
        tensor = self._file.tensors[index]
        data = self._halves.get(index, tensor.data)
        if index < 0 or data is None:
            found = f"{what} that {'are missing' if index < 0 else 'are no constants'}"
            raise self._file.refused(op, found, "constants of the file", "convert a net whose weights are fixed")
        return data

    def of(self, op: Operator, outputs: int, arrange: Arrange, axis: int) -> Numbers:
        """The numbers of a layer whose weights are input 1, with a scale for each index of `axis` or one for all, and
        whose bias, if any, is input 2."""
        source, filters = (self._file.tensors[index] for index in op.inputs[:2])
        self._take(op, filters.size)
        if filters.kind != source.kind:
            found = f"{filters.kind} weights of {source.kind} activations"
            raise self._file.refused(op, found, "the same kind of both", _AGAIN)
        weights = self.constant(op, 1, "weights")
        bias = self._bias(op, outputs, np.int32 if source.kind == INT8 else np.float32).astype(np.float64)
        arranged = np.ascontiguousarray(arrange(weights.reshape(filters.shape))).astype(np.float64)
        if source.kind != INT8:
            return Numbers(arranged, bias, None)
        self._check_scales(op, filters, outputs, axis)
        scales = np.broadcast_to(filters.scales.astype(np.float64), outputs)
        steps = scales.reshape(-1, *(1,) * (arranged.ndim - 1))
        return Numbers(arranged * steps, bias * (integers.scale_of(source) * scales), scales)

    def _take(self, op: Operator, size: int) -> None:
        """Several operators may claim the same numbers, each of which gets a copy."""
        self._taken += size
        if self._taken > MAX_ALL_ELEMENTS:
            need = f"at most {MAX_ALL_ELEMENTS:,}"
            raise self._file.refused(op, f"{self._taken:,} numbers up to here", need, "a board holds no such net")

    def _bias(self, op: Operator, outputs: int, kind: type[Any]) -> NDArray[Any]:
        if len(op.inputs) < 3 or op.inputs[2] < 0:
            return np.zeros(outputs, kind)
        bias = self.constant(op, 2, "biases")
        if bias.dtype != np.dtype(kind) or len(bias) != outputs:
            need = f"{outputs} of {np.dtype(kind)}"
            raise self._file.refused(op, f"{len(bias)} biases of {bias.dtype}", need, _AGAIN)
        return bias

    def _check_scales(self, op: Operator, filters: Tensor, outputs: int, axis: int) -> None:
        if len(filters.scales) not in (1, outputs) or (len(filters.scales) > 1 and filters.axis != axis):
            found = f"{len(filters.scales)} scales of weights along axis {filters.axis}"
            raise self._file.refused(op, found, f"1, or {outputs} along axis {axis}", "convert the net again")
        if filters.zeros.any():
            raise self._file.refused(op, "weights with zero points", "zero points of 0", _AGAIN)


def turned(arrange: Arrange) -> Arrange:
    """As `arrange`, for a map whose rows and columns change places."""
    return lambda weights: arrange(weights).swapaxes(2, 3)
