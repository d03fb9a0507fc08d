"""Goes along the operators of a graph once, from its input to its scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.base import Options, refused
from host.importers.codes import code_of
from host.importers.onnx import compute
from host.importers.onnx.compute import Inputs
from host.importers.onnx.constants import Constant, axes_of, cast_type, folded, scale_and_zero
from host.importers.onnx.graph import Graph, Node
from host.importers.onnx.scores import ENDS, take_end
from host.importers.onnx.state import BRANCH, Kind, State
from host.nn.network import Network

Take = Callable[[State, Node, Inputs], None]
_MAPS = {(0, 3, 1, 2), (0, 2, 3, 1), (0, 2, 1)}
"""Orders of axes that a Transpose may bring: channels to the front or to the end."""
_WAYS_OUT = {
    **dict.fromkeys(("LeakyRelu", "PRelu", "Elu", "Selu", "HardSwish", "HardSigmoid", "Gelu"), "train it with ReLU"),
    **dict.fromkeys(("Tanh", "Sigmoid", "Softplus", "Softsign", "Erf", "Exp", "Swish"), "train it with ReLU"),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"), "quantise with QuantFormat.QDQ"),
    "ConvTranspose": "train a net of convolutions, pools and dense layers",
    "LayerNormalization": "train it with batch normalisation",
    "InstanceNormalization": "train it with batch normalisation",
    "If": "export the net for inference",
    "Loop": "export the net for inference",
}


def walk(path: Path, graph: Graph, options: Options) -> State:
    """Put every operator into the steps of a State."""
    state = State(path, graph, options)
    for node in graph.nodes:
        _take(state, node)
    for name in graph.outputs:
        if name != state.head and name not in state.tail and name not in state.constants:
            raise refused(path, "output", f"{_shown(name)} beside the scores", "the scores alone", BRANCH)
    if not state.has_begun:
        raise refused(path, "nodes", "no layer", "convolutions, pools or dense layers", "export another net")
    return state


def network(state: State, engine: str, options: Options) -> Network:
    """What the steps make."""
    names = options.labels or state.labels
    steps = state.chain
    if names is not None and options.labels is None and len(names) != _scores(steps):
        names = None
    return steps.finish(engine, names)


def _scores(steps: Kind) -> int:
    return steps.shape[0]


def _take(state: State, node: Node) -> None:
    for name in node.outputs:
        if name and (name in state.constants or name in state.tail or name == state.head):
            raise node.wrong(f"a second tensor {_shown(name)}", "each name once")
    inputs = [state.constant(name) for name in node.inputs]
    moving = [name for name in node.inputs if name and name not in state.constants]
    if not moving:
        _take_constants(state, node, inputs)
    elif any(name in state.tail for name in moving) or (node.op in ENDS and moving == [state.head]):
        take_end(state, node, inputs, moving)
    elif any(name != state.head for name in moving):
        other = next(name for name in moving if name != state.head)
        raise node.wrong(f"{_shown(other)}, from which the net has gone on", "a chain of layers", BRANCH)
    elif node.op == "Shape":
        state.constants[node.outputs[0]] = Constant(np.array(state.sizes, np.int64))
    elif state.tail:
        raise node.wrong(f"it beside {state.left[0]}", "nothing more", BRANCH)
    else:
        take = _TAKE.get(node.op)
        if take is None:
            need = f"one of {', '.join(sorted(_TAKE))}"
            do = _WAYS_OUT.get(node.op.split(".")[-1], "train a net of convolutions, pools, dense layers and ReLU")
            raise node.wrong("an operator that no board computes", need, do)
        take(state, node, inputs)
        state.head = node.outputs[0]


def _take_constants(state: State, node: Node, inputs: Inputs) -> None:
    found = folded(node, inputs)
    if found is None or len(node.outputs) != 1:
        raise node.wrong("it on constants", "what exporters compute of shapes", "export the net for inference")
    state.constants[node.outputs[0]] = found


def _shown(name: str) -> str:
    return repr(name[:40])


def _same(state: State, node: Node, inputs: Inputs) -> None:
    """Dropout and Identity: nothing, outside training."""


def _cast(state: State, node: Node, inputs: Inputs) -> None:
    if np.dtype(cast_type(node)).kind != "f":
        raise node.wrong("what travels made whole", "floats", "export the net for inference")


def _reshape(state: State, node: Node, inputs: Inputs) -> None:
    target = inputs[1] if len(inputs) > 1 else None
    if target is None or target.values.ndim != 1 or target.values.dtype.kind != "i" or not 1 <= target.values.size <= 8:
        raise node.wrong("a shape that is computed of the numbers", "a constant one")
    sizes = [state.sizes[at] if each == 0 and at < len(state.sizes) else each for at, each in _counted(target.values)]
    state.reshape(node, sizes)


def _counted(values: NDArray[Any]) -> list[tuple[int, int]]:
    return list(enumerate(int(each) for each in values))


def _flatten(state: State, node: Node, inputs: Inputs) -> None:
    axis, count = node.whole("axis", 1), len(state.sizes)
    if axis not in (1, 1 - count):
        raise node.wrong(f"axis {axis}", "1", "flatten each image by itself")
    state.reshape(node, [state.sizes[0], -1])


def _squeeze(state: State, node: Node, inputs: Inputs) -> None:
    axes, sizes = axes_of(node, inputs), state.sizes
    gone = (
        {at for at, side in enumerate(sizes) if side == 1 and at} if axes is None else {at % len(sizes) for at in axes}
    )
    if any(sizes[at] != 1 for at in gone) or 0 in gone:
        raise node.wrong(f"axes {axes} of {state.shown(sizes)}", "axes of one, not the images'")
    state.reshape(node, [side for at, side in enumerate(sizes) if at not in gone])


def _unsqueeze(state: State, node: Node, inputs: Inputs) -> None:
    axes = axes_of(node, inputs) or []
    count = len(state.sizes) + len(axes)
    new, sizes = {at % count for at in axes}, list(state.sizes)
    if count > 8 or 0 in new or len(new) != len(axes):
        raise node.wrong(f"axes {axes[:8]} of {state.shown(sizes)}", "axes behind the images'")
    state.reshape(node, [1 if at in new else sizes.pop(0) for at in range(count)])


def _transpose(state: State, node: Node, inputs: Inputs) -> None:
    """Channels to the front, or to the end; what is flattened then is flattened in that order."""
    count = len(state.sizes)
    order = tuple(node.wholes("perm") or reversed(range(count)))
    if order == tuple(range(count)):
        return
    if order not in _MAPS or len(order) != count:
        raise node.wrong(f"the order {order[:8]}", "channels to the front or to the end", "export with channels first")
    if not state.has_begun:
        state.begin({(0, 3, 1, 2): "NHWC", (0, 2, 3, 1): "NCHW", (0, 2, 1): "NWC"}[order])
    state.rename("".join(state.axes[at] for at in order))


def _quantise(state: State, node: Node, inputs: Inputs) -> None:
    """Also its reverse, which changes no code."""
    scales, zeros = scale_and_zero(node, inputs)
    zero = code_of(node.place, state.path, zeros)
    state.put(lambda steps: steps.quantise(node.place, float(scales[0]), zero))  # type: ignore[union-attr]


_TAKE: dict[str, Take] = {
    "Conv": compute.conv,
    "Gemm": compute.gemm,
    "MatMul": compute.mat_mul,
    "MaxPool": compute.max_pool,
    "AveragePool": compute.average_pool,
    "GlobalAveragePool": compute.global_pool,
    "GlobalMaxPool": compute.global_pool,
    "ReduceMean": compute.reduce_mean,
    "Relu": compute.relu,
    "Clip": compute.clip,
    "BatchNormalization": compute.batch_norm,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), compute.arithmetic),
    "ai.onnx.ml.Scaler": compute.scaler,
    "Pad": compute.pad,
    **dict.fromkeys(("Identity", "Dropout"), _same),
    "Cast": _cast,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _quantise),
}
