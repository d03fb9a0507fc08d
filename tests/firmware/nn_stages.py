"""Random ops with numbers in their usual range, and each op as nn.h describes it to the kernels in C."""

from __future__ import annotations

import ctypes
import math

import numpy as np
from c_arguments import pointer
from definition import scale_half_up
from hypothesis import strategies as st
from numpy.typing import NDArray

from host.compile.kernels import layouts
from host.compile.kernels.floats import FloatConv, FloatDense
from host.compile.kernels.portable import PortableConv, PortableDense
from host.compile.memory import Place
from host.nn.formats import WeightFormat
from host.quantise.ops import Codes, Conv, Dense, Pool, Rows
from host.quantise.requantisers import HalfUp

GUARD = 0xA5
IN_FRONT = b"\x7f" * 5
"""What lies before a layer's own numbers, which may begin anywhere."""
FORMATS = {8: WeightFormat.INT8, 4: WeightFormat.INT4, 2: WeightFormat.TERNARY}
SOMEWHERE = Place(0, 4, backward=False)
Pair = tuple[int, int]


def bytes_of(*names: str) -> tuple[tuple[str, type], ...]:
    return tuple((name, ctypes.c_uint8) for name in names)


ROWS = (("rows", ctypes.c_uint32),)
CONV = bytes_of(
    *("height", "width", "channels", "kernel", "stride", "padding", "pool", "kernel_width", "stride_width"),
    *("padding_left", "pool_width", "group_inputs", "group_outputs", "out_height", "out_width", "outputs"),
)


class ConvStruct(ctypes.Structure):
    """nn_conv_i8."""

    _fields_ = (*ROWS, *CONV, *bytes_of("shift", "backward", "bits", "top"))


class FloatConvStruct(ctypes.Structure):
    """nn_conv_float."""

    _fields_ = (*ROWS, *CONV, *bytes_of("backward", "relu"))


class DenseStruct(ctypes.Structure):
    """nn_dense."""

    _fields_ = (*ROWS, ("inputs", ctypes.c_uint16), *bytes_of("outputs", "shift", "bits", "top"))


class FloatDenseStruct(ctypes.Structure):
    """nn_dense_float."""

    _fields_ = (*ROWS, ("inputs", ctypes.c_uint16), *bytes_of("outputs", "relu"))


class PoolStruct(ctypes.Structure):
    """nn_pool."""

    _fields_ = bytes_of(
        *("width", "channels", "size", "out_height", "out_width", "backward", "stride", "size_width", "stride_width")
    )


def conv_fields(op: Conv, rows: int, *, backward: int = 0, is_terse: bool = False) -> dict[str, int]:
    """nn_conv_i8 or nn_conv_float; `is_terse` leaves out what a square layer with codes up to 255 may leave out."""
    (channels, height, width), (outputs, out_height, out_width) = op.input_shape, op.output_shape
    found = {"rows": rows, "height": height, "width": width, "channels": channels, "kernel": op.kernel[0]}
    found |= {"stride": op.strides[0], "padding": op.pads[0], "pool": op.pool[0]}
    found |= {"group_inputs": channels // op.groups, "group_outputs": outputs // op.groups}
    found |= {"out_height": out_height, "out_width": out_width, "outputs": outputs, "backward": backward}
    if op.rows.format.is_integer:
        found |= {"shift": layouts.board_rule(op.rows)[1], "bits": op.rows.format.bits}
    if is_terse:
        return found
    found |= {"kernel_width": op.kernel[1], "stride_width": op.strides[1], "padding_left": op.pads[1]}
    last = {"top": op.codes.high} if op.rows.format.is_integer else {"relu": int(op.rows.relu)}
    return {**found, "pool_width": op.pool[1], **last}


def dense_fields(op: Dense, rows: int) -> dict[str, int]:
    """nn_dense or nn_dense_float."""
    found = {"rows": rows, "inputs": op.inputs, "outputs": op.rows.outputs}
    if not op.rows.format.is_integer:
        return {**found, "relu": int(op.rows.relu)}
    return {**found, "shift": layouts.board_rule(op.rows)[1], "bits": op.rows.format.bits, "top": op.codes.high}


def pool_struct(op: Pool, backward: int = 0) -> PoolStruct:
    (channels, _, width), (_, out_height, out_width) = op.input_shape, op.output_shape
    (size, size_width), (stride, stride_width) = op.size, op.strides
    return PoolStruct(width, channels, size, out_height, out_width, backward, stride, size_width, stride_width)


def rom_of(op: Conv | Dense) -> bytes:
    """Its rows in flash."""
    kinds = (PortableConv, PortableDense) if op.rows.format.is_integer else (FloatConv, FloatDense)
    return kinds[isinstance(op, Dense)]().pack((op,), SOMEWHERE).rom


def numbers_of(*ops: Conv | Dense) -> tuple[NDArray[np.uint8], list[int]]:
    """The rows of some ops one behind the other, and where each begins."""
    roms = [rom_of(op) for op in ops]
    starts = [len(IN_FRONT) + sum(map(len, roms[:at])) for at in range(len(roms))]
    return np.frombuffer(IN_FRONT + b"".join(roms), np.uint8), starts


def dense_expected(op: Dense, x: NDArray[np.uint8]) -> list[int]:
    """What `definition` says, for rows so long that Python's own whole numbers would take seconds."""
    sums = (op.rows.weights.astype(np.int64) @ x.astype(np.int64) + op.rows.bias).tolist()
    if op.rows.requantiser is None:
        return sums
    scaled = [scale_half_up(op.rows.requantiser, k, total) for k, total in enumerate(sums)]
    return [min(max(value, 0), op.codes.high) for value in scaled]


def in_memory(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """A map (channels, height, width) as row, column, channel."""
    return np.ascontiguousarray(values.transpose(1, 2, 0))


def from_memory(values: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    channels, height, width = shape
    return values.reshape(height, width, channels).transpose(2, 0, 1)


def with_guard(run: ctypes._CFuncPtr, stage: ctypes.Structure, *inputs: NDArray[np.generic], out: NDArray[np.generic]):
    """What `run` makes of the stage and its inputs; behind the place of `out` nothing may change."""
    room = np.full(out.nbytes + 8, GUARD, np.uint8)
    run(ctypes.byref(stage), *map(pointer, inputs), pointer(room))
    assert np.all(room[-8:] == GUARD), "wrote past its outputs"
    return room[:-8].view(out.dtype)


def random_rows(
    random: np.random.Generator, shape: tuple[int, ...], *, scores: bool = False, bits: int = 8, top: int = 255
) -> Rows:
    """Integers whose activations use their range."""
    most = 2 ** (bits - 1) - 1
    weights = random.integers(-most, most + 1, shape).astype(np.int8)
    bias = random.integers(-24 * most, 24 * most + 1, shape[0]).astype(np.int32)
    if scores:
        return Rows(FORMATS[bits], weights, bias)
    shift = int(random.choice([16, 24]))
    typical = 40 * most * math.sqrt(weights[0].size) + 1
    multipliers = np.clip(random.uniform(0.2, 3, shape[0]) * top / typical * 2.0**shift, 1, 65535)
    return Rows(FORMATS[bits], weights, bias, HalfUp(multipliers.astype(np.uint16), shift), Codes(top))


def random_float_rows(random: np.random.Generator, shape: tuple[int, ...], is_half: bool, relu: bool) -> Rows:
    """Some of the biases are -0."""
    fmt, kind = (WeightFormat.FLOAT16, np.float16) if is_half else (WeightFormat.FLOAT32, np.float32)
    bias = random.normal(0, 3, shape[0]).astype(np.float32)
    bias[random.random(len(bias)) < 0.3] = -0.0
    weights = random.normal(0, 0.2, shape).astype(kind)
    return Rows(fmt, weights, bias, None, Codes(is_float=True), relu)


def random_conv(
    random: np.random.Generator,
    shape: tuple[int, int, int],
    outputs: int,
    kernel: Pair,
    *,
    groups: int = 1,
    bits: int = 8,
    top: int = 255,
    **sides: tuple[int, ...],
) -> Conv:
    rows = random_rows(random, (outputs, shape[0] // groups, *kernel), bits=bits, top=top)
    return Conv(shape, rows, Codes(), groups=groups, **sides)


def random_map(random: np.random.Generator, shape: tuple[int, ...], density: float = 0.7) -> NDArray[np.uint8]:
    return (random.integers(0, 256, shape) * (random.random(shape) < density)).astype(np.uint8)


def random_floats(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A third of them zero, the others of every sign and of sizes far apart."""
    values = random.normal(0, 1, shape) * 10.0 ** random.integers(-3, 4, shape)
    return (values * (random.random(shape) < 0.7)).astype(np.float32)


@st.composite
def geometries(draw: st.DrawFn, kernel: int, stride: int, pool: int, side: int, shape: Pair | None = None):
    """(sides, kernel, strides, pads, pool) of a convolution that leaves at least one output and has a part of its
    kernel inside at every position; each up to the number given, the sides those of `shape` where it is given."""
    axes = []
    for axis in (0, 1):
        most = shape[axis] if shape else side
        size = draw(st.integers(1, min(kernel, most) if shape else kernel))
        before, behind = (draw(st.integers(0, size - 1)) for _ in range(2))
        length = shape[axis] if shape else draw(st.integers(max(1, size - before - behind), most))
        reach = length + before + behind - size
        window = draw(st.integers(1, min(pool, reach + 1)))
        step = draw(st.integers(1, min(stride, reach // (window - 1)) if window > 1 else stride))
        axes.append((length, size, step, before, behind, window))
    lengths, sizes, steps, before, behind, windows = zip(*axes, strict=True)
    return lengths, sizes, steps, (*before, *behind), windows
