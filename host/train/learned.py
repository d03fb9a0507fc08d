"""A trained net of learned kernels as plain frozen data: what training hands to deployment, plots and evaluation.

Nothing here trains, quantises, reads a file or knows a board.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from host.train.architecture import Architecture, BatchNorm, Conv2d, Dense, LayerSpec
from host.train.crew import Crew
from host.train.layers import Sequential, observe
from host.train.network import Provenance
from host.train.parameters import Parameters, empty

_BATCH = 64  # images through the layers at once: their buffers should stay in the cache


@dataclass(frozen=True, eq=False)
class LearnedNetwork:
    """An architecture with its numbers. The first layer's input is x = (pixel − input_offset) / input_scale.

    `output_max` holds, for each layer, the largest magnitude that it put out over the training images.
    """

    parameters: Parameters
    input_offset: int
    input_scale: float
    labels: tuple[str, ...]
    provenance: Provenance
    output_max: tuple[float, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """The layers."""
        return self.parameters.architecture


def network_input(
    images: NDArray[np.uint8], offset: int, scale: float, dtype: type[np.floating] = np.float32  # type: ignore[type-arg]
) -> NDArray[np.floating]:  # type: ignore[type-arg]
    """Return what the first layer sees of images (N, H, W): (1, H, W, N), the batch last."""
    count, height, width = images.shape
    x = np.subtract(images.reshape(count, -1).T, dtype(offset), dtype=dtype, order="C")
    x *= dtype(1 / scale)
    return x.reshape(1, height, width, count)


def scores(network: LearnedNetwork, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) for u8 images (N, H, W)."""
    return _scores(network.parameters, network.input_offset, network.input_scale, images)


def accuracy(network: LearnedNetwork, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Return the share 0..1 of images whose largest score (the first, if several) is at the label."""
    return float(np.mean(scores(network, images).argmax(axis=1) == labels))


def _scores(
    parameters: Parameters, offset: int, scale: float, images: NDArray[np.uint8], size: int = 2
) -> NDArray[np.float32]:
    found = np.empty((len(images), parameters.architecture.classes), np.float32)
    chunks = list(_chunks(len(images)))

    def work(number: int) -> None:
        nets: dict[int, Sequential] = {}
        for rows in chunks[number::size]:
            batch = images[rows]
            net = nets.setdefault(len(batch), None) or Sequential(parameters, len(batch))  # type: ignore[arg-type]
            nets[len(batch)] = net
            found[rows] = net.forward(network_input(batch, offset, scale)).T

    with threadpool_limits(limits=1, user_api="blas"):
        Crew(size).run(work)
    return found
