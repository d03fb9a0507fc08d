"""What a board computes one after the other: ops with the very numbers that determine a net's scores. Nothing here is
rounded again, and nothing here knows a board.

Shapes are (channels, height, width) for maps and (units,) for vectors, as in host.nn.layers; weights are (outputs,
channels of a group, row, column) and (outputs, inputs), the inputs of a map in the order channel, row, column. Every
op says `input_shape`, `output_shape`, `macs` and `source`, the codes that it is given. Not all that a Graph can say has
a kernel: what none takes is refused by name when a board is chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from host.nn.formats import FULL_TOP, WeightFormat
from host.nn.shapes import Shape
from host.quantise.numerics import sum_bounds
from host.quantise.requantisers import Requantiser

Pair = tuple[int, int]
MapShape = tuple[int, int, int]


@dataclass(frozen=True)
class Codes:
    """What travels between two ops: u8 codes low..high, `zero` standing for 0.0 and for what lies outside a map; or, in
    nets of floats, float32 numbers."""

    high: int = FULL_TOP
    low: int = 0
    zero: int = 0
    is_float: bool = False

    @property
    def item(self) -> int:
        """Bytes of one."""
        return 4 if self.is_float else 1


@dataclass(frozen=True, eq=False)
class Rows:
    """The numbers of a convolution or dense op, one row for each output.

    Integer formats: weights int8, bias int32 (outputs,); `requantiser` makes codes of the sums, held to `codes`, and is
    None where the sums are the scores. Float formats: weights float16 or float32, bias float32, `relu` or the sums as
    they are, no requantiser.
    """

    format: WeightFormat
    weights: NDArray[np.int8] | NDArray[np.float16] | NDArray[np.float32]
    bias: NDArray[np.int32] | NDArray[np.float32]
    requantiser: Requantiser | None = None
    codes: Codes = Codes()
    relu: bool = False

    @property
    def outputs(self) -> int:
        return len(self.bias)

    @property
    def flat(self) -> NDArray[np.int8]:
        """Integer weights (outputs, inputs of one output)."""
        return self.weights.reshape(self.outputs, -1)  # type: ignore[return-value]

    def sum_bounds(self, top: int) -> NDArray[np.int64]:
        """Lowest and highest possible sum of each output, (2, outputs), for inputs of 0..top."""
        return sum_bounds(self.flat, self.bias.astype(np.int32), top)


@dataclass(frozen=True)
class Preconv:
    """The fixed front end, fused: [1 2 1; 2 4 2; 1 2 1] with a border of zeros, 2×2 max-pool, min-max to 0..top."""

    input_shape: MapShape
    top: int

    @property
    def source(self) -> Codes:
        return Codes()

    @property
    def codes(self) -> Codes:
        return Codes(self.top)

    @property
    def output_shape(self) -> MapShape:
        return 1, self.input_shape[1] // 2, self.input_shape[2] // 2

    @property
    def macs(self) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution (correlation), its activation, and a max-pool of windows `pool` side by side ((1, 1): none), in one
    pass. `pads` are (top, left, bottom, right), of the source's zero code. `density` is how often an input under the
    kernel is not zero, None where nobody measured it: it predicts time, and enters no score and no hash."""

    input_shape: MapShape
    rows: Rows
    source: Codes = Codes()
    strides: Pair = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    pool: Pair = (1, 1)
    density: float | None = None

    @property
    def codes(self) -> Codes:
        return self.rows.codes

    @property
    def kernel(self) -> Pair:
        """Height and width."""
        height, width = self.rows.weights.shape[2:]
        return height, width

    @property
    def convolved(self) -> Pair:
        """Height and width before the pool."""
        top, left, bottom, right = self.pads
        (height, width), (kernel_y, kernel_x) = self.input_shape[1:], self.kernel
        return (height + top + bottom - kernel_y) // self.strides[0] + 1, (
            width + left + right - kernel_x
        ) // self.strides[1] + 1

    @property
    def output_shape(self) -> MapShape:
        height, width = self.convolved
        return self.rows.outputs, height // self.pool[0], width // self.pool[1]

    @property
    def is_square(self) -> bool:
        """Whether rows and columns are taken alike; padding below and to the right follows from the output."""
        return all(len(set(pair)) == 1 for pair in (self.kernel, self.strides, self.pads[:2], self.pool))

    @property
    def share(self) -> float:
        """How often an input under the kernel is not zero; always, where nobody measured it."""
        return 1.0 if self.density is None else self.density

    @property
    def is_depthwise(self) -> bool:
        """Whether each output has a channel of its own, from which alone it is computed."""
        return 1 < self.groups == self.input_shape[0] == self.rows.outputs

    @property
    def macs(self) -> int:
        """Products that the kernel computes, those with padding left out."""
        inside = [sum(self.covered(axis)) for axis in (0, 1)]
        return inside[0] * inside[1] * self.rows.outputs * (self.input_shape[0] // self.groups)

    def covered(self, axis: int) -> list[int]:
        """How many of the kernel's rows (axis 0) or columns (1) lie inside the map, for each position that counts."""
        side, kernel = self.input_shape[1 + axis], self.kernel[axis]
        starts = [at * self.strides[axis] - self.pads[axis] for at in range(self.used[axis])]
        return [min(start + kernel, side) - max(start, 0) for start in starts]

    @property
    def used(self) -> Pair:
        """Rows and columns of positions that some window of the pool holds."""
        _, height, width = self.output_shape
        return height * self.pool[0], width * self.pool[1]


@dataclass(frozen=True, eq=False)
class Dense:
    """Fully connected, over a whole map or vector. `density` (inputs,) is how often each input is not zero, None where
    nobody measured it; see Conv."""

    input_shape: Shape
    rows: Rows
    source: Codes = Codes()
    density: NDArray[np.float32] | None = None

    @property
    def codes(self) -> Codes:
        return self.rows.codes

    @property
    def inputs(self) -> int:
        return elements(self.input_shape)

    @property
    def shares(self) -> NDArray[np.float64]:
        """How often each input is not zero, (inputs,); always, where nobody measured it."""
        return np.ones(self.inputs) if self.density is None else self.density.astype(np.float64)

    @property
    def nonzero(self) -> float:
        """How many inputs are not zero on average."""
        return float(self.shares.sum())

    @property
    def output_shape(self) -> Shape:
        return (self.rows.outputs,)

    @property
    def macs(self) -> int:
        return int(self.rows.weights.size)


@dataclass(frozen=True)
class Pool:
    """A pool by itself: the largest or the mean of windows `size`, one each `strides` rows and columns. Means of codes
    are rounded to nearest, halves away from `center`. `density`: see Conv."""

    input_shape: MapShape
    size: Pair
    strides: Pair
    is_average: bool
    source: Codes = field(default_factory=Codes)
    density: float | None = None
    center: int = 0

    @property
    def codes(self) -> Codes:
        return self.source

    @property
    def is_square(self) -> bool:
        """Whether rows and columns are taken alike."""
        return len(set(self.size)) == len(set(self.strides)) == 1

    @property
    def output_shape(self) -> MapShape:
        channels, height, width = self.input_shape
        return (
            channels,
            (height - self.size[0]) // self.strides[0] + 1,
            (width - self.size[1]) // self.strides[1] + 1,
        )

    @property
    def macs(self) -> int:
        return 0


Op: TypeAlias = Preconv | Conv | Dense | Pool


def elements(shape: Shape) -> int:
    """How many activations a shape holds."""
    return math.prod(shape)


def computes_floats(op: Op) -> bool:
    """Whether an op's numbers are float32."""
    if isinstance(op, Conv | Dense):
        return not op.rows.format.is_integer
    return isinstance(op, Pool) and op.source.is_float


def scores_as_codes(op: Op) -> bool:
    """Whether a last op's scores are codes, not sums."""
    return isinstance(op, Dense) and op.rows.requantiser is not None


def op_name(op: Op) -> str:
    """For people, such as `conv 5x5 8, pool 2`."""
    if isinstance(op, Preconv):
        return "front end"
    if isinstance(op, Dense):
        return f"dense {op.inputs}-{op.rows.outputs}"
    if isinstance(op, Pool):
        stride = "" if op.strides == op.size else f", stride {_side(op.strides)}"
        return f"{'average' if op.is_average else 'max'} pool {_side(op.size)}{stride}"
    depth = "" if op.groups == 1 else f" in {op.groups} groups"
    pool = "" if op.pool == (1, 1) else f", pool {_side(op.pool)}"
    return f"conv {'x'.join(map(str, op.kernel))} {op.rows.outputs}{depth}{pool}"


def _side(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else "x".join(map(str, pair))
