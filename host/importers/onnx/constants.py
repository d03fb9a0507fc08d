"""What exporters compute of constants alone, such as the shape to which a map is flattened: done once, on arrays of
bounded size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.onnx.graph import Node
from host.nn.limits import MAX_ELEMENTS

_CASTS = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
"""ONNX's numbers for types."""
_AXES = 8


@dataclass(frozen=True, eq=False)
class Constant:
    """An array. `scale`, of its index along `axis` or one for all, where it is whole numbers of such steps."""

    values: NDArray[Any]
    scale: NDArray[np.float64] | None = None
    axis: int = 0

    def rows(self, axis: int, count: int) -> NDArray[np.float64] | None:
        """The scales (count,) of what lies along `axis`; None where there are none, or along another one."""
        if self.scale is None or (self.scale.size > 1 and self.axis != axis % max(self.values.ndim, 1)):
            return None
        flat = self.scale.reshape(-1)
        return np.broadcast_to(flat, (count,)) if flat.size in (1, count) else None


def folded(node: Node, inputs: list[Constant | None]) -> Constant | None:
    """What the operator makes of constants; None where it is none of those known here. An input left out is None."""
    rule = _RULES.get(node.op)
    if rule is None:
        return None
    try:
        found = rule(node, inputs)
    except (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError) as error:
        raise node.wrong(f"constants that do not fit it ({error})", "ones that do") from error
    if found.values.size > MAX_ELEMENTS or found.values.ndim > _AXES:
        raise node.wrong(f"{found.values.size:,} numbers", f"at most {MAX_ELEMENTS:,}", "give a smaller net")
    return found


def axes_of(node: Node, inputs: list[Constant | None], at: int = 1) -> list[int] | None:
    """The axes that an operator names as an attribute, or as an input in newer files."""
    given = node.wholes("axes")
    if given is None and len(inputs) > at and (axes := inputs[at]) is not None:
        return [int(each) for each in axes.values.reshape(-1)[: _AXES + 1]]
    return given


def cast_type(node: Node) -> type[np.generic]:
    kind = _CASTS.get(node.whole("to", 0))
    if kind is None:
        raise node.wrong(f"type {node.whole('to', 0)}", "a type of numbers")
    return kind


def scale_and_zero(node: Node, inputs: list[Constant | None]) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Of QuantizeLinear or DequantizeLinear: scales (1,) or (n,) above 0, and as many zero points, uint8 if unsaid."""
    scale = inputs[1].values if len(inputs) > 1 and inputs[1] is not None else None
    zero = inputs[2].values if len(inputs) > 2 and inputs[2] is not None else None
    if scale is None or scale.dtype.kind != "f" or scale.ndim > 1 or not scale.size:
        raise node.wrong("no scale", "a constant one, or one for each row")
    scales = scale.astype(np.float64).reshape(-1)
    if not ((scales > 0) & np.isfinite(scales)).all():
        raise node.wrong("a scale that is no finite number above 0", "one that is")
    zeros = np.zeros(scales.shape, np.uint8) if zero is None else zero.reshape(-1)
    if zeros.shape != scales.shape or zeros.dtype.kind not in "iu":
        raise node.wrong(f"zero points {zeros.shape} of {zeros.dtype}", f"whole ones {scales.shape}")
    return scales, zeros


def _value(node: Node, inputs: list[Constant | None]) -> Constant:
    for name, kind in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64)):
        if name in node.attributes:
            return Constant(np.array(node.attributes[name], kind))
    found = node.attributes.get("value", node.attributes.get("value_ints"))
    if found is None:
        raise ValueError("no value")
    return Constant(np.array(found))


def _first(inputs: list[Constant | None]) -> Constant:
    return _of(inputs, 0)


def _of(inputs: list[Constant | None], at: int) -> Constant:
    found = inputs[at]
    if found is None:
        raise ValueError(f"no input {at}")
    return found


def _transpose(node: Node, inputs: list[Constant | None]) -> Constant:
    first = _first(inputs)
    order = node.wholes("perm") or list(reversed(range(first.values.ndim)))
    axis = order.index(first.axis) if first.axis in order else 0
    return Constant(first.values.transpose(order), first.scale, axis)


def _reshape(node: Node, inputs: list[Constant | None]) -> Constant:
    first = _first(inputs)
    target = [int(each) for each in _of(inputs, 1).values.reshape(-1)[: _AXES + 1]]
    sides = [first.values.shape[at] if each == 0 else each for at, each in enumerate(target)]
    return Constant(
        first.values.reshape(sides), first.scale if first.scale is not None and first.scale.size == 1 else None
    )


def _squeeze(node: Node, inputs: list[Constant | None]) -> Constant:
    axes = axes_of(node, inputs)
    return Constant(np.squeeze(_first(inputs).values, None if axes is None else tuple(axes)))


def _unsqueeze(node: Node, inputs: list[Constant | None]) -> Constant:
    return Constant(np.expand_dims(_first(inputs).values, tuple(axes_of(node, inputs) or ())))


def _gather(node: Node, inputs: list[Constant | None]) -> Constant:
    values, indices = _first(inputs).values, _of(inputs, 1).values.astype(np.int64)
    axis = node.whole("axis", 0)
    if values.size // max(values.shape[axis], 1) * indices.size > MAX_ELEMENTS:
        raise ValueError("too many")
    return Constant(np.take(values, indices, axis))


def _slice(node: Node, inputs: list[Constant | None]) -> Constant:
    values = _first(inputs).values
    if values.ndim != 1 or len(inputs) < 3:
        raise ValueError("slices of vectors alone are taken")
    start, end, step = (int(_of(inputs, at).values.reshape(())) if at < len(inputs) else 1 for at in (1, 2, 4))
    return Constant(values[start:end:step])


def _concat(node: Node, inputs: list[Constant | None]) -> Constant:
    if sum(_of(inputs, at).values.size for at in range(len(inputs))) > MAX_ELEMENTS:
        raise ValueError("too many")
    return Constant(np.concatenate([_of(inputs, at).values for at in range(len(inputs))], node.whole("axis", 0)))


def _arithmetic(rule: Callable[[Any, Any], Any]) -> Callable[[Node, list[Constant | None]], Constant]:
    def take(node: Node, inputs: list[Constant | None]) -> Constant:
        one, other = _first(inputs).values, _of(inputs, 1).values
        if math.prod(np.broadcast_shapes(one.shape, other.shape)) > MAX_ELEMENTS:
            raise ValueError("too many")
        return Constant(np.asarray(rule(one, other)))

    return take


def _divide(one: NDArray[Any], other: NDArray[Any]) -> Any:
    if one.dtype.kind in "iu" and other.dtype.kind in "iu":
        if not other.all():
            raise ZeroDivisionError("division by 0")
        return one // other
    return one / other


def _remainder(one: NDArray[Any], other: NDArray[Any]) -> Any:
    if not other.all():
        raise ZeroDivisionError("division by 0")
    return one % other


def _quantise(node: Node, inputs: list[Constant | None]) -> Constant:
    values, (scales, zeros) = _first(inputs).values, scale_and_zero(node, inputs)
    limits, axis = np.iinfo(zeros.dtype), _axis(node, values, len(scales))
    scaled = np.rint(values / _along(scales, axis, values.ndim)) + _along(zeros, axis, values.ndim)
    return Constant(np.clip(np.nan_to_num(scaled), limits.min, limits.max).astype(zeros.dtype))


def _dequantise(node: Node, inputs: list[Constant | None]) -> Constant:
    values, (scales, zeros) = _first(inputs).values, scale_and_zero(node, inputs)
    if values.dtype.kind not in "iu":
        raise ValueError(f"numbers of type {values.dtype}")
    axis = _axis(node, values, len(scales))
    wide = values.astype(np.float64) - _along(zeros.astype(np.float64), axis, values.ndim)
    return Constant(wide * _along(scales, axis, values.ndim), scales, axis)


def _axis(node: Node, values: NDArray[Any], count: int) -> int:
    if count == 1:
        return 0
    axis = node.whole("axis", 1)
    axis = axis + values.ndim if axis < 0 else axis
    if not 0 <= axis < values.ndim or values.shape[axis] != count:
        raise ValueError(f"{count} scales along axis {axis} of {values.shape}")
    return axis


def _along(numbers: NDArray[Any], axis: int, ndim: int) -> NDArray[Any]:
    if numbers.size == 1:
        return numbers.reshape(())
    return numbers.reshape([len(numbers) if at == axis else 1 for at in range(ndim)])


_RULES: dict[str, Callable[[Node, list[Constant | None]], Constant]] = {
    "Constant": _value,
    "Identity": lambda node, inputs: _first(inputs),
    "Cast": lambda node, inputs: Constant(_first(inputs).values.astype(cast_type(node))),
    "Shape": lambda node, inputs: Constant(np.array(_first(inputs).values.shape, np.int64)),
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(_divide),
    "Mod": _arithmetic(_remainder),
    "QuantizeLinear": _quantise,
    "DequantizeLinear": _dequantise,
}
