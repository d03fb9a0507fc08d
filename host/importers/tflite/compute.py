"""Operators that compute: each becomes a layer, or goes into one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.tflite import integers
from host.importers.tflite.file import FLOAT, INT8, Operator, Tensor
from host.importers.tflite.layers import turned
from host.importers.tflite.state import AGAIN, CHAIN, NO_PADS, OTHERWISE, RELUS, Walk
from host.nn.layers import AveragePool2d, Conv2d, Dense, MaxPool2d
from host.nn.scaling import Scaling
from host.nn.shapes import Pair


def conv(walk: Walk, op: Operator) -> None:
    source, filters = walk.checked(op), walk.filters(op, 4)
    outputs, kernel = filters.shape[0], (filters.shape[1], filters.shape[2])
    _convolve(walk, op, source, outputs, kernel, filters.shape[3], 0, lambda weights: weights.transpose(0, 3, 1, 2))


def depthwise(walk: Walk, op: Operator) -> None:
    source, filters = walk.checked(op), walk.filters(op, 4)
    outputs, kernel = filters.shape[3], (filters.shape[1], filters.shape[2])
    if filters.shape[0] != 1 or op.options["DepthMultiplier"] * source.shape[-1] != outputs:
        found = f"weights {filters.shape} and a depth multiplier of {op.options['DepthMultiplier']}"
        raise walk.file.refused(op, found, f"(1, height, width, {source.shape[-1]} · multiplier)", AGAIN)
    _convolve(walk, op, source, outputs, kernel, 1, 3, lambda weights: weights.transpose(3, 0, 1, 2))


def _convolve(
    walk: Walk,
    op: Operator,
    source: Tensor,
    outputs: int,
    kernel: Pair,
    share: int,
    axis: int,
    arrange: Callable[[NDArray[Any]], NDArray[Any]],
) -> None:
    is_turned = walk.enter_map(op, source)
    assert walk.chain.map is not None
    channels = walk.chain.map[0]
    for name in ("DilationHFactor", "DilationWFactor"):
        if op.options[name] != 1:
            do = "train it with a dilation of 1, or a larger kernel"
            raise walk.file.refused(op, f"dilation {op.options[name]}", "1", do)
    if channels % share or outputs % (channels // share):
        found = f"weights for {share} channels of {channels}, {outputs} outputs"
        raise walk.file.refused(op, found, "a divisor of both", AGAIN)
    over = walk.window(op, source, kernel, is_turned).padded(walk.pads)
    walk.pads = NO_PADS
    for pad, size in zip(over.pads, over.kernel * 2, strict=True):
        if pad >= size:
            do = "pad less, or train with a larger kernel"
            raise walk.file.refused(op, f"padding of {pad} under a kernel of {size}", f"up to {size - 1}", do)
    sides = walk.check_steps(op, over, is_turned, outputs)
    relu = walk.activation(op)
    numbers = walk.weights.of(op, outputs, turned(arrange) if is_turned else arrange, axis, walk.name(op))
    spec = Conv2d(outputs, over.kernel, over.strides, over.pads, channels // share)
    walk.chain.add(op, spec, numbers, relu, sides)


def dense(walk: Walk, op: Operator) -> None:
    source, filters = walk.checked(op), walk.filters(op, 2)
    units, inputs = filters.shape
    walk.check_no_pads(op)
    if walk.chain.is_empty:
        walk.begin(op, walk.start)
    if op.options["WeightsFormat"] != 0:
        raise walk.file.refused(op, "shuffled weights", "plain ones", AGAIN)
    if source.size != walk.chain.size or inputs != source.size or walk.file.tensors[op.outputs[0]].size != units:
        found = f"{inputs} weights a unit for {source.size} inputs"
        raise walk.file.refused(op, found, "one for each", "flatten before the dense layer")
    relu, shape = walk.activation(op), walk.chain.map
    walk.chain.flatten(op)

    def arrange(weights: NDArray[Any]) -> Any:
        """Inputs lie in the order row, column, channel; ours in channel, row, column."""
        if shape is None:
            return weights
        channels, height, width = shape
        return weights.reshape(units, height, width, channels).transpose(0, 3, 1, 2).reshape(units, inputs)

    walk.chain.add(op, Dense(units), walk.weights.of(op, units, arrange, 0, walk.name(op)), relu)


def max_pool(walk: Walk, op: Operator) -> None:
    _pool(walk, op, is_average=False)


def average_pool(walk: Walk, op: Operator) -> None:
    _pool(walk, op, is_average=True)


def _pool(walk: Walk, op: Operator, is_average: bool) -> None:
    source = walk.checked(op, keeps_scale=True)
    is_turned = walk.enter_map(op, source)
    walk.check_no_pads(op)
    assert walk.chain.map is not None
    size = int(op.options["FilterHeight"]), int(op.options["FilterWidth"])
    if min(size) < 1:
        raise walk.file.refused(op, f"a window of {size}", "sides from 1", AGAIN)
    over = walk.window(op, source, size, is_turned)
    if any(over.pads):
        do = "pool with VALID, or a map that the windows divide"
        raise walk.file.refused(op, f"padding {over.pads} that SAME adds", "none", do)
    sides = walk.check_steps(op, over, is_turned, walk.chain.map[0])
    # Where there is one window, its stride says nothing.
    first, second = (
        size if steps == 1 else by for size, by, steps in zip(over.kernel, over.strides, sides, strict=True)
    )
    if is_average and (first, second) != over.kernel:
        do = "pool with strides of the window's size"
        raise walk.file.refused(op, f"windows of {over.kernel} each {over.strides}", "them side by side", do)
    relu = walk.activation(op)
    walk.chain.pool(op, AveragePool2d(over.kernel) if is_average else MaxPool2d(over.kernel, (first, second)), sides)
    walk.hold(op, relu)


def mean(walk: Walk, op: Operator) -> None:
    source, target = walk.checked(op), walk.file.tensors[op.outputs[0]]
    walk.check_no_pads(op)
    axes = walk.weights.constant(op, 1, "axes")
    reduced = {int(axis) % len(source.shape) for axis in axes if -len(source.shape) <= axis < len(source.shape)}
    between = set(range(1, len(source.shape) - 1))
    must = {axis for axis in between if source.shape[axis] > 1}
    if len(axes) > len(source.shape) or not must <= reduced <= between or not reduced:
        found = f"axes {[int(axis) for axis in axes[:8]]} of {source.shape}"
        raise walk.file.refused(op, found, "the mean over height and width", "use global average pooling")
    if len(source.shape) == 4:
        walk.enter_map(op, source)
    if walk.chain.map is None or source.size != walk.chain.size or target.size != source.shape[-1]:
        raise walk.file.refused(op, f"a mean of {source.shape}", "one over a map", "put it before flattening")
    channels, height, width = walk.chain.map
    rows = None
    if source.kind == INT8:
        with walk.weights.overflowing(op):
            rows = integers.mean_rows(source, target, channels, height * width)
    walk.chain.pool(op, AveragePool2d((height, width)), (1, 1), rows)


def relu(walk: Walk, op: Operator) -> None:
    source, target = walk.checked(op, keeps_scale=True), walk.file.tensors[op.outputs[0]]
    walk.check_no_pads(op)
    if walk.chain.is_empty:
        raise walk.file.refused(op, "it on the input", "it behind a layer with weights", "leave it out")
    if source.kind == INT8 and source.scales[0] != target.scales[0]:
        raise walk.file.refused(op, "another scale behind it", "the same", "convert the net again, fusing it")
    walk.hold(op, RELUS[op.name])


def affine(walk: Walk, op: Operator) -> None:
    """ADD or MUL of constants: a batch normalisation, or a normalisation of the input."""
    source, target = walk.file.tensors[walk.at], walk.file.tensors[op.outputs[0]]
    if {source.kind, target.kind} != {FLOAT}:
        raise walk.file.refused(op, f"{op.name} of {source.kind}", "it in a net of floats", OTHERWISE)
    walk.check_no_pads(op)
    at = 1 - op.inputs.index(walk.at)
    numbers = walk.weights.constant(op, at, "numbers").astype(np.float32)
    shape = walk.file.tensors[op.inputs[at]].shape
    if numbers.size != (shape[-1] if shape else 1) or source.size != target.size:
        raise walk.file.refused(op, f"numbers {shape}", "one, or one for each channel", CHAIN)
    if not np.isfinite(numbers).all():
        raise walk.file.refused(op, "NaN or infinity", "finite numbers", AGAIN)
    one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
    gain, offset = (numbers, none) if op.name == "MUL" else (one, numbers)
    if walk.chain.is_empty:
        _scale_input(walk, op, gain, offset)
    else:
        walk.chain.affine(op, gain, offset)
    if (relu := walk.activation(op)) is not None:
        walk.hold(op, relu)


def _scale_input(walk: Walk, op: Operator, gain: NDArray[np.float32], offset: NDArray[np.float32]) -> None:
    if len({*gain.tolist()}) > 1 or len({*offset.tolist()}) > 1 or gain[0] <= 0:
        found = "numbers that differ, or turn the sign of the input"
        raise walk.file.refused(op, found, "one above 0 for all inputs", "normalise the data instead")
    before = walk.scaling
    assert not isinstance(before.offset, np.ndarray)
    divisor = before.divisor / float(gain[0])
    walk.scaling = Scaling(before.offset - float(offset[0]) * divisor, divisor)
