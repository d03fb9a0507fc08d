"""A net's inputs in its own unit become the u8 codes that a board is sent.

uint8 are codes already, int8 count from 128. Floats are as the net takes them, behind its scaling: code = value / scale
rounded to nearest, halves away from zero, + offset, held to 0..255, all in float32 as TensorFlow Lite Micro's QUANTIZE;
the scale is 1 / divisor. A net with a fixed front end takes pixels, and no floats.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.data.samples import MAX_SIDE
from host.errors import InputError
from host.nn import shapes
from host.nn.formats import FULL_TOP
from host.nn.layers import Flatten
from host.nn.network import Network

INT8_ZERO = 128
"""What a signed code lacks of an unsigned one."""
_FAR = np.float32(2**20)  # no offset brings that back into a byte
_AT_ONCE = 256  # images, so that the temporaries stay small


@dataclass(frozen=True, eq=False)
class Encoded:
    """`codes` (N, H, W), or (N, C, H, W) of several channels; `cut` is the share 0..1 of values that no code stands
    for, and that were held to 0 or 255."""

    codes: NDArray[np.uint8]
    cut: float


def encode(network: Network, values: NDArray[Any], where: str = "inputs") -> NDArray[np.uint8]:
    """Return the codes alone: see encoded."""
    return encoded(network, values, where).codes


def encoded(network: Network, values: NDArray[Any], where: str = "inputs") -> Encoded:
    """Return the codes of values (N, H, W), (N, H, W, C) or (N, features).

    Raise InputError, beginning with `where`, for values of another shape than the net's, or that are no numbers.
    """
    maps = _as_maps(network, values, where)
    codes: NDArray[np.uint8] = np.empty(maps.shape, np.uint8)
    outside = 0
    for start in range(0, len(maps), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        whole = _codes(network, maps[rows], start, where)
        codes[rows] = np.clip(whole, 0, FULL_TOP)
        outside += 0 if whole.dtype == np.uint8 else int(np.count_nonzero(whole != codes[rows]))
    return Encoded(codes[:, 0] if codes.shape[1] == 1 else codes, outside / max(codes.size, 1))


def vector_sides(values: int) -> shapes.Pair | None:
    """(height, width) of a vector as a map of one channel: one row, or where that is too long for a board the most
    square map of as many values. None where there is none."""
    if values <= MAX_SIDE:
        return 1, values
    height = next(each for each in range(math.isqrt(values), 0, -1) if values % each == 0)
    return (height, values // height) if values // height <= MAX_SIDE else None


def takes(network: Network, shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape, (H, W), (H, W, C) or (features,), are the net's: one channel also without its axis,
    and any shape of as many numbers where a net takes a vector or is given one, but of several channels."""
    channels, height, width = network.input_shape
    if shape in ([(height, width, channels)] if channels > 1 else [(height, width), (height, width, 1)]):
        return True
    is_vector = height == 1 or (
        isinstance(network.architecture.layers[0], Flatten) and (height, width) == vector_sides(height * width)
    )
    is_flat = len(shape) == 1 or (channels == 1 and is_vector)
    has_one_order = channels == 1 or (height == 1 and width == 1)
    return is_flat and has_one_order and math.prod(shape) == channels * height * width


def _as_maps(network: Network, values: NDArray[Any], where: str) -> NDArray[Any]:
    """(N, C, H, W)."""
    channels, height, width = network.input_shape
    if not takes(network, values.shape[1:]):
        needed = (height, width) if channels == 1 else (height, width, channels)
        found, need = shapes.text(values.shape[1:]), shapes.text(needed)
        raise InputError(f"{where}: found {found} numbers each, need {need} for this model; reshape them")
    maps: NDArray[Any] = values.reshape(len(values), height, width, channels).transpose(0, 3, 1, 2)
    return maps


def _codes(network: Network, maps: NDArray[Any], first: int, where: str) -> NDArray[np.uint8] | NDArray[np.float32]:
    """The rule but for its end, of some maps (N, C, H, W), which are the file's from its row `first` on: u8, or whole
    numbers that may lie beyond."""
    if maps.dtype == np.uint8:
        return maps
    if maps.dtype == np.int8:
        return (maps.astype(np.int16) + INT8_ZERO).astype(np.uint8)
    if maps.dtype.kind != "f":
        raise InputError(f"{where}: found values of type {maps.dtype}, need uint8, int8 or floats; convert them")
    if network.fixed:
        raise InputError(f"{where}: found floats, need uint8 pixels for a net with a fixed front end; convert them")
    good = np.isfinite(maps).all(axis=(1, 2, 3))
    if not good.all():
        row = first + int(np.flatnonzero(~good)[0])
        raise InputError(f"{where}: found NaN or infinity in row {row}, need finite numbers; correct the row")
    offset = np.asarray(network.scaling.offset, np.float32)
    offset = offset.reshape(network.input_shape) if offset.ndim else offset
    whole = np.floor(offset)
    with np.errstate(over="ignore"):  # what is too large for float32 is for a byte too
        scaled = np.clip(maps.astype(np.float32) / np.float32(1 / network.scaling.divisor), -_FAR, _FAR)
    # Added to what is rounded, a whole offset would turn halves below zero the other way.
    return _half_away(scaled + (offset - whole)) + whole


def _half_away(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """To the nearest whole number, halves away from zero; adding 0.5 first would round 0.49999997 up."""
    whole = np.trunc(values)
    beyond = np.abs(values - whole) >= np.float32(0.5)
    rounded: NDArray[np.float32] = whole + np.where(beyond, np.copysign(np.float32(1), values), np.float32(0))
    return rounded
