"""What layers of Keras say about themselves, as our layers have it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from host.importers.keras.config import Layer, shown
from host.nn.shapes import Pair


def fixed_shape(layer: Layer, value: object) -> tuple[int, ...]:
    """A shape without the batch."""
    if not isinstance(value, list) or len(value) < 2:
        raise layer.wrong(f"the input shape {shown(value)}", "a fixed one", "give the net an Input and save it again")
    return tuple(_side(layer, each) for each in value[1:])


def _side(layer: Layer, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 1 << 31:
        raise layer.wrong(f"a side of {shown(value)}", "whole numbers from 1", "give the net a fixed Input shape")
    return value


def reshaped(layer: Layer, sizes: tuple[int, ...]) -> tuple[int, ...]:
    target = layer.settings.get("target_shape")
    if not isinstance(target, list) or not 1 <= len(target) <= 3 or target.count(-1) > 1:
        raise layer.wrong(f"target_shape {shown(target)}", "one to three sides")
    known = [_side(layer, each) for each in target if each != -1]
    rest = math.prod(sizes) // math.prod(known)
    found = tuple(rest if each == -1 else int(each) for each in target)
    if math.prod(found) != math.prod(sizes):
        raise layer.wrong(f"{found} of {sizes}", "as many values")
    return found


def activation(layer: Layer) -> tuple[str, float | None]:
    """Its name and limit; a layer of its own class may stand for a name."""
    value = layer.settings.get("activation")
    if isinstance(value, dict):
        kind, config = value.get("class_name"), value.get("config")
        if isinstance(kind, str) and isinstance(config, dict) and kind in _AS_LAYER:
            return _AS_LAYER[kind](Layer(layer.path, kind, layer.name, config, layer.index))
        value = config if kind == "function" else value.get("class_name")
    if value is None:
        return "linear", None
    return ("relu", 6.0) if value == "relu6" else (str(value).lower(), None)


def rectifier(layer: Layer) -> tuple[str, float | None]:
    if layer.number("negative_slope", 0.0) or layer.number("threshold", 0.0):
        raise layer.wrong("a slope or threshold other than 0", "a plain ReLU", "train it with one")
    limit = layer.settings.get("max_value")
    return "relu", None if limit is None else layer.number("max_value", 0.0)


_AS_LAYER: dict[str, Callable[[Layer], tuple[str, float | None]]] = {
    "ReLU": rectifier,
    "Softmax": lambda layer: ("softmax", None),
}


def geometry(layer: Layer) -> tuple[Pair, Pair]:
    """Kernel and strides (height, width) of a convolution; of one dimension as a map of one row."""
    check_order(layer)
    count = 1 if layer.kind.endswith("1D") else 2
    if set(layer.sizes("dilation_rate", count, 1)) != {1}:
        found = f"dilation_rate {shown(layer.settings['dilation_rate'])}"
        raise layer.wrong(found, "1", "train without dilation, or with a larger kernel")
    return pair(layer.sizes("kernel_size", count, 1)), pair(layer.sizes("strides", count, 1))


def pair(sizes: tuple[int, ...]) -> Pair:
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def check_order(layer: Layer) -> None:
    order = layer.text("data_format", "channels_last")
    if order != "channels_last":
        raise layer.wrong(f"data_format {shown(order)}", "channels_last", "convert the net to channels_last")


def with_bias(layer: Layer, *names: str) -> Iterator[str]:
    yield from names
    if layer.flag("use_bias", True):
        yield "bias"


def shaped_kernel(layer: Layer, weights: NDArray[np.generic], kernel: Pair) -> NDArray[np.generic]:
    """(height, width, inputs, outputs) of a kernel, which has no height in one dimension."""
    shaped = weights[None] if weights.ndim == 3 else weights
    if shaped.ndim != 4 or shaped.shape[:2] != kernel:
        raise layer.wrong(f"a kernel {weights.shape}", f"one of {kernel}", "save the net again")
    return shaped


def by_channel(weights: NDArray[np.generic]) -> NDArray[np.generic]:
    """A depthwise kernel (height, width, channels, of each) as (outputs, 1, height, width)."""
    height, width, channels, each = weights.shape
    rows: NDArray[np.generic] = weights.transpose(2, 3, 0, 1).reshape(channels * each, 1, height, width)
    return rows
