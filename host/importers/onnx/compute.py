"""Operators that compute on maps or vectors: each becomes a layer, or goes into one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.onnx.constants import Constant, axes_of
from host.importers.onnx.graph import Node
from host.importers.onnx.state import BRANCH, State, numbers, scalar
from host.importers.steps import NO_PADS, same_pads
from host.nn.shapes import Pads, Pair

Inputs = list[Constant | None]
_INFINITE = 1e30
"""What some exporters write for a limit that there is not."""


def conv(state: State, node: Node, inputs: Inputs) -> None:
    state.begin_map(node)
    weights = numbers(node, _at(inputs, 1), "weights")
    _check_dilations(node)
    if weights.ndim != len(state.sizes):
        raise node.wrong(f"weights {weights.shape}", "(outputs, channels, rows, columns)")
    kernel = _pair(node, list(weights.shape[2:]))
    if (said := node.wholes("kernel_shape")) is not None and said != list(weights.shape[2:]):
        raise node.wrong(f"kernel_shape {said} for weights {weights.shape}", "the same")
    strides = _sides(node, state, "strides")
    pads = _pads(node, state, kernel, strides)
    shaped = weights.reshape(*weights.shape[:2], *kernel)
    scales = inputs[1].rows(0, len(weights)) if inputs[1] is not None else None
    bias = _bias(node, inputs, len(weights))
    state.chain.conv(node.place, shaped, bias, strides, pads, node.whole("group", 1), scales)


def gemm(state: State, node: Node, inputs: Inputs) -> None:
    state.begin_vector(node)
    weights = numbers(node, _at(inputs, 1), "weights")
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    if weights.ndim != 2 or node.whole("transA", 0):
        raise node.wrong(f"weights {weights.shape}, transA {node.whole('transA', 0)}", "(inputs, outputs) and 0")
    turned = weights if node.whole("transB", 0) else weights.T
    assert inputs[1] is not None
    scales = inputs[1].rows(0 if node.whole("transB", 0) else 1, len(turned))
    if state.is_quantised and (alpha, beta) != (1.0, 1.0):
        raise node.wrong(f"alpha {alpha:g} and beta {beta:g}", "1", "quantise the net again")
    bias = _bias(node, inputs, len(turned))
    scaled = turned if alpha == 1.0 else turned * np.float64(alpha)
    state.chain.dense(node.place, scaled, bias if bias is None or beta == 1.0 else bias * np.float64(beta), scales)
    state.rename("NF")


def mat_mul(state: State, node: Node, inputs: Inputs) -> None:
    state.begin_vector(node)
    weights = numbers(node, _at(inputs, 1), "weights behind what travels")
    if weights.ndim != 2:
        raise node.wrong(f"weights {weights.shape}", "(inputs, outputs)")
    assert inputs[1] is not None
    state.chain.dense(node.place, weights.T, None, inputs[1].rows(1, weights.shape[1]))
    state.rename("NF")


def max_pool(state: State, node: Node, inputs: Inputs) -> None:
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.wrong("a second output", "the maxima alone", BRANCH)
    window, strides = _window(state, node)
    state.chain.max_pool(node.place, window, strides)


def average_pool(state: State, node: Node, inputs: Inputs) -> None:
    window, strides = _window(state, node)
    state.chain.average_pool(node.place, window, strides)


def global_pool(state: State, node: Node, inputs: Inputs) -> None:
    state.begin_map(node)
    if node.op == "GlobalAveragePool":
        state.chain.global_average_pool(node.place)
    else:
        state.chain.global_max_pool(node.place)


def reduce_mean(state: State, node: Node, inputs: Inputs) -> None:
    """Over rows and columns it is a pool."""
    state.begin_map(node)
    axes = axes_of(node, inputs)
    count = len(state.axes)
    named = {each % count for each in axes or () if -count <= each < count}
    if axes is None or named != set(range(2, count)):
        raise node.wrong(f"axes {axes}", "rows and columns")
    state.chain.global_average_pool(node.place)
    if not node.whole("keepdims", 1):
        state.rename("NC")


def relu(state: State, node: Node, inputs: Inputs) -> None:
    state.put(lambda steps: steps.relu(node.place))


def clip(state: State, node: Node, inputs: Inputs) -> None:
    """From 0 to a limit."""
    ends = []
    for at, name in ((1, "min"), (2, "max")):
        given = _at(inputs, at)
        if len(node.inputs) > at and node.inputs[at] and given is None:
            raise node.wrong(f"a computed {name}", "a constant")
        default = -np.inf if at == 1 else np.inf
        ends.append(node.number(name, default) if given is None else scalar(node, given.values, name))
    low, high = ends
    if low != 0:
        raise node.wrong(f"{low:g}..{high:g}", "0 and up", "train the net with ReLU or ReLU6")
    limit = None if high > _INFINITE else high
    state.put(lambda steps: steps.relu(node.place, limit))


def batch_norm(state: State, node: Node, inputs: Inputs) -> None:
    if node.whole("training_mode", 0):
        raise node.wrong("training mode", "inference", "call .eval() before the export")
    if len(state.sizes) == 2:
        state.begin_vector(node)
    else:
        state.begin_map(node)
    names = ("scale", "shift", "mean", "variance")
    scale, shift, mean, variance = (
        numbers(node, _at(inputs, at), name).astype(np.float64).reshape(-1) for at, name in enumerate(names, 1)
    )
    if not len(scale) == len(shift) == len(mean) == len(variance):
        raise node.wrong("numbers of different counts", "one a channel")
    factor = scale / np.sqrt(variance + node.number("epsilon", 1e-5))
    state.chain.affine(node.place, factor, shift - mean * factor)


def arithmetic(state: State, node: Node, inputs: Inputs) -> None:
    """Add, Sub, Mul, Div of what travels and a constant."""
    known = [each for each in inputs if each is not None]
    if len(inputs) != 2 or len(known) != 1:
        raise node.wrong("two tensors that are computed", "a constant as one of them", BRANCH)
    values = state.by_channel(node, known[0].values).astype(np.float64)
    is_behind = inputs[1] is not None
    if node.op in ("Add", "Sub"):
        signs = {"Add": (1, 1), "Sub": (1, -1) if is_behind else (-1, 1)}[node.op]
        factor, shift = np.array([signs[0]], np.float64), values * signs[1]
    elif node.op == "Mul" or is_behind:
        factor, shift = values if node.op == "Mul" else 1 / values, np.zeros(1)
    else:
        raise node.wrong("a constant divided by what travels", "a division by a constant", "train without it")
    state.put(lambda steps: steps.affine(node.place, factor, shift))


def scaler(state: State, node: Node, inputs: Inputs) -> None:
    """(x − offset) · scale, as scikit-learn's scalers become."""
    offset, scale = (
        state.by_channel(node, np.asarray(node.attributes.get(name, default), np.float64).reshape(-1))
        for name, default in (("offset", 0.0), ("scale", 1.0))
    )
    state.put(lambda steps: steps.affine(node.place, scale, -offset * scale))


def pad(state: State, node: Node, inputs: Inputs) -> None:
    """Zeros around a map."""
    state.begin_map(node)
    given = _at(inputs, 1)
    amounts = node.wholes("pads") if given is None else [int(each) for each in given.values.reshape(-1)[:16]]
    value = _at(inputs, 2)
    filled = node.number("value", 0.0) if value is None else scalar(node, value.values, "value")
    count = len(state.axes)
    if node.text("mode", "constant") != "constant" or filled != 0 or len(inputs) > 3:
        raise node.wrong(f"mode {node.text('mode', 'constant')}, value {filled:g}", "zeros", "pad with zeros")
    if amounts is None or len(amounts) != 2 * count or any(amounts[at] for at in (0, 1, count, count + 1)):
        raise node.wrong(f"pads {amounts}", "rows and columns around a map")
    top, left = (0, *amounts[2:count])[-2:]
    bottom, right = (0, *amounts[count + 2 :])[-2:]
    state.chain.pad(node.place, (top, left, bottom, right))


def _at(inputs: Inputs, at: int) -> Constant | None:
    return inputs[at] if at < len(inputs) else None


def _bias(node: Node, inputs: Inputs, outputs: int) -> NDArray[Any] | None:
    if len(node.inputs) < 3 or not node.inputs[2]:
        return None
    bias = numbers(node, _at(inputs, 2), "biases")
    if bias.size not in (1, outputs):
        raise node.wrong(f"biases {bias.shape}", f"{outputs}")
    return np.broadcast_to(bias.reshape(-1), (outputs,))


def _pair(node: Node, sides: list[int]) -> Pair:
    """(height, width) of sizes along rows and columns, or along columns alone."""
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise node.wrong(f"sizes {sides[:8]}", "one or two from 1")
    return (1, sides[0]) if len(sides) == 1 else (sides[0], sides[1])


def _sides(node: Node, state: State, name: str) -> Pair:
    given = node.wholes(name)
    return _pair(node, [1] * (len(state.axes) - 2) if given is None else given)


def _check_dilations(node: Node) -> None:
    if set(node.wholes("dilations") or [1]) != {1}:
        found = f"dilations {(node.wholes('dilations') or [])[:8]}"
        raise node.wrong(found, "1", "train without dilation, or with a larger kernel")


def _pads(node: Node, state: State, kernel: Pair, strides: Pair) -> Pads:
    kind = node.text("auto_pad", "NOTSET")
    if kind in ("SAME_UPPER", "SAME_LOWER"):
        return same_pads(state.chain.sides(node.place), kernel, strides, more_at_end=kind == "SAME_UPPER")
    given = node.wholes("pads")
    if kind == "VALID" or given is None:
        return NO_PADS
    if kind != "NOTSET" or len(given) != 2 * (len(state.axes) - 2) or min(given) < 0:
        raise node.wrong(f"auto_pad {kind}, pads {given[:8]}", "zeros at each side")
    half = len(given) // 2
    top, left = (0, *given[:half])[-2:]
    bottom, right = (0, *given[half:])[-2:]
    return top, left, bottom, right


def _window(state: State, node: Node) -> tuple[Pair, Pair]:
    """Of a pool without padding, and without windows that reach beyond the map."""
    state.begin_map(node)
    _check_dilations(node)
    said = node.wholes("kernel_shape")
    if said is None:
        raise node.wrong("no kernel_shape", "one")
    window, strides = _pair(node, said), _sides(node, state, "strides")
    sides = state.chain.shape[1:]
    if any(_pads(node, state, window, strides)):
        raise node.wrong("padding", "windows that lie in the map", "train the pool without padding")
    if node.whole("ceil_mode", 0):
        steps = zip(sides, window, strides, strict=True)
        if any((side - size) % step for side, size, step in steps):
            raise node.wrong("ceil_mode where windows reach beyond the map", "ceil_mode 0", "train without it")
    return window, strides
