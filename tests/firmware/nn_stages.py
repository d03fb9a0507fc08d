"""Random ops with numbers in their usual range, and each op as nn.h describes it to the kernels in C, its rows of
numbers included: written from nn.h, not by what the exporter writes them with."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Collection

import numpy as np
from c_arguments import pointer
from definition import scale_half_up
from hypothesis import strategies as st
from numpy.typing import NDArray

from host.nn.formats import WeightFormat
from host.quantise.ops import Codes, Conv, Dense, Pool, Rows
from host.quantise.requantisers import HalfUp

GUARD = 0xA5
IN_FRONT = b"\x7f" * 5
"""What lies before a layer's own numbers, which may begin anywhere."""
FORMATS = {8: WeightFormat.INT8, 4: WeightFormat.INT4, 2: WeightFormat.TERNARY}
SQUARE = ("kernel_width", "stride_width", "padding_left", "pool_width")
"""What headers leave out that were rendered before the two directions could differ."""
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


def conv_fields(op: Conv, rows: int, *, backward: int = 0, left_out: Collection[str] = ()) -> dict[str, int]:
    """nn_conv_i8 or nn_conv_float."""
    (channels, height, width), (outputs, out_height, out_width) = op.input_shape, op.output_shape
    found = {"rows": rows, "height": height, "width": width, "channels": channels, "kernel": op.kernel[0]}
    found |= {"stride": op.strides[0], "padding": op.pads[0], "pool": op.pool[0]}
    found |= {"group_inputs": channels // op.groups, "group_outputs": outputs // op.groups}
    found |= {"out_height": out_height, "out_width": out_width, "outputs": outputs, "backward": backward}
    found |= dict(zip(SQUARE, (op.kernel[1], op.strides[1], op.pads[1], op.pool[1]), strict=True))
    if op.rows.format.is_integer:
        found |= {"shift": shift_of(op.rows), "bits": op.rows.format.bits, "top": op.codes.high}
    else:
        found["relu"] = int(op.rows.relu)
    return {name: value for name, value in found.items() if name not in left_out}


def dense_fields(op: Dense, rows: int) -> dict[str, int]:
    """nn_dense or nn_dense_float."""
    found = {"rows": rows, "inputs": op.inputs, "outputs": op.rows.outputs}
    if not op.rows.format.is_integer:
        return {**found, "relu": int(op.rows.relu)}
    return {**found, "shift": shift_of(op.rows), "bits": op.rows.format.bits, "top": op.codes.high}


def pool_struct(op: Pool, backward: int = 0) -> PoolStruct:
    (channels, _, width), (_, out_height, out_width) = op.input_shape, op.output_shape
    (size, size_width), (stride, stride_width) = op.size, op.strides
    return PoolStruct(width, channels, size, out_height, out_width, backward, stride, size_width, stride_width)


def shift_of(rows: Rows) -> int:
    """The first of the two shifts that boards have at which every multiplier fits 16 bits; 0 for scores."""
    rule = rows.requantiser
    if rule is None:
        return 0
    largest = int(rule.multipliers.max())
    return next(shift for shift in (16, 24) if shift >= rule.shift and largest << (shift - rule.shift) < 2**16)


def rom_of(op: Conv | Dense) -> bytes:
    """Its rows in flash: for each output the bias, the multiplier if it has one, the weights in the order of a map."""
    rows, rule, parts = op.rows, op.rows.requantiser, []
    weights = rows.weights.reshape(rows.outputs, *op.input_shape) if isinstance(op, Dense) else rows.weights
    for k, of_output in enumerate(weights):
        parts.append(rows.bias[k].astype("<i4" if rows.format.is_integer else "<f4").tobytes())
        if rule is not None:
            parts.append((int(rule.multipliers[k]) << (shift_of(rows) - rule.shift)).to_bytes(2, "little"))
        in_order = of_output.transpose(1, 2, 0) if of_output.ndim == 3 else of_output
        parts.append(weight_bytes(in_order.ravel(), rows.format))
    return b"".join(parts)


def weight_bytes(weights: NDArray[np.generic], fmt: WeightFormat) -> bytes:
    """One row's: what is left of its last byte is 0."""
    kinds = {WeightFormat.INT8: "i1", WeightFormat.FLOAT16: "<f2", WeightFormat.FLOAT32: "<f4"}
    if fmt in kinds:
        return weights.astype(kinds[fmt]).tobytes()
    fields = weights.astype(int) + 2 ** (fmt.bits - 1)
    in_bytes = np.pad(fields, (0, -len(fields) * fmt.bits % 8 // fmt.bits)).reshape(-1, 8 // fmt.bits)
    return (in_bytes << np.arange(0, 8, fmt.bits)).sum(axis=1).astype(np.uint8).tobytes()


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
        length = shape[axis] if shape else draw(st.integers(1, side))
        size = draw(st.integers(1, kernel))
        before = draw(st.integers(0, size - 1))
        behind = draw(st.integers(max(0, size - length - before), size - 1))
        reach = length + before + behind - size
        window = draw(st.integers(1, min(pool, reach + 1)))
        step = draw(st.integers(1, min(stride, reach // (window - 1)) if window > 1 else stride))
        axes.append((length, size, step, before, behind, window))
    lengths, sizes, steps, before, behind, windows = zip(*axes, strict=True)
    return lengths, sizes, steps, (*before, *behind), windows


@st.composite
def square_geometries(draw: st.DrawFn, kernel: int, stride: int, pool: int, side: int):
    """As `geometries`, but for the sides alike in both directions, and the padding alike on all sides."""
    size, step, window = (draw(st.integers(1, most)) for most in (kernel, stride, pool))
    padding = draw(st.integers(0, size - 1))
    least = max(1, size + (window - 1) * step - 2 * padding)
    sides = draw(st.tuples(*[st.integers(least, max(least, side))] * 2))
    return sides, (size, size), (step, step), (padding,) * 4, (window, window)
