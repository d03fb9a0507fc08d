"""What shape each kind of layer makes of another, and which it refuses: one function a kind. Knows plain numbers alone.

`where` begins every refusal: it names the layer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from host.errors import InputError

Shape = tuple[int, ...]
Pair = tuple[int, int]
Pads = tuple[int, int, int, int]
Size = int | Pair
Padding = int | Pair | Pads


def pair(value: Size) -> Pair:
    """Return (height, width) for one number or both."""
    return value if isinstance(value, tuple) else (value, value)


def pads(value: Padding) -> Pads:
    """Return (top, left, bottom, right) for one number, two or all four."""
    if isinstance(value, int):
        return (value, value, value, value)
    return (*value, *value) if len(value) == 2 else value


@dataclass(frozen=True)
class Sides:
    """A convolution's kernel and strides (height, width) and its padding (top, left, bottom, right)."""

    kernel: Pair
    strides: Pair
    pads: Pads


def macs(weights: Shape, outputs: Shape) -> int:
    """Return the multiplications of a layer, `weights` (outputs, inputs of one output...)."""
    return math.prod(weights[1:]) * math.prod(outputs)


def dropped(share: float, inputs: Shape, where: str) -> Shape:
    """Return the shape behind a dropout."""
    if not 0 <= share < 1:
        raise InputError(f"{where}: share: found {share}, need 0 up to 1, 1 excluded; give for example 0.5")
    return inputs


def dense(units: int, inputs: Shape, where: str) -> Shape:
    """Return the shape behind a fully connected layer."""
    _check_count(where, "units", units)
    if len(inputs) != 1:
        raise InputError(f"{where}: input: found {text(inputs)}, need a vector; put Flatten before")
    return (units,)


def flat(inputs: Shape) -> Shape:
    """Return the shape behind a flattening."""
    return (math.prod(inputs),)


def check_maps(inputs: Shape, where: str) -> None:
    """Raise InputError unless there are maps to work on."""
    if len(inputs) != 3:
        raise InputError(f"{where}: input: found {text(inputs)}, need channels, height, width; put it before Flatten")


def normalised(top: int, inputs: Shape, where: str) -> Shape:
    """Return the shape behind a min-max normalisation."""
    if not 1 <= top <= 255:
        raise InputError(f"{where}: top: found {top}, need 1..255, what a byte holds; give 255")
    return inputs


def fixed(kernel: tuple[tuple[int, ...], ...], padding: int, inputs: Shape, where: str) -> Shape:
    """Return the shape behind a convolution that is never trained."""
    widths = {len(row) for row in kernel}
    if len(widths) != 1 or 0 in widths:
        raise InputError(f"{where}: kernel: found rows of {sorted(widths)} numbers, need equal ones; give a rectangle")
    if max(abs(value) for row in kernel for value in row) > 0x7FFF:
        raise InputError(f"{where}: kernel: found a number beyond 16 bits, need smaller ones; divide them")
    sides = Sides((len(kernel), widths.pop()), (1, 1), (padding,) * 4)
    return convolved(inputs[0], inputs[0], sides, inputs, where)


def convolved(channels: int, groups: int, sides: Sides, inputs: Shape, where: str) -> Shape:
    """Return the shape behind a convolution."""
    counts = {"channels": channels, "kernel": min(sides.kernel), "stride": min(sides.strides), "groups": groups}
    for name, value in counts.items():
        _check_count(where, name, value)
    for pad, kernel in zip(sides.pads, sides.kernel * 2, strict=True):
        if not 0 <= pad < kernel:
            raise InputError(f"{where}: padding: found {pad}, need 0..{kernel - 1}; choose another")
    if inputs[0] % groups or channels % groups:
        found = f"{groups} for {inputs[0]} channels in and {channels} out"
        raise InputError(f"{where}: groups: found {found}, need a divisor of both; choose another")
    padded = [side + sides.pads[axis] + sides.pads[axis + 2] for axis, side in enumerate(inputs[1:])]
    return _check_room((channels, *_steps(padded, sides.kernel, sides.strides)), inputs, where)


def pooled(window: Pair, strides: Pair, inputs: Shape, where: str) -> Shape:
    """Return the shape behind a pool."""
    _check_count(where, "size", min(window))
    _check_count(where, "stride", min(strides))
    return _check_room((inputs[0], *_steps(inputs[1:], window, strides)), inputs, where)


def text(shape: Sequence[int]) -> str:
    """Return a shape as people read it."""
    return "x".join(map(str, shape))


def _steps(sides: Sequence[int], window: Pair, strides: Pair) -> list[int]:
    return [(side - size) // stride + 1 for side, size, stride in zip(sides, window, strides, strict=True)]


def _check_count(where: str, field: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{where}: {field}: found {value}, need a whole number from 1; choose another")


def _check_room(outputs: Shape, inputs: Shape, where: str) -> Shape:
    if min(outputs) < 1:
        raise InputError(f"{where}: input: found {text(inputs)}, need a larger map; pool less or pad")
    return outputs
