"""Batch normalisation over a batch that may be split between threads: the parts exchange their statistics."""

from collections.abc import Callable

import numpy as np

from host.nn.numpy.layer import Array

Gather = Callable[[Array], list[Array]]
"""Hands in one part's array and returns every part's, in a fixed order, when all have handed in theirs."""


def alone(values: Array) -> list[Array]:
    """The exchange of a batch that is not split."""
    return [values]


class Normalise:
    """Training: normalises by the statistics of the whole batch and updates the running ones in `numbers`."""

    def __init__(
        self,
        numbers: dict[str, Array],
        gradients: dict[str, Array],
        momentum: float,
        epsilon: float,
        shape: tuple[int, ...],
        gather: Gather,
        keeps_running: bool,
    ) -> None:
        """`shape` is (channels, ..., N); of all parts of a batch only one may keep the running statistics."""
        self._numbers, self._gradients, self._gather = numbers, gradients, gather
        self._momentum, self._epsilon, self._keeps_running = momentum, epsilon, keeps_running
        dtype = numbers["scale"].dtype
        self._shape = shape
        self._flat = (shape[0], int(np.prod(shape[1:])))
        self._normal: Array = np.empty(self._flat, dtype)
        self._out: Array = np.empty(self._flat, dtype)
        self._ones: Array = np.ones(self._flat[1], dtype)

    def forward(self, x: Array) -> Array:
        flat = x.reshape(self._flat)
        mean = (flat @ self._ones) / self._flat[1]
        np.subtract(flat, mean[:, None], out=self._normal)
        squares = np.einsum("cm,cm->c", self._normal, self._normal)
        # Chan, Golub, LeVeque (1979): squares about the parts' means add up to squares about the common mean.
        parts = np.stack(self._gather(np.stack([np.full_like(mean, self._flat[1]), mean, squares])))
        counts, means, squares = parts[:, 0], parts[:, 1], parts[:, 2]
        self._count = float(counts[:, 0].sum())
        common = (counts * means).sum(axis=0) / self._count
        variance = (squares + counts * (means - common) ** 2).sum(axis=0) / self._count
        if self._keeps_running:
            self._update(common, variance)
        self._inverse = 1 / np.sqrt(variance + self._epsilon)
        if len(parts) > 1:
            self._normal += (mean - common)[:, None]
        self._normal *= self._inverse[:, None]
        np.multiply(self._normal, self._numbers["scale"][:, None], out=self._out)
        self._out += self._numbers["shift"][:, None]
        return self._out.reshape(self._shape)

    def backward(self, gradient: Array) -> Array:
        flat = gradient.reshape(self._flat)
        shift = flat @ self._ones
        scale = np.einsum("cm,cm->c", flat, self._normal)
        self._gradients["shift"][...] = shift
        self._gradients["scale"][...] = scale
        total = np.stack(self._gather(np.stack([shift, scale]))).sum(axis=0) / self._count
        self._normal *= total[1][:, None]
        self._normal += total[0][:, None]
        flat -= self._normal
        flat *= (self._numbers["scale"] * self._inverse)[:, None]
        return gradient

    def _update(self, mean: Array, variance: Array) -> None:
        unbiased = variance * (self._count / max(1.0, self._count - 1))
        for name, value in (("mean", mean), ("variance", unbiased)):
            self._numbers[name] *= 1 - self._momentum
            self._numbers[name] += self._momentum * value


class NormaliseRunning:
    """When the net is used: normalises by the running statistics."""

    def __init__(self, numbers: dict[str, Array], epsilon: float) -> None:
        self._numbers, self._epsilon = numbers, epsilon

    def forward(self, x: Array) -> Array:
        factor = self._numbers["scale"] / np.sqrt(self._numbers["variance"] + self._epsilon)
        offset = self._numbers["shift"] - factor * self._numbers["mean"]
        axes = (slice(None), *(None,) * (x.ndim - 1))
        out: Array = x * factor[axes]
        out += offset[axes]
        return out

    def backward(self, gradient: Array) -> Array:
        raise NotImplementedError("a net built for use has no way back")
