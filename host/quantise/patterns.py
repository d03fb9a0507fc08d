"""Synthetic images of any shape, each with a name: what a data set of digits or letters does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.quantise.ops import MapShape

INK = 255
_SEED = 10
_ALONE = 8
"""So many channels at most."""
Named = tuple[str, NDArray[np.uint8]]
"""A name, and an image (channels, height, width)."""


def plain_patterns(shape: MapShape) -> Iterator[Named]:
    """Blank, full, checkers, stripes, ramps, noise, a single pixel in each corner, and each channel alone, but of many
    channels some."""
    channels, height, width = shape
    y, x = np.mgrid[:height, :width]
    yield "blank", _image(shape, 0 * y)
    yield "full", _image(shape, 0 * y + INK)
    yield "checker", _image(shape, (y + x) % 2 * INK)
    yield "coarse checker", _image(shape, (y // 2 + x // 2) % 2 * INK)
    yield "rows", _image(shape, y % 2 * INK)
    yield "columns", _image(shape, x % 2 * INK)
    yield "ramp down", _image(shape, y * INK // max(height - 1, 1))
    yield "ramp across", _image(shape, x * INK // max(width - 1, 1))
    yield "noise", np.random.default_rng(_SEED).integers(0, INK + 1, shape).astype(np.uint8)
    for side, row in (("upper", 0), ("lower", height - 1)):
        for end, column in (("left", 0), ("right", width - 1)):
            yield f"pixel {side} {end}", _image(shape, ((y == row) & (x == column)) * INK)
    alone = np.unique(np.linspace(0, channels - 1, min(channels, _ALONE)).astype(int)).tolist()
    for channel in alone if channels > 1 else []:
        yield (
            f"channel {channel}",
            np.where(np.arange(channels)[:, None, None] == channel, _image(shape, 0 * y + INK), 0),
        )


def varied_patterns(shape: MapShape) -> Iterator[Named]:
    """Without end: coarse and fine noise in black and white, bars and spots, from a fixed seed."""
    random = np.random.default_rng(_SEED)
    channels, height, width = shape
    y, x = np.mgrid[:height, :width]
    number = 0
    while True:
        size = 1 + number % 4
        cells = random.integers(0, 2, (channels, -(-height // size), -(-width // size)))
        yield f"blocks {number}", np.kron(cells, np.full((1, size, size), INK))[:, :height, :width].astype(np.uint8)
        angle, period, phase = random.uniform(0, np.pi), random.uniform(2, 8), random.uniform(0, 1)
        waves = np.floor(2 * ((y * np.cos(angle) + x * np.sin(angle)) / period + phase)) % 2
        yield f"bars {number}", _image(shape, waves * INK)
        row, column, reach = (
            random.uniform(0, height),
            random.uniform(0, width),
            random.uniform(1, 1 + max(shape[1:]) / 3),
        )
        yield f"spot {number}", _image(shape, ((y - row) ** 2 + (x - column) ** 2 < reach**2) * INK)
        number += 1


def _image(shape: MapShape, values: NDArray[Any]) -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = np.broadcast_to(values, shape).astype(np.uint8)
    return image
