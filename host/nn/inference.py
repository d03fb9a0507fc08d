"""A net in use: scores and ranges of many codes by two threads, and numbers made ready for it."""

from collections.abc import Callable, Iterator
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn import numpy as layers
from host.nn.fold import normalised
from host.nn.layers import Architecture, BatchNorm, Conv2d, Dense, Dropout
from host.nn.parameters import Parameters, empty
from host.nn.scaling import Scaling
from host.nn.workers import Workers, one_blas_thread, worker_count

_BATCH = 64  # images through the layers at once: their buffers should stay in the cache


def scores(parameters: Parameters, scaling: Scaling, codes: NDArray[Any], at_once: int = _BATCH) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) for codes (N, H, W) or (N, C, H, W), so many at once; see `fixed.codes`."""
    architecture = parameters.architecture
    return through(lambda size: layers.Sequential(parameters, size), architecture, scaling, codes, at_once=at_once)


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

    architecture = parameters.architecture
    found = through(lambda size: layers.Sequential(parameters, size), architecture, scaling, codes, see)
    return found, tuple(tops.tolist())


def scores_and_magnitudes(
    parameters: Parameters, scaling: Scaling, codes: NDArray[Any]
) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
    """Return the scores, and by layer each image's largest output magnitude, (N,) in no particular order; none of fixed
    layers."""
    found: list[list[NDArray[np.float32]]] = [[] for _ in parameters.architecture.layers]

    def see(index: int, values: NDArray[Any]) -> None:
        found[index].append(np.abs(values).reshape(-1, values.shape[-1]).max(axis=0))  # appending needs no lock

    architecture = parameters.architecture
    answers = through(lambda size: layers.Sequential(parameters, size), architecture, scaling, codes, see)
    return answers, tuple(np.concatenate(each) if each else np.empty(0, np.float32) for each in found)


def through(
    make: Callable[[int], layers.Sequential],
    architecture: Architecture,
    scaling: Scaling,
    codes: NDArray[Any],
    see: layers.Observer = lambda index, values: None,
    at_once: int = _BATCH,
) -> NDArray[np.float32]:
    """Return scores (N, classes) of the net of `architecture` that `make` builds for a batch size.

    `see` is called by all workers, without a common order.
    """
    found = np.empty((len(codes), architecture.classes), np.float32)
    workers = Workers(worker_count(architecture))

    def work(number: int) -> None:
        net = cache(make)
        for rows in list(_chunks(len(codes), at_once))[number :: workers.size]:
            found[rows] = layers.observe(net(rows.stop - rows.start), scaling.apply(codes[rows]), see).T

    with one_blas_thread():
        workers.run(work)
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
        arrays.append((place, *normalised(weights, bias, factor, numbers["mean"], numbers["shift"])))
    result = empty(Architecture(parameters.architecture.input_shape, tuple(kept)), parameters.flat.dtype.type)
    for place, weights, bias in arrays:
        result.of(place)["weights"][...] = weights
        result.of(place)["bias"][...] = bias
    return result


def _chunks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
