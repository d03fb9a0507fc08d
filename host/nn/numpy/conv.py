"""Convolution as matrix products; how maps become matrices is im2col's business."""

import numpy as np

from host.nn.numpy.im2col import Geometry, unrolling
from host.nn.numpy.layer import Array, Scratch


class Convolution:
    """Correlates maps (C, H, W, N) with kernels and adds a bias; `gradients` None leaves no way back."""

    def __init__(
        self, geometry: Geometry, numbers: dict[str, Array], gradients: dict[str, Array], scratch: Scratch, first: bool
    ) -> None:
        self._numbers, self._gradients = numbers, gradients
        dtype = numbers["weights"].dtype
        self._way = unrolling(geometry, scratch, dtype)
        self._out: Array = np.empty((*geometry.outputs, geometry.batch), dtype)
        self._ones: Array = np.ones(self._out[0].size, dtype)
        # The first layer's gradient at the input is of no use to anybody, and costs as much as the forward pass.
        self._back: Array | None = None if first else np.empty((*geometry.inputs, geometry.batch), dtype)

    def forward(self, x: Array) -> Array:
        self._kernel = self._way.kernel(self._numbers["weights"])
        self._columns = self._way.columns(x)
        self._way.collect(self._kernel, self._columns, self._out)
        self._out += self._numbers["bias"][:, None, None, None]
        return self._out

    def backward(self, gradient: Array) -> Array | None:
        # A product with ones is several times faster than a sum along the rows.
        np.matmul(gradient.reshape(len(gradient), -1), self._ones, out=self._gradients["bias"])
        spread = self._way.spread(gradient)
        self._way.unkernel(spread @ self._columns.transpose(0, 2, 1), self._gradients["weights"])
        if self._back is not None:
            self._way.gather(self._kernel, spread, self._back)
        return self._back
