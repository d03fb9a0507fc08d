"""Builds the layers of an architecture over given numbers, for one batch size, and runs them in turn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from host.nn import layers as spec
from host.nn.numpy import batchnorm
from host.nn.numpy import dense as simple
from host.nn.numpy import pool as pooling
from host.nn.numpy.conv import Convolution
from host.nn.numpy.im2col import Geometry
from host.nn.numpy.layer import Array, Layer, Scratch
from host.nn.parameters import Parameters


@dataclass(frozen=True, eq=False)
class Training:
    """What a net needs in order to learn, and one that is only used does not."""

    gradients: Parameters
    rng: np.random.Generator  # for dropout
    gather: batchnorm.Gather = batchnorm.alone
    keeps_running: bool = True  # False for all parts of a split batch but one


class Sequential:
    """A net over numbers that it shares with others; with `training` None it is built for use."""

    def __init__(self, parameters: Parameters, batch: int, training: Training | None = None) -> None:
        self.architecture, self._batch, self._training = parameters.architecture, batch, training
        self._parameters = parameters
        self._scratch = Scratch(parameters.flat.dtype)
        self.start = self.architecture.fixed  # the layers before work on whole numbers, and not here: see `fixed.codes`
        self._trained_from = next(
            index for index in range(len(self.architecture.layers) + 1) if parameters.of(index) or index == self._end
        )
        self.layers: list[Layer] = [self._build(index) for index in range(self.start, self._end)]

    @property
    def _end(self) -> int:
        return len(self.architecture.layers)

    def forward(self, x: Array) -> Array:
        """Return scores (classes, N) for inputs (C, H, W, N), to be used before the next call."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, gradient: Array) -> None:
        """Write the gradients of all numbers, for the loss's gradient at the scores of the last `forward`."""
        at: Array | None = gradient
        for layer in reversed(self.layers[self._trained_from - self.start :]):
            assert at is not None
            at = layer.backward(at)

    def _numbers(self, index: int) -> dict[str, Array]:
        """Return the arrays that a layer computes with."""
        return self._parameters.of(index)

    def _build(self, index: int) -> Layer:
        layer = self.architecture.layers[index]
        inputs, outputs = self.architecture.shapes[index : index + 2]
        batch, dtype = self._batch, self._parameters.flat.dtype
        numbers = self._numbers(index)
        gradients = self._training.gradients.of(index) if self._training else {}
        first = self._training is None or index == self._trained_from
        if isinstance(layer, spec.Conv2d):
            maps = cast(tuple[int, int, int], inputs), cast(tuple[int, int, int], outputs)
            return Convolution(Geometry(layer, *maps, batch), numbers, gradients, self._scratch, first)
        if isinstance(layer, spec.Dense):
            return simple.FullyConnected(numbers, gradients, batch, first)
        if isinstance(layer, spec.BatchNorm):
            return self._normalise(layer, numbers, gradients, (*inputs, batch))
        if isinstance(layer, spec.Dropout):
            return (
                simple.Drop(layer.share, (*inputs, batch), self._training.rng) if self._training else simple.Identity()
            )
        if isinstance(layer, spec.MaxPool2d):
            return pooling.MaxPool(inputs, layer.window, layer.strides, batch, dtype)
        if isinstance(layer, spec.AveragePool2d):
            return pooling.AveragePool(inputs, layer.window, batch, dtype)
        if isinstance(layer, spec.ReLU):
            if layer.limit is not None:
                return simple.ClippedRectifier((*inputs, batch), dtype, layer.limit)
            return simple.Rectifier((*inputs, batch), dtype)
        return simple.Flattened(inputs, batch)

    def _normalise(
        self, layer: spec.BatchNorm, numbers: dict[str, Array], gradients: dict[str, Array], shape: tuple[int, ...]
    ) -> Layer:
        training = self._training
        if training is None:
            return batchnorm.NormaliseRunning(numbers, layer.epsilon)
        settings = (layer.momentum, layer.epsilon, shape, training.gather, training.keeps_running)
        return batchnorm.Normalise(numbers, gradients, *settings)


Observer = Callable[[int, Array], None]


def observe(net: Sequential, x: Array, see: Observer) -> Array:
    """Run a net and show `see` each layer's index and output (to be copied where kept); return the scores."""
    for index, layer in enumerate(net.layers, net.start):
        x = layer.forward(x)
        see(index, x)
    return x
