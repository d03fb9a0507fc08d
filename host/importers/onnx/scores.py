"""What is done with the scores behind the last layer: left to the host, as far as it changes no class.

Taken is what keeps the order of the scores, the choice of the largest, names for it, and what skl2onnx makes of one
score: a sigmoid p, then 1 − p, then both in that order. All else is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from host.errors import InputError
from host.importers.onnx.constants import Constant, cast_type, scale_and_zero
from host.importers.onnx.graph import Node
from host.importers.onnx.state import Behind, State

Inputs = list[Constant | None]
ENDS = {"Softmax", "LogSoftmax", "ArgMax", "Sigmoid", "TopK", "ai.onnx.ml.ZipMap"}
"""What makes the tensor before it the scores."""
_SILENT = {"Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "QuantizeLinear", "DequantizeLinear"}
"""What nobody needs to be told of."""
_TEXT = 8
_CLASS_TYPES = (1, 6, 7, 11, _TEXT)
"""Of ONNX's types those that hold any class: float, int32, int64, double, text."""


def take_end(state: State, node: Node, inputs: Inputs, moving: list[str]) -> None:
    """Go past one operator behind the last layer; `moving` are its inputs that are computed."""
    is_one = Behind.ONE in state.tail.values()  # the scores are two then, which the file's own tensor is not
    kinds = [state.tail.get(name, None if is_one or name != state.head else Behind.SCORES) for name in moving]
    rule = _RULES.get(node.op)
    if rule is None or None in kinds:
        raise _refused(node)
    if not state.tail:
        _begin(state, node)
    made = rule(state, node, inputs, [each for each in kinds if each is not None])
    state.tail.update({name: made for name in node.outputs if name})
    if node.op not in _SILENT and node.op not in state.left:
        state.left.append(node.op)


def _refused(node: Node) -> InputError:
    return node.wrong("it behind the scores", "softmax or the choice of the largest at most", "leave it out")


def _begin(state: State, node: Node) -> None:
    if not state.has_begun:
        raise node.wrong(f"it over the input, {state.shown(state.sizes)}", "it behind a layer")
    if node.op == "Sigmoid":
        _check_axis(state, node, -1, "train it with ReLU between its layers")
        state.chain.two_classes(node.place)
        state.rename("NF")


def _check_axis(state: State, node: Node, default: int, do: str = "export the net again") -> None:
    axis, count = node.whole("axis", default), len(state.sizes)
    if not -count <= axis < count or state.axes[axis] not in "CF":
        raise node.wrong(f"axis {axis} of {state.shown(state.sizes)}", "that of the classes", do)


def _softmax(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    _check_axis(state, node, -1)
    return _only(node, kinds, Behind.SCORES)


def _arg_max(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    _only(node, kinds, Behind.SCORES)
    _check_axis(state, node, 0)
    if node.whole("select_last_index", 0):
        raise node.wrong("select_last_index 1", "0", "choose the first of classes whose scores are equal")
    return Behind.CLASS


def _top_k(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    _only(node, kinds, Behind.SCORES)
    _check_axis(state, node, -1)
    if not node.whole("largest", 1) or not node.whole("sorted", 1):
        found = f"largest {node.whole('largest', 1)}, sorted {node.whole('sorted', 1)}"
        raise node.wrong(found, "1", "choose the largest score")
    return Behind.CLASS


def _sigmoid(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    if state.tail:
        raise _refused(node)
    return Behind.ONE


def _complement(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    """1 − p."""
    one = inputs[0] if len(inputs) == 2 else None
    if kinds != [Behind.ONE] or one is None or one.values.shape not in ((), (1,)) or one.values.reshape(-1)[0] != 1:
        raise _refused(node)
    return Behind.COMPLEMENT


def _both(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    """1 − p and p, which are in the order of the scores 0 and z."""
    if kinds != [Behind.COMPLEMENT, Behind.ONE] or len(inputs) != 2 or node.whole("axis", 0) not in (1, -1):
        do = "join 1 - p and p in this order, as skl2onnx does"
        raise node.wrong("it behind the scores", "softmax or the choice of the largest at most", do)
    return Behind.SCORES


def _zip_map(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    _only(node, kinds, Behind.SCORES)
    for name in ("classlabels_int64s", "classlabels_strings"):
        if node.attributes.get(name):
            _name_classes(state, node.attributes[name])
    return Behind.CLASS


def _names(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    """Of the classes, by the chosen one."""
    names = inputs[0] if len(inputs) == 2 else None
    if names is None:
        raise _refused(node)
    _only(node, kinds, Behind.CLASS)
    _name_classes(state, names.values.reshape(-1).tolist())
    return Behind.CLASS


def _same(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    return kinds[0]


def _reshaped(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    """The same numbers in the same order; which axis the classes lie along is not followed."""
    if len(kinds) != 1 or kinds[0] not in (Behind.SCORES, Behind.SHAPED, Behind.CLASS):
        raise _refused(node)
    return Behind.CLASS if kinds[0] is Behind.CLASS else Behind.SHAPED


def _cast(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    to = node.whole("to", 0)
    if kinds[0] is Behind.CLASS:
        if to not in _CLASS_TYPES:
            raise node.wrong(f"a class made type {to}", "a type that holds every class", "leave it out")
    elif to == _TEXT or np.dtype(cast_type(node)) not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise node.wrong("scores made whole, or rounded", "floats of 32 bits", "leave it out")
    return kinds[0]


def _codes(state: State, node: Node, inputs: Inputs, kinds: list[Behind]) -> Behind:
    """Rounded to the codes of one scale, or back: of the same order but for scores that become equal."""
    if kinds[0] not in (Behind.SCORES, Behind.SHAPED) or len(scale_and_zero(node, inputs)[0]) != 1:
        raise _refused(node)
    return kinds[0]


def _only(node: Node, kinds: list[Behind], need: Behind) -> Behind:
    if kinds != [need]:
        found = " and ".join(each.value for each in kinds)
        raise node.wrong(f"it over {found}", f"{need.value}", "leave it out")
    return need


def _name_classes(state: State, values: list[Any]) -> None:
    state.labels = tuple(str(int(each)) if isinstance(each, int | float) else str(each) for each in values)


_RULES: dict[str, Callable[[State, Node, Inputs, list[Behind]], Behind]] = {
    **dict.fromkeys(("Softmax", "LogSoftmax"), _softmax),
    "ArgMax": _arg_max,
    "TopK": _top_k,
    "Sigmoid": _sigmoid,
    "Sub": _complement,
    "Concat": _both,
    "ai.onnx.ml.ZipMap": _zip_map,
    "ai.onnx.ml.ArrayFeatureExtractor": _names,
    "Identity": _same,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshaped),
    "Cast": _cast,
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _codes),
}
