"""Operators that compute: each becomes a layer, or goes into one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.tflite.file import FLOAT, INT8, Operator, Tensor
from host.importers.tflite.layers import turned
from host.importers.tflite.state import AGAIN, CHAIN, LIMITS, OTHERWISE, Walk
from host.nn.shapes import Pair


def conv(walk: Walk, op: Operator) -> None:
    source, filters = walk.checked(op), walk.filters(op, 4)
    outputs, kernel = filters.shape[0], (filters.shape[1], filters.shape[2])
    _convolve(walk, op, source, outputs, kernel, filters.shape[3], 0, lambda weights: weights.transpose(0, 3, 1, 2))


def depthwise(walk: Walk, op: Operator) -> None:
    source, filters = walk.checked(op), walk.filters(op, 4)
    outputs, kernel = filters.shape[3], (filters.shape[1], filters.shape[2])
    channels = source.shape[-1] if source.shape else 0
    if filters.shape[0] != 1 or op.options["DepthMultiplier"] * channels != outputs:
        found = f"weights {filters.shape} and a depth multiplier of {op.options['DepthMultiplier']}"
        raise walk.file.refused(op, found, f"(1, height, width, {channels} · multiplier)", AGAIN)
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
    channels = walk.chain.shape[0]
    for name in ("DilationHFactor", "DilationWFactor"):
        if op.options[name] != 1:
            do = "train it with a dilation of 1, or a larger kernel"
            raise walk.file.refused(op, f"dilation {op.options[name]}", "1", do)
    if channels % share or outputs % (channels // share):
        found = f"weights for {share} channels of {channels}, {outputs} outputs"
        raise walk.file.refused(op, found, "a divisor of both", AGAIN)
    over = walk.window(op, source, kernel, is_turned)
    numbers = walk.weights.of(op, outputs, turned(arrange) if is_turned else arrange, axis)
    groups = channels // share
    walk.chain.conv(op.place, numbers.weights, numbers.bias, over.strides, over.pads, groups, numbers.scales)
    walk.check_made(op, is_turned)
    walk.activate(op)
    walk.count(op)


def dense(walk: Walk, op: Operator) -> None:
    """Inputs lie in the order row, column, channel."""
    source, filters = walk.checked(op), walk.filters(op, 2)
    units, inputs = filters.shape
    if not walk.has_begun:
        walk.begin(op, walk.start)
    if op.options["WeightsFormat"] != 0:
        raise walk.file.refused(op, "shuffled weights", "plain ones", AGAIN)
    size = math.prod(walk.chain.shape)
    if source.size != size or inputs != size or walk.file.tensors[op.outputs[0]].size != units:
        found = f"{inputs} weights a unit for {source.size} inputs"
        raise walk.file.refused(op, found, "one for each", "flatten before the dense layer")
    walk.chain.flatten(op.place, channels_last=True)
    numbers = walk.weights.of(op, units, lambda weights: weights, 0)
    walk.chain.dense(op.place, numbers.weights, numbers.bias, numbers.scales)
    walk.activate(op)
    walk.count(op)


def max_pool(walk: Walk, op: Operator) -> None:
    _pool(walk, op, is_average=False)


def average_pool(walk: Walk, op: Operator) -> None:
    _pool(walk, op, is_average=True)


def _pool(walk: Walk, op: Operator, is_average: bool) -> None:
    source = walk.checked(op, keeps_scale=True)
    is_turned = walk.enter_map(op, source)
    size = int(op.options["FilterHeight"]), int(op.options["FilterWidth"])
    if min(size) < 1:
        raise walk.file.refused(op, f"a window of {size}", "sides from 1", AGAIN)
    over = walk.window(op, source, size, is_turned)
    if any(over.pads):
        do = "pool with VALID, or a map that the windows divide"
        raise walk.file.refused(op, f"padding {over.pads} that SAME adds", "none", do)
    # Where there is one window, its stride says nothing.
    first, second = (
        window if side - window < by else by
        for side, window, by in zip(walk.chain.shape[1:], over.kernel, over.strides, strict=True)
    )
    pool = walk.chain.average_pool if is_average else walk.chain.max_pool
    pool(op.place, over.kernel, (first, second))
    walk.check_made(op, is_turned)
    walk.count(op)
    walk.activate(op)


def mean(walk: Walk, op: Operator) -> None:
    source, target = walk.checked(op), walk.file.tensors[op.outputs[0]]
    axes = walk.weights.constant(op, 1, "axes")
    reduced = {int(axis) % len(source.shape) for axis in axes if -len(source.shape) <= axis < len(source.shape)}
    between = set(range(1, len(source.shape) - 1))
    must = {axis for axis in between if source.shape[axis] > 1}
    if len(axes) > len(source.shape) or not must <= reduced <= between or not reduced:
        found = f"axes {[int(axis) for axis in axes[:8]]} of {source.shape}"
        raise walk.file.refused(op, found, "the mean over height and width", "use global average pooling")
    if len(source.shape) == 4:
        walk.enter_map(op, source)
    shape = walk.chain.shape if walk.has_begun else ()
    if len(shape) != 3 or source.size != math.prod(shape) or target.size != source.shape[-1]:
        raise walk.file.refused(op, f"a mean of {source.shape}", "one over a map", "put it before flattening")
    walk.chain.global_average_pool(op.place)
    walk.count(op)


def relu(walk: Walk, op: Operator) -> None:
    source, target = walk.checked(op, keeps_scale=True), walk.file.tensors[op.outputs[0]]
    if not walk.has_begun:
        raise walk.file.refused(op, "it on the input", "it behind a layer with weights", "leave it out")
    if source.kind == INT8 and source.scales[0] != target.scales[0]:
        raise walk.file.refused(op, "another scale behind it", "the same", "convert the net again, fusing it")
    walk.chain.relu(op.place, LIMITS[op.name])


def affine(walk: Walk, op: Operator) -> None:
    """ADD or MUL of constants: a batch normalisation, or a normalisation of the input."""
    source, target = walk.file.tensors[walk.at], walk.file.tensors[op.outputs[0]]
    if {source.kind, target.kind} != {FLOAT} or walk.kind == INT8:
        raise walk.file.refused(op, f"{op.name} of {source.kind}", "it in a net of floats", OTHERWISE)
    walk.kind = FLOAT
    at = 1 - op.inputs.index(walk.at)
    numbers = walk.weights.constant(op, at, "numbers").astype(np.float32)
    shape = walk.file.tensors[op.inputs[at]].shape
    if numbers.size != (shape[-1] if shape else 1) or source.size != target.size:
        raise walk.file.refused(op, f"numbers {shape}", "one, or one for each channel", CHAIN)
    if not np.isfinite(numbers).all():
        raise walk.file.refused(op, "NaN or infinity", "finite numbers", AGAIN)
    one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
    gain, offset = (numbers, none) if op.name == "MUL" else (one, numbers)
    if numbers.size > 1 and not walk.has_begun:
        walk.begin(op, walk.start)
    walk.put(lambda steps: steps.affine(op.place, gain, offset))
    walk.activate(op)
