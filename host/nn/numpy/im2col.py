"""Two ways to turn a convolution into one matrix product, batch last.

Unrolling a k × k kernel fully copies every input k² times. Unrolling only along a row copies it k times, and the k rows
of the kernel become k times as many outputs, which are then added up, each shifted by its row. Both cost the same
multiplications (but for the border rows); the second moves a fraction of the memory and gives the matrix product a
squarer shape. It needs stride 1 and enough channels to fill the product's inner dimension. Measured on 8 channels,
5 × 5, 24 × 24, forward and backward: 1.8 ms against 2.7 ms for a batch of 32 on one core, the products at 100 GFLOP/s.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from host.nn.layers import Conv2d
from host.nn.numpy.layer import Array, Scratch

_INNER_ENOUGH = 16  # channels × kernel from which the row-wise way was faster


@dataclass(frozen=True)
class Geometry:
    """A convolution's numbers; `tap` finds which outputs one kernel position reaches."""

    spec: Conv2d
    inputs: tuple[int, int, int]  # (channels, height, width)
    outputs: tuple[int, int, int]
    batch: int

    @property
    def grouped_inputs(self) -> tuple[int, ...]:
        """(groups, channels of a group, height, width, N)."""
        groups = self.spec.groups
        return (groups, self.inputs[0] // groups, *self.inputs[1:], self.batch)

    @property
    def grouped_outputs(self) -> tuple[int, ...]:
        """(groups, channels of a group, height, width, N)."""
        groups = self.spec.groups
        return (groups, self.outputs[0] // groups, *self.outputs[1:], self.batch)

    def tap(self, axis: int, position: int) -> tuple[slice, slice]:
        """Return the outputs along an axis (1 rows, 2 columns) that a kernel position serves from inside the image,
        and the inputs that they read; the others read padding.
        """
        stride, lead = self.spec.strides[axis - 1], self.spec.pads[axis - 1] - position
        low = max(0, -(-lead // stride))
        high = max(low, min(self.outputs[axis], (self.inputs[axis] - 1 + lead) // stride + 1))
        return slice(low, high), slice(low * stride - lead, (high - 1) * stride - lead + 1 if high > low else 0, stride)


class Unrolling(ABC):
    """Between maps and matrices: outputs = collect(kernel @ columns), and the same backwards."""

    def __init__(self, geometry: Geometry, scratch: Scratch, dtype: np.dtype[Any]) -> None:
        self.geometry, self._scratch = geometry, scratch
        self._dtype = dtype
        # Padding stays zero for ever: only what lies inside the image is written.
        self._columns: Array = np.zeros(self._columns_shape, dtype)

    @property
    @abstractmethod
    def _columns_shape(self) -> tuple[int, ...]: ...

    @abstractmethod
    def _parts(self, columns: Array) -> list[tuple[Array, tuple[slice, slice]]]:
        """Return (part of the columns, rows and columns of the image that it mirrors) for each unrolled position."""

    @abstractmethod
    def kernel(self, weights: Array) -> Array:
        """Return weights (F, C / groups, k, k) as a matrix for each group."""

    @abstractmethod
    def unkernel(self, matrix: Array, weights: Array) -> None:
        """Write such a matrix back into (F, C / groups, k, k)."""

    @abstractmethod
    def collect(self, kernel: Array, columns: Array, out: Array) -> None:
        """Write kernel @ columns into maps (F, h, w, N)."""

    @abstractmethod
    def spread(self, gradient: Array) -> Array:
        """Return the gradient at kernel @ columns, (groups, outputs, positions), for one at the maps."""

    @cached_property
    def _sources(self) -> list[tuple[Array, tuple[slice, slice]]]:
        return self._parts(self._columns)

    def columns(self, x: Array) -> Array:
        """Return (groups, inputs, positions) for maps (C, H, W, N)."""
        grouped = x.reshape(self.geometry.grouped_inputs)
        for part, (rows, columns) in self._sources:
            part[...] = grouped[:, :, rows, columns]
        return self._matrix(self._columns)

    def gather(self, kernel: Array, spread: Array, out: Array) -> None:
        """Write the gradient at the input, (C, H, W, N), for one at kernel @ columns."""
        columns = self._scratch.array(self._columns_shape)
        np.matmul(kernel.transpose(0, 2, 1), spread, out=self._matrix(columns))
        grouped = out.reshape(self.geometry.grouped_inputs)
        out[...] = 0
        for part, (rows, columns_of) in self._parts(columns):
            grouped[:, :, rows, columns_of] += part

    def _matrix(self, columns: Array) -> Array:
        groups, channels, *_ = self.geometry.grouped_inputs
        return columns.reshape(groups, channels * self._unrolled, -1)

    @property
    @abstractmethod
    def _unrolled(self) -> int: ...


class FullUnrolling(Unrolling):
    """Kernel rows and columns both lie in the matrix's inner dimension; works for every stride."""

    @property
    def _unrolled(self) -> int:
        height, width = self.geometry.spec.kernel_size
        return height * width

    @property
    def _columns_shape(self) -> tuple[int, ...]:
        groups, channels, *_ = self.geometry.grouped_inputs
        return (groups, channels, *self.geometry.spec.kernel_size, *self.geometry.grouped_outputs[2:])

    def _parts(self, columns: Array) -> list[tuple[Array, tuple[slice, slice]]]:
        parts = []
        for i, j in np.ndindex(columns.shape[2:4]):
            (rows, from_rows), (cols, from_cols) = self.geometry.tap(1, i), self.geometry.tap(2, j)
            parts.append((columns[:, :, i, j, rows, cols], (from_rows, from_cols)))
        return parts

    def kernel(self, weights: Array) -> Array:
        return weights.reshape(self.geometry.spec.groups, -1, weights[0].size)

    def unkernel(self, matrix: Array, weights: Array) -> None:
        weights[...] = matrix.reshape(weights.shape)

    def collect(self, kernel: Array, columns: Array, out: Array) -> None:
        np.matmul(kernel, columns, out=out.reshape(kernel.shape[0], kernel.shape[1], -1))

    def spread(self, gradient: Array) -> Array:
        groups, channels, *_ = self.geometry.grouped_outputs
        return gradient.reshape(groups, channels, -1)


class RowUnrolling(Unrolling):
    """Kernel columns lie in the matrix's inner dimension, kernel rows among its outputs; needs stride 1."""

    @property
    def _unrolled(self) -> int:
        return self.geometry.spec.kernel_size[1]

    @property
    def _map(self) -> tuple[int, int, int]:
        """Rows with their padding, columns of the output, N."""
        top, _, bottom, _ = self.geometry.spec.pads
        return self.geometry.inputs[1] + top + bottom, self.geometry.outputs[2], self.geometry.batch

    @property
    def _columns_shape(self) -> tuple[int, ...]:
        return (*self.geometry.grouped_inputs[:2], self._unrolled, *self._map)

    @property
    def _products_shape(self) -> tuple[int, ...]:
        groups, channels, *_ = self.geometry.grouped_outputs
        return (groups, self.geometry.spec.kernel_size[0], channels, *self._map)

    def _parts(self, columns: Array) -> list[tuple[Array, tuple[slice, slice]]]:
        (top, *_), height = self.geometry.spec.pads, self.geometry.inputs[1]
        parts = []
        for j in range(columns.shape[2]):
            cols, from_cols = self.geometry.tap(2, j)
            parts.append((columns[:, :, j, top : top + height, cols], (slice(None), from_cols)))
        return parts

    def kernel(self, weights: Array) -> Array:
        groups = self.geometry.spec.groups
        split = weights.reshape(groups, -1, *weights.shape[1:]).transpose(0, 3, 1, 2, 4)
        matrix: Array = split.reshape(groups, split.shape[1] * split.shape[2], -1)
        return matrix

    def unkernel(self, matrix: Array, weights: Array) -> None:
        groups, (rows, columns) = self.geometry.spec.groups, self.geometry.spec.kernel_size
        split = matrix.reshape(groups, rows, -1, weights.shape[1], columns).transpose(0, 2, 3, 1, 4)
        weights[...] = split.reshape(weights.shape)

    def collect(self, kernel: Array, columns: Array, out: Array) -> None:
        products = self._scratch.array(self._products_shape)
        np.matmul(kernel, columns, out=products.reshape(*kernel.shape[:2], -1))
        grouped, height = out.reshape(self.geometry.grouped_outputs), self.geometry.outputs[1]
        rows = [products[:, i, :, i : i + height] for i in range(self.geometry.spec.kernel_size[0])]
        if len(rows) == 1:
            grouped[...] = rows[0]
            return
        np.add(rows[0], rows[1], out=grouped)
        for row in rows[2:]:
            grouped += row

    @cached_property
    def _spread(self) -> Array:
        return np.zeros(self._products_shape, self._dtype)  # the border rows stay zero for ever

    def spread(self, gradient: Array) -> Array:
        grouped, height = gradient.reshape(self.geometry.grouped_outputs), self.geometry.outputs[1]
        for i in range(self.geometry.spec.kernel_size[0]):
            self._spread[:, i, :, i : i + height] = grouped
        groups, k, channels, *_ = self._products_shape
        return self._spread.reshape(groups, k * channels, -1)


def unrolling(geometry: Geometry, scratch: Scratch, dtype: np.dtype[Any]) -> Unrolling:
    """Return the faster of the two ways."""
    inner = geometry.grouped_inputs[1] * geometry.spec.kernel_size[1]
    by_rows = geometry.spec.strides == (1, 1) and inner >= _INNER_ENOUGH
    return (RowUnrolling if by_rows else FullUnrolling)(geometry, scratch, dtype)
