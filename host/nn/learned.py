"""A trained net of learned kernels as plain frozen data: what training hands to deployment, plots and evaluation.

Nothing here trains, quantises, reads a file or knows a board.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from host.errors import InputError
from host.nn import numpy as layers
from host.nn.layers import Architecture, BatchNorm, Conv2d, Dense, Dropout
from host.nn.network import Calibration, Provenance
from host.nn.parameters import Parameters, empty
from host.nn.workers import Crew

_BATCH = 64  # images through the layers at once: their buffers should stay in the cache
_WORKERS = 2


@dataclass(frozen=True)
class Scaling:
    """The first layer's input is (pixel − offset) / divisor."""

    offset: int = 0
    divisor: float = 255.0

    def apply(self, images: NDArray[np.uint8], dtype: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
        """Return (1, H, W, N), the batch last, for images (N, H, W)."""
        count, height, width = images.shape
        x: NDArray[Any] = np.subtract(images.reshape(count, -1).T, dtype(self.offset), dtype=dtype, order="C")
        x *= dtype(1 / self.divisor)
        return x.reshape(1, height, width, count)


@dataclass(frozen=True, eq=False)
class Tuned:
    """The numbers of a net that was trained on as its weights are rounded to one format, and the steps it learned.

    Weights are whole multiples of their row's step, activations behind a ReLU count in that layer's output step.
    """

    format: str
    parameters: Parameters
    weight_steps: tuple[NDArray[np.float32] | None, ...]  # by layer: (rows,), all equal in the last; None: no weights
    output_steps: tuple[float, ...]  # by layer; 0 where nothing is rounded


@dataclass(frozen=True, eq=False)
class LearnedNetwork:
    """An architecture with its numbers, batch normalisation folded and dropout removed.

    `output_max` holds, for each layer, the largest magnitude that it put out over the training images. `tuned` holds at
    most one set of numbers for each format; formats without one are rounded from `parameters`.
    """

    parameters: Parameters
    scaling: Scaling
    labels: tuple[str, ...]
    provenance: Provenance
    output_max: tuple[float, ...]
    calibrations: tuple[Calibration, ...] = ()  # what deployment measured on the training images
    tuned: tuple[Tuned, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """The layers."""
        return self.parameters.architecture

    def tuned_for(self, fmt: str) -> Tuned | None:
        """Return the numbers that were trained on for a format."""
        return next((tuned for tuned in self.tuned if tuned.format == fmt), None)


def scores(parameters: Parameters, scaling: Scaling, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) for u8 images (N, H, W)."""
    classes = parameters.architecture.classes
    return through(lambda size: layers.Sequential(parameters, size), classes, scaling, images)


def scores_and_ranges(
    parameters: Parameters, scaling: Scaling, images: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Return the scores, and each layer's largest output magnitude over all images."""
    tops = np.zeros(len(parameters.architecture.layers))
    lock = Lock()

    def see(index: int, values: NDArray[Any]) -> None:
        top = max(float(values.max()), -float(values.min()))
        with lock:
            tops[index] = max(tops[index], top)

    classes = parameters.architecture.classes
    found = through(lambda size: layers.Sequential(parameters, size), classes, scaling, images, see)
    return found, tuple(tops.tolist())


def through(
    make: Callable[[int], layers.Sequential],
    classes: int,
    scaling: Scaling,
    images: NDArray[np.uint8],
    see: layers.Observer = lambda index, values: None,
) -> NDArray[np.float32]:
    """Return scores (N, classes) of the net that `make` builds for a batch size.

    `see` is called by both workers, without a common order.
    """
    found = np.empty((len(images), classes), np.float32)

    def work(number: int) -> None:
        net = cache(make)
        for rows in list(_chunks(len(images)))[number::_WORKERS]:
            found[rows] = layers.observe(net(rows.stop - rows.start), scaling.apply(images[rows]), see).T

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
