"""The NumPy engine for a net whose weights shall be cheap as code: the loss sees it pruned and rounded."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn import layers as spec
from host.nn import numpy as layers
from host.nn.network import Scaling
from host.nn.numpy.layer import Array, Layer
from host.nn.parameters import Parameters
from host.train.batches import EpochBatches, EpochResult, Tick
from host.train.engines.numpy_engine import NumpyEngine
from host.train.optimisers import OptimiserSpec
from host.train.qat.cost_aware import ACTIVATION_TOP, CostAwareRounding


class CostAwareEngine(NumpyEngine):
    """Trains `parameters` in place by gradients of the net that `rounding` shows."""

    def __init__(
        self, parameters: Parameters, scaling: Scaling, spec: OptimiserSpec, seed: int, rounding: CostAwareRounding
    ) -> None:
        self.rounding, self._seen = rounding, parameters.copy()
        super().__init__(parameters, scaling, spec, seed, 1)

    @property
    def moments(self) -> dict[str, NDArray[Any]]:
        """The optimiser's memory and what the rounding has decided, to be saved, or written into in order to go on."""
        return super().moments | {"rounding": self.rounding.state, "kept": self.rounding.kept}

    def epoch(self, given: EpochBatches, epoch: int, rate: Callable[[int], float], tick: Tick) -> EpochResult:
        """Train for one epoch, counted from 0; `rate` gives the rate of a batch of the epoch, from 0."""
        inputs = self._scaling.apply(given.codes)
        self.rounding.start_epoch(epoch, self.parameters, inputs.reshape(-1, inputs.shape[-1]))
        return super().epoch(given, epoch, rate, tick)

    def _builder(self, number: int) -> Callable[[int], layers.Sequential]:
        training = layers.Training(self._gradients[number], self._rngs[number])
        return cache(lambda size: _Rounded(self._seen, size, training, self.rounding))

    def _learn(
        self, number: int, x: NDArray[Any], given: EpochBatches, rows: NDArray[np.int64], batch: int
    ) -> tuple[float, NDArray[np.int64]]:
        self.rounding.show(self.parameters, self._seen)
        return super()._learn(number, x, given, rows, batch)

    def _update(self, number: int, rate: float, step: int) -> None:
        super()._update(number, rate, step)
        self.rounding.limit(self.parameters)


class _Rounded(layers.Sequential):
    """The net with hidden activations rounded to codes, once there is a step for them."""

    def __init__(
        self, parameters: Parameters, batch: int, training: layers.Training, rounding: CostAwareRounding
    ) -> None:
        self._rounding = rounding
        super().__init__(parameters, batch, training)

    def _build(self, index: int) -> Layer:
        plain = super()._build(index)
        return _Stepped(plain, self._rounding) if isinstance(self.architecture.layers[index], spec.ReLU) else plain


class _Stepped:
    """ReLU whose values are rounded, half to even, which the gradient does not see."""

    def __init__(self, rectifier: Layer, rounding: CostAwareRounding) -> None:
        self._rectifier, self._rounding = rectifier, rounding

    def forward(self, x: Array) -> Array:
        values = self._rectifier.forward(x)
        step = values.dtype.type(self._rounding.activation_step)
        if step:
            values /= step
            np.minimum(np.rint(values, out=values), ACTIVATION_TOP, out=values)
            values *= step
        return values

    def backward(self, gradient: Array) -> Array | None:
        return self._rectifier.backward(gradient)
