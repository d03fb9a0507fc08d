"""A net that computes with rounded weights and activations, as a board will, and still learns.

Forward, values are rounded to codes times a step. Backward, rounding counts as doing nothing (the straight-through
estimator), and steps are trained by the gradient of LSQ (Esser, McKinstry, Bablani, Appuswamy, Modha: "Learned step
size quantization", ICLR 2020): with v = x / step and codes low..top, the derivative of the rounded x for the step is
round(v) − v between low and top, low below, top above. A step's gradient is scaled by 1 / √(values · top).
"""

import math

import numpy as np

from host.nn import layers as spec
from host.nn.activations import code_of_limit
from host.nn.numpy import pool as pooling
from host.nn.numpy.layer import Array, Layer
from host.nn.numpy.sequential import Sequential, Training
from host.nn.parameters import Parameters
from host.train.qat.scales import Scales

_TIE = 1e-3  # a mean of up to 16 × 16 codes is a tie or this far from one: float32's own error must not decide


class RoundWeights:
    """Puts a layer to work with rounded weights: the layer reads `rounded`, the optimiser changes `weights`."""

    def __init__(
        self, layer: Layer, weights: Array, rounded: Array, slope: Array, logs: Array, log_slopes: Array, top: int
    ) -> None:
        """`logs` (rows,) or (1,) are of the steps; `slope`, where the layer leaves its gradient, and `log_slopes` are
        empty in a net that is only used."""
        self._layer, self._top = layer, top
        self._logs, self._log_slopes = logs, log_slopes
        rows = (len(logs), weights.size // len(logs))
        self._weights, self._rounded = weights.reshape(rows), rounded.reshape(rows)
        self._slope = slope.reshape(rows) if slope.size else slope
        self._scaled: Array = np.empty_like(self._weights)
        self._codes: Array = np.empty_like(self._weights)
        self._share = 1 / math.sqrt(rows[1] * top)

    def forward(self, x: Array) -> Array:
        self._steps = np.exp(self._logs)
        np.divide(self._weights, self._steps[:, None], out=self._scaled)
        np.clip(self._scaled, -self._top, self._top, out=self._codes)
        np.rint(self._codes, out=self._codes)
        np.multiply(self._codes, self._steps[:, None], out=self._rounded)
        return self._layer.forward(x)

    def backward(self, gradient: Array) -> Array | None:
        back = self._layer.backward(gradient)
        inside = np.abs(self._scaled) < self._top
        self._scaled *= inside
        self._codes -= self._scaled
        slopes = np.einsum("rn,rn->r", self._slope, self._codes)
        self._log_slopes[...] = slopes * self._steps * self._slope.dtype.type(self._share)
        self._slope *= inside
        return back


class RoundActivations:
    """ReLU and rounding to codes 0..top in one; halves go up, as on the board. A ReLU's limit, too, is a whole code."""

    def __init__(
        self, shape: tuple[int, ...], log: Array, log_slope: Array, top: int, limit: float | None = None
    ) -> None:
        """`shape` has the batch last; `log_slope` is empty in a net that is only used."""
        self._log, self._log_slope, self._top, self._limit = log, log_slope, top, limit
        self._scaled: Array = np.empty(shape, log.dtype)
        self._clipped: Array = np.empty(shape, log.dtype)
        self._out: Array = np.empty(shape, log.dtype)
        self._share = 1 / math.sqrt(math.prod(shape[:-1]) * top)

    def forward(self, x: Array) -> Array:
        self._step = np.exp(self._log[0])
        np.multiply(x, 1 / self._step, out=self._scaled)
        self._held = self._top if self._limit is None else code_of_limit(self._limit, self._step, self._top)
        np.clip(self._scaled, 0, self._held, out=self._clipped)
        np.add(self._clipped, self._log.dtype.type(0.5), out=self._out)
        np.floor(self._out, out=self._out)
        np.subtract(self._out, self._clipped, out=self._clipped)  # what rounding added; 0 where it clipped
        self._out *= self._step
        return self._out

    def backward(self, gradient: Array) -> Array:
        above = self._scaled >= self._held
        slope = np.vdot(gradient, self._clipped)
        if self._held == self._top and above.any():  # else what is above stands at the limit, whatever the step
            slope += self._top * gradient[above].sum()
        self._log_slope[0] = slope * self._step * self._share
        gradient *= self._scaled > 0
        gradient *= np.logical_not(above, out=above)
        return gradient


class RoundedMeans:
    """An average pool whose means are rounded to codes again, halves up; backward that counts as doing nothing."""

    def __init__(self, pool: pooling.AveragePool, log: Array) -> None:
        self._pool, self._log = pool, log

    def forward(self, x: Array) -> Array:
        out = self._pool.forward(x)
        step = np.exp(self._log[0])
        out /= step
        out += out.dtype.type(0.5 + _TIE)
        np.floor(out, out=out)
        out *= step
        return out

    def backward(self, gradient: Array) -> Array:
        return self._pool.backward(gradient)


class RoundedSequential(Sequential):
    """The net of `parameters` with everything rounded that a board rounds; with `training` None built for use."""

    def __init__(
        self,
        parameters: Parameters,
        scales: Scales,
        input_step: float,
        batch: int,
        training: Training | None = None,
        slopes: Scales | None = None,
    ) -> None:
        """`input_step` is what one step of a pixel is worth; `slopes` is where gradients for the steps go."""
        self._scales, self._slopes = scales, slopes
        self._input_log = np.log(np.array([input_step], parameters.flat.dtype))
        self._rounded = {index: np.empty_like(parameters.of(index)["weights"]) for index in scales.weights}
        super().__init__(parameters, batch, training)

    def _numbers(self, index: int) -> dict[str, Array]:
        numbers = super()._numbers(index)
        return numbers | {"weights": self._rounded[index]} if index in self._rounded else numbers

    def _build(self, index: int) -> Layer:
        layer, scales, slopes = self.architecture.layers[index], self._scales, self._slopes
        nothing: Array = np.empty(0, self._parameters.flat.dtype)
        if index in scales.weights:
            slope = self._training.gradients.of(index)["weights"] if self._training else nothing
            log_slopes = slopes.weights[index] if slopes else nothing
            weights = self._parameters.of(index)["weights"]
            logs = scales.weights[index]
            return RoundWeights(
                super()._build(index), weights, self._rounded[index], slope, logs, log_slopes, scales.top
            )
        if index in scales.outputs:
            shape = (*self.architecture.shapes[index], self._batch)
            log_slope = slopes.outputs[index] if slopes else nothing
            assert isinstance(layer, spec.ReLU)
            return RoundActivations(shape, scales.outputs[index], log_slope, scales.activation_top, layer.limit)
        plain = super()._build(index)
        if isinstance(layer, spec.AveragePool2d):
            assert isinstance(plain, pooling.AveragePool)
            return RoundedMeans(plain, self._log_before(index))
        return plain

    def _log_before(self, index: int) -> Array:
        """Return the logarithm of the step in which a layer's input counts."""
        before = [relu for relu in self._scales.outputs if relu < index]
        return self._scales.outputs[before[-1]] if before else self._input_log
