"""A net in use: scores and ranges of many codes by two threads, and numbers made ready for it."""

from collections.abc import Callable, Iterator
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from host.errors import InputError
from host.nn import numpy as layers
from host.nn.layers import Architecture, BatchNorm, Conv2d, Dense, Dropout
from host.nn.parameters import Parameters, empty
from host.nn.scaling import Scaling
from host.nn.workers import Crew

_BATCH = 64  # images through the layers at once: their buffers should stay in the cache
_WORKERS = 2


def scores(parameters: Parameters, scaling: Scaling, codes: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) for codes (N, H, W) or (N, C, H, W); see `fixed.codes`."""
    classes = parameters.architecture.classes
    return through(lambda size: layers.Sequential(parameters, size), classes, scaling, codes)


def scores_and_ranges(
    parameters: Parameters, scaling: Scaling, codes: NDArray[Any]
) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Return the scores, and each layer's largest output magnitude over all images; 0 for fixed layers."""
    tops = np.zeros(len(parameters.architecture.layers))
    lock = Lock()

    def see(index: int, values: NDArray[Any]) -> None:
        top = max(float(values.max()), -float(values.min()))
        with lock:
            tops[index] = max(tops[index], top)

    classes = parameters.architecture.classes
    found = through(lambda size: layers.Sequential(parameters, size), classes, scaling, codes, see)
    return found, tuple(tops.tolist())


def through(
    make: Callable[[int], layers.Sequential],
    classes: int,
    scaling: Scaling,
    codes: NDArray[Any],
    see: layers.Observer = lambda index, values: None,
) -> NDArray[np.float32]:
    """Return scores (N, classes) of the net that `make` builds for a batch size.

    `see` is called by both workers, without a common order.
    """
    found = np.empty((len(codes), classes), np.float32)

    def work(number: int) -> None:
        net = cache(make)
        for rows in list(_chunks(len(codes)))[number::_WORKERS]:
            found[rows] = layers.observe(net(rows.stop - rows.start), scaling.apply(codes[rows]), see).T

    with threadpool_limits(limits=1, user_api="blas"):
        Crew(_WORKERS).run(work)
    return found


def for_use(parameters: Parameters) -> Parameters:
    """Return a net of the same scores without dropout and batch normalisation, which goes into the layer before it.

    Raises InputError where a normalisation does not directly follow a convolution or dense layer.
    """
    kept: list[Any] = []
    arrays: list[tuple[int, NDArray[Any], NDArray[Any]]] = []
    for index, layer in enumerate(parameters.architecture.layers):
        if isinstance(layer, Dropout):
            continue
        numbers = parameters.of(index)
        if not isinstance(layer, BatchNorm):
            if numbers:
                arrays.append((len(kept), numbers["weights"], numbers["bias"]))
            kept.append(layer)
            continue
        if not kept or not isinstance(kept[-1], Conv2d | Dense):
            found = type(kept[-1]).__name__ if kept else "the image"
            need = "Conv2d or Dense, to be folded into"
            raise InputError(f"architecture: layer {index} BatchNorm: found {found} before it, need {need}; move it")
        place, weights, bias = arrays.pop()
        factor = numbers["scale"] / np.sqrt(numbers["variance"] + layer.epsilon)
        folded = weights * factor.reshape(-1, *(1,) * (weights.ndim - 1))
        arrays.append((place, folded, (bias - numbers["mean"]) * factor + numbers["shift"]))
    result = empty(Architecture(parameters.architecture.input_shape, tuple(kept)), parameters.flat.dtype.type)
    for place, weights, bias in arrays:
        result.of(place)["weights"][...] = weights
        result.of(place)["bias"][...] = bias
    return result


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH))
