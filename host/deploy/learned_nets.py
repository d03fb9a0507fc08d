"""A net of learned kernels as it is deployed: integers only, in the stages that a board runs one after the other.

Shapes are (channels, height, width) for maps and (units,) for vectors, as in host.nn.layers.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from host.deploy.nets import little_endian
from host.nn.shapes import Shape
from host.quantise.numerics import WeightFormat

LEVELS = 255
"""The largest activation of these nets."""
AWARE = "quantisation-aware"
AFTER = "post-training"
PER_TENSOR = "post-training, per tensor"
"""How weights came about: trained for their format; rounded when training was over, each row or a whole layer with its
own step."""


@dataclass(frozen=True)
class Rows:
    """One row of numbers for each output: bias int32 (outputs,), multipliers uint16 (outputs,) with their common shift,
    or None and 0 where the sums are the scores; weights int8 (outputs, …), each of `bits` in flash."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    multipliers: NDArray[np.uint16] | None
    shift: int
    bits: int = 8

    @property
    def outputs(self) -> int:
        return len(self.bias)


@dataclass(frozen=True)
class ConvStage:
    """Convolution with zero padding, ReLU, and a max-pool of windows `pool` × `pool` (1: none), in one pass.

    Weights are (outputs, channels of a group, row, column).
    """

    input_shape: tuple[int, int, int]
    rows: Rows
    stride: int
    padding: int
    groups: int
    pool: int

    @property
    def kernel(self) -> int:
        return int(self.rows.weights.shape[-1])

    @property
    def convolved(self) -> tuple[int, int]:
        """Height and width before the pool."""
        height, width = ((side + 2 * self.padding - self.kernel) // self.stride + 1 for side in self.input_shape[1:])
        return height, width

    @property
    def output_shape(self) -> tuple[int, int, int]:
        height, width = self.convolved
        return self.rows.outputs, height // self.pool, width // self.pool

    @property
    def macs(self) -> int:
        """Products that the kernel computes, those with padding left out."""
        _, height, width = self.output_shape
        inside = [
            sum(
                covered(position, self.stride, self.padding, self.kernel, side) for position in range(count * self.pool)
            )
            for count, side in zip((height, width), self.input_shape[1:], strict=True)
        ]
        return inside[0] * inside[1] * self.rows.outputs * (self.input_shape[0] // self.groups)


@dataclass(frozen=True)
class DenseStage:
    """Fully connected, with ReLU unless the sums are the scores. Weights are (outputs, inputs), the inputs of a map in
    the order channel, row, column."""

    input_shape: Shape
    rows: Rows

    @property
    def output_shape(self) -> Shape:
        return (self.rows.outputs,)

    @property
    def macs(self) -> int:
        return int(self.rows.weights.size)


@dataclass(frozen=True)
class PoolStage:
    """A pool by itself: the largest or the mean of windows `size` × `size`, one each `stride` rows and columns."""

    input_shape: tuple[int, int, int]
    size: int
    stride: int
    is_average: bool

    @property
    def output_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.input_shape
        return channels, (height - self.size) // self.stride + 1, (width - self.size) // self.stride + 1

    @property
    def macs(self) -> int:
        return 0


Stage: TypeAlias = ConvStage | DenseStage | PoolStage


@dataclass(frozen=True)
class LearnedNet:
    """What a board computes with. The last stage is a DenseStage whose sums are the scores. `rounding` is what is known
    of the weights' origin, and no part of the hash."""

    input_shape: tuple[int, int]
    stages: tuple[Stage, ...]
    labels: tuple[str, ...]
    preset: str
    format: WeightFormat = WeightFormat.INT8
    levels: int = LEVELS
    rounding: str = AFTER

    @cached_property
    def hash(self) -> str:
        """SHA-256, hexadecimal, over the numbers that determine the scores and nothing else."""
        facts = [self.format.label, self.input_shape, self.levels, *(_facts(stage) for stage in self.stages)]
        digest = hashlib.sha256(json.dumps(facts).encode())
        for stage in self.stages:
            if not isinstance(stage, PoolStage):
                multipliers = np.zeros(0, np.uint16) if stage.rows.multipliers is None else stage.rows.multipliers
                for array in (stage.rows.weights, stage.rows.bias, multipliers):
                    digest.update(little_endian(array))
        return digest.hexdigest()

    @property
    def hash_bytes(self) -> bytes:
        """The first eight bytes of the hash: what the header carries and READY answers."""
        return bytes.fromhex(self.hash)[:8]


def elements(shape: Shape) -> int:
    """How many activations, and so bytes, a shape holds."""
    return math.prod(shape)


def _facts(stage: Stage) -> list[object]:
    if isinstance(stage, PoolStage):
        facts: list[object] = ["average" if stage.is_average else "max", stage.input_shape, stage.size]
        return facts if stage.stride == stage.size else [*facts, stage.stride]  # the hashes of older nets stay
    shapes = [stage.input_shape, stage.rows.weights.shape, stage.rows.shift]
    if isinstance(stage, ConvStage):
        return ["conv", *shapes, stage.stride, stage.padding, stage.groups, stage.pool]
    return ["dense", *shapes]


def covered(position: int, stride: int, padding: int, kernel: int, side: int) -> int:
    """How many of the kernel's rows (or columns) lie inside the map at an output position."""
    start = position * stride - padding
    return min(start + kernel, side) - max(start, 0)
