"""Each layer that Keras has and a board can compute, put behind those before it. Keras counts maps by row, column,
channel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.importers.base import Options, scaling_of, shape_notes, vector_shape
from host.importers.chain import Chain
from host.importers.keras.archive import AGAIN, Saved, Weights
from host.importers.keras.config import Layer, shown
from host.importers.keras.settings import (
    activation,
    by_channel,
    check_order,
    fixed_shape,
    geometry,
    pair,
    rectifier,
    reshaped,
    shaped_kernel,
    with_bias,
)
from host.importers.steps import NO_PADS, same_pads
from host.nn.shapes import Pads, Pair

_NOTHING = {
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout"),
    *("ActivityRegularization", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast"),
    *("RandomBrightness", "InputLayer"),
}
"""What does something while a net is trained, if ever."""
_BEFORE = {"Reshape", "Rescaling", *_NOTHING}
"""What may stand before it is known of which shape the first map is."""
_WAYS_OUT = {
    "Lambda": "it is a program, and never run; put its arithmetic into Rescaling or BatchNormalization",
    "Sequential": "build the net of the inner one's layers: keras.Sequential([*inner.layers, ...])",
    "Functional": "build the net of the inner one's layers: keras.Sequential([*inner.layers, ...])",
    **dict.fromkeys(("LeakyReLU", "PReLU", "ELU", "ThresholdedReLU"), "train it with ReLU"),
}
_WAY_OUT = "train a net of convolutions, pools, dense layers and ReLU"

Take = Callable[["Walk", Layer], None]


class Walk:
    """Goes through the layers once."""

    def __init__(self, path: Path, saved: Saved, options: Options) -> None:
        self.path = path
        self.left: list[str] = []
        self._saved = saved
        self._taken: set[int] = set()
        """Layers that are part of the input."""
        self.axes = 0
        """How many axes what travels has to Keras, images first: (1, width, channels) and (width, channels) are the
        same map to the chain."""
        self.chain = self._begin(options)

    def take_all(self) -> None:
        """Put every layer into the chain."""
        for layer in self._saved.layers:
            if layer.kind in _NOTHING or layer.index in self._taken:
                continue
            if self.left:
                raise layer.wrong(f"it behind {self.left[0]}", "nothing there", "end the net with the activation")
            take = _TAKE.get(layer.kind)
            if take is None:
                need = f"one of {', '.join(sorted(_TAKE))}"
                raise layer.wrong("a layer that no board computes", need, _WAYS_OUT.get(layer.kind, _WAY_OUT))
            take(self, layer)

    def weights(self, layer: Layer, *names: str) -> Weights:
        """The arrays of a layer, all of which must be there."""
        found = self._saved.weights_of(layer, names)
        for name in names:
            if name not in found:
                raise layer.wrong(f"no {name}", f"{', '.join(names)}", AGAIN)
        return {name: found[name] for name in names}

    def activate(self, layer: Layer, name: str | None = None) -> None:
        """The activation that a layer has within it, or is."""
        kind, limit = activation(layer) if name is None else (name, None)
        place = layer.place if name is not None else f"{layer.place} activation"
        if kind == "relu":
            self.chain.relu(place, limit)
        elif kind == "softmax":
            self.left.append("softmax")
        elif kind == "sigmoid":
            self.chain.two_classes(place)
            self.left.append("sigmoid")
        elif kind != "linear":
            need = "relu, relu6, linear, or softmax at the end"
            raise layer.wrong(f"activation {shown(kind)}", need, "train it with relu")

    def pads(self, layer: Layer, kernel: Pair, strides: Pair) -> Pads:
        """Of a convolution or pool over the chain's map."""
        padding = layer.text("padding", "valid")
        if padding == "same":
            return same_pads(self.chain.sides(layer.place), kernel, strides)
        if padding == "causal" and layer.kind == "Conv1D":
            return (0, kernel[1] - 1, 0, 0)
        if padding != "valid":
            raise layer.wrong(f"padding {shown(padding)}", "valid or same")
        return NO_PADS

    def _begin(self, options: Options) -> Chain:
        """Of the input's shape, or of what it is reshaped to before anything is computed."""
        layers = self._saved.layers
        sizes = fixed_shape(
            layers[0], layers[0].settings.get("batch_shape", layers[0].settings.get("batch_input_shape"))
        )
        first: Layer | None = None
        for layer in layers:
            target = reshaped(layer, sizes) if layer.kind == "Reshape" else sizes
            if layer.kind not in _BEFORE or len(target) == 1 < len(sizes):
                first = layer
                break
            if layer.kind == "Reshape":
                sizes = target
                self._taken.add(layer.index)
        scaling = scaling_of(options)
        self.axes = 1 + len(sizes)
        if len(sizes) == 3:
            return Chain(self.path, (sizes[2], sizes[0], sizes[1]), scaling)
        if len(sizes) == 2:
            is_signal = first is not None and first.kind.endswith("1D")
            return Chain(self.path, (sizes[1], 1, sizes[0]) if is_signal else (1, *sizes), scaling)
        if len(sizes) != 1:
            need = "(height, width, channels), (steps, channels) or (features,)"
            raise layers[0].wrong(f"the shape {sizes}", need, "rebuild the net with such an input")
        shape = vector_shape(self.path, options, sizes[0])
        chain = Chain(self.path, shape, scaling)
        chain.notes += shape_notes(options, shape)
        chain.flatten("input")
        return chain


def _activation_layer(walk: Walk, layer: Layer) -> None:
    if layer.kind == "ReLU":
        walk.chain.relu(layer.place, rectifier(layer)[1])
    elif layer.kind == "Softmax":
        walk.activate(layer, "softmax")
    else:
        walk.activate(layer)


def _conv(walk: Walk, layer: Layer) -> None:
    kernel, strides = geometry(layer)
    weights = walk.weights(layer, *with_bias(layer, "kernel"))
    groups = layer.whole("groups", 1)
    numbers = _fitting(walk, layer, shaped_kernel(layer, weights["kernel"], kernel), groups).transpose(3, 2, 0, 1)
    pads = walk.pads(layer, kernel, strides)
    walk.chain.conv(layer.place, numbers, weights.get("bias"), strides, pads, groups)
    walk.activate(layer)


def _depthwise(walk: Walk, layer: Layer) -> None:
    kernel, strides = geometry(layer)
    weights = walk.weights(layer, *with_bias(layer, "kernel"))
    pads = walk.pads(layer, kernel, strides)
    shaped = _fitting(walk, layer, shaped_kernel(layer, weights["kernel"], kernel))
    walk.chain.conv(layer.place, by_channel(shaped), weights.get("bias"), strides, pads, shaped.shape[2])
    walk.activate(layer)


def _separable(walk: Walk, layer: Layer) -> None:
    """A depthwise convolution and a pointwise one behind it."""
    kernel, strides = geometry(layer)
    weights = walk.weights(layer, *with_bias(layer, "depthwise_kernel", "pointwise_kernel"))
    shaped = _fitting(walk, layer, shaped_kernel(layer, weights["depthwise_kernel"], kernel))
    pads = walk.pads(layer, kernel, strides)
    walk.chain.conv(f"{layer.place} depthwise", by_channel(shaped), None, strides, pads, shaped.shape[2])
    pointwise = _fitting(walk, layer, shaped_kernel(layer, weights["pointwise_kernel"], (1, 1)))
    walk.chain.conv(f"{layer.place} pointwise", pointwise.transpose(3, 2, 0, 1), weights.get("bias"))
    walk.activate(layer)


def _dense(walk: Walk, layer: Layer) -> None:
    """Over a map it works on each pixel by itself, as a pointwise convolution does."""
    weights = walk.weights(layer, *with_bias(layer, "kernel"))
    numbers, bias = weights["kernel"], weights.get("bias")
    inputs = walk.chain.shape[0]
    if numbers.ndim != 2 or len(numbers) != inputs:
        raise layer.wrong(f"a kernel {numbers.shape}", f"({inputs}, units)", AGAIN)
    if len(walk.chain.shape) == 3 and walk.chain.shape[1:] != (1, 1):
        walk.chain.conv(layer.place, numbers.T[:, :, None, None], bias)
    else:
        walk.chain.dense(layer.place, numbers.T, bias)
    walk.activate(layer)


def _fitting(walk: Walk, layer: Layer, kernel: NDArray[np.generic], groups: int = 1) -> NDArray[np.generic]:
    """The kernel (height, width, channels of a group, outputs), whose channels must be those of the map."""
    channels = walk.chain.shape[0]
    if groups > 0 and len(walk.chain.shape) == 3 and kernel.shape[2] * groups != channels:
        found = f"a kernel {kernel.shape} in {groups} group{'' if groups == 1 else 's'}"
        raise layer.wrong(found, f"one of {channels} channels", AGAIN)
    return kernel


def _pool(walk: Walk, layer: Layer) -> None:
    check_order(layer)
    count = 1 if layer.kind.endswith("1D") else 2
    sizes = layer.sizes("pool_size", count, 2)
    given = layer.settings.get("strides")
    window, strides = pair(sizes), pair(sizes if given is None else layer.sizes("strides", count, 1))
    if any(walk.pads(layer, window, strides) if len(walk.chain.shape) == 3 else ()):
        found = f"padding same over {walk.chain.shape[1]}x{walk.chain.shape[2]}"
        raise layer.wrong(found, "windows that fill the map", "train with padding valid")
    pool = walk.chain.average_pool if layer.kind.startswith("Average") else walk.chain.max_pool
    pool(layer.place, window, strides)


def _global_pool(walk: Walk, layer: Layer) -> None:
    check_order(layer)
    is_average = layer.kind.startswith("GlobalAverage")
    (walk.chain.global_average_pool if is_average else walk.chain.global_max_pool)(layer.place)
    if not layer.flag("keepdims", False):
        walk.axes = 2


def _batch_norm(walk: Walk, layer: Layer) -> None:
    axis = layer.settings.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, walk.axes - 1):
        raise layer.wrong(f"axis {shown(axis)}", "the last one", "train with channels last")
    names = [name for name, flag in (("gamma", "scale"), ("beta", "center")) if layer.flag(flag, True)]
    arrays = walk.weights(layer, *names, "moving_mean", "moving_variance")
    mean, variance = (arrays[name].astype(np.float64) for name in ("moving_mean", "moving_variance"))
    factor = arrays.get("gamma", np.ones(1)) / np.sqrt(variance + layer.number("epsilon", 1e-3))
    walk.chain.affine(layer.place, factor, arrays.get("beta", np.zeros(1)) - mean * factor)


def _rescaling(walk: Walk, layer: Layer) -> None:
    factor, shift = layer.number("scale", 1.0), layer.number("offset", 0.0)
    walk.chain.affine(layer.place, np.array([factor]), np.array([shift]))


def _padding(walk: Walk, layer: Layer) -> None:
    check_order(layer)
    value = layer.settings.get("padding", 1)
    rows, columns = value if isinstance(value, list) and len(value) == 2 else (value, value)
    sides = [[each, each] if isinstance(each, int) else each for each in (rows, columns)]
    if not all(isinstance(each, list) and len(each) == 2 and all(isinstance(n, int) for n in each) for each in sides):
        raise layer.wrong(f"padding {shown(value)}", "rows and columns at each side")
    (top, bottom), (left, right) = sides
    walk.chain.pad(layer.place, (top, left, bottom, right))


def _flatten(walk: Walk, layer: Layer) -> None:
    check_order(layer)
    walk.chain.flatten(layer.place, channels_last=True)
    walk.axes = 2


def _reshape(walk: Walk, layer: Layer) -> None:
    """One that is no part of the input may only flatten."""
    channels, *rest = walk.chain.shape
    before = (*rest, channels)
    target = reshaped(layer, before)
    if len(target) == 1:
        walk.chain.flatten(layer.place, channels_last=True)
    elif [side for side in target if side > 1] != [side for side in before if side > 1] or target[-1] != channels:
        raise layer.wrong(f"{before} made {target}", "a flattening", "reshape before the net, or not at all")
    walk.axes = 1 + len(target)


_TAKE: dict[str, Take] = {
    **dict.fromkeys(("Conv2D", "Conv1D"), _conv),
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    **dict.fromkeys(("MaxPooling2D", "MaxPooling1D", "AveragePooling2D", "AveragePooling1D"), _pool),
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalAveragePooling1D"), _global_pool),
    **dict.fromkeys(("GlobalMaxPooling2D", "GlobalMaxPooling1D"), _global_pool),
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaling,
    "ZeroPadding2D": _padding,
    "Flatten": _flatten,
    "Reshape": _reshape,
    **dict.fromkeys(("Activation", "ReLU", "Softmax"), _activation_layer),
}
