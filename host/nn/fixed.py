"""What the layers that are never trained make of images, in exact whole numbers: the codes that a net learns from.

The front end of seed 000, which nearly all such nets have, takes the fast way of `preconv`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn.formats import FRONT_END_TOPS
from host.nn.layers import Architecture, FixedConv2d, LayerSpec, MaxPool2d, MinMaxNormalise, preconv_layers
from host.nn.preconv import convolve, preconv_features
from host.nn.windows import largest

_AT_ONCE = 256  # images, so that the temporaries stay small


def codes(architecture: Architecture, images: NDArray[np.uint8]) -> NDArray[Any]:
    """Return (N, channels, height, width) for u8 images (N, H, W), or (N, C, H, W) of several channels.

    Bytes behind a normalisation or where nothing is fixed, else int64.
    """
    maps = images.reshape(len(images), *architecture.input_shape)
    layers = architecture.layers[: architecture.fixed]
    shape = architecture.shapes[architecture.fixed]
    if not layers:
        return maps
    top = architecture.front_end_top
    if top in FRONT_END_TOPS and layers == preconv_layers(top) and maps.shape[1] == 1:
        return preconv_features(maps[:, 0], top).reshape(len(maps), *shape)
    found = np.empty((len(maps), *shape), np.uint8 if top else np.int64)
    for start in range(0, len(maps), _AT_ONCE):
        values: NDArray[Any] = maps[start : start + _AT_ONCE]
        for layer in layers:
            values = _applied(layer, values)
        found[start : start + _AT_ONCE] = values
    return found


def _applied(layer: LayerSpec, maps: NDArray[Any]) -> NDArray[Any]:
    """Return the whole numbers that a layer makes of maps (N, C, H, W)."""
    if isinstance(layer, FixedConv2d):
        return convolve(maps, np.array(layer.kernel), padding=layer.padding)
    if isinstance(layer, MaxPool2d):
        return largest(maps, layer.window, layer.strides)
    assert isinstance(layer, MinMaxNormalise)
    wide = maps.astype(np.int64)
    low, high = (edge(axis=(1, 2, 3), keepdims=True) for edge in (wide.min, wide.max))
    normalised: NDArray[Any] = (wide - low) * layer.top // np.maximum(high - low, 1)
    return normalised
