"""Other ways to read the same images: what a net says when rows are taken for columns, black for white, 255 for 1.

An image that a net was not trained for looks right to a person and is a stranger to the net. Which of the usual mix-ups
it is shows in the accuracy of the float net when it is undone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn.fixed import codes
from host.nn.inference import scores
from host.nn.network import Network

Images = NDArray[Any]
"""(N, C, H, W)."""


@dataclass(frozen=True)
class Reading:
    """`apply` makes of images (N, C, H, W) what a net would be given if they were read like this; `remedy` is what to
    do where that is right. It makes a difference to maps of at least the sides `least` (C, H, W). `is_number`: it
    changes what a code is worth, and so gives floats."""

    name: str
    apply: Callable[[Images], Images]
    remedy: str
    least: tuple[int, int, int] = (1, 1, 1)
    is_number: bool = False


def _swapped(images: Images) -> Images:
    count, channels, height, width = images.shape
    found: Images = images.reshape(count, channels, width, height).swapaxes(2, 3)
    return found


def _interleaved(images: Images) -> Images:
    count, channels, height, width = images.shape
    found: Images = images.reshape(count, height, width, channels).transpose(0, 3, 1, 2)
    return found


_STORE = "store the images as the net's training data were"
READINGS = (
    Reading(
        "scaled by 1/255",
        lambda images: images.astype(np.float32) / np.float32(255),
        "the net takes inputs of 0..1: its scaling must divide by 255",
        is_number=True,
    ),
    Reading(
        "scaled by 255",
        lambda images: images.astype(np.float32) * np.float32(255),
        "the images hold 0..1 where the net takes 0..255, or its scaling divides by 255 once too often",
        is_number=True,
    ),
    Reading("inverted (255 - x)", lambda images: 255 - images, f"ink and ground are exchanged: {_STORE}"),
    Reading("with rows and columns swapped", _swapped, f"the images are transposed: {_STORE}", (1, 2, 2)),
    Reading(
        "with channels reversed",
        lambda images: images[:, ::-1],
        f"the order of the channels is another one, such as BGR for RGB: {_STORE}",
        (2, 1, 1),
    ),
    Reading(
        "with channels taken as interleaved",
        _interleaved,
        f"the channels of a pixel stand together in the data, and not plane by plane: {_STORE}",
        (2, 1, 1),
    ),
    Reading(
        "rotated by 180 degrees",
        lambda images: images[:, :, ::-1, ::-1],
        f"the images stand upside down: {_STORE}",
        (1, 2, 2),
    ),
    Reading(
        "mirrored left to right", lambda images: images[..., ::-1], f"each row runs backwards: {_STORE}", (1, 1, 2)
    ),
    Reading(
        "mirrored top to bottom",
        lambda images: images[:, :, ::-1],
        f"the rows run from the bottom up: {_STORE}",
        (1, 2, 1),
    ),
)


def readings_of(network: Network) -> tuple[Reading, ...]:
    """Those that can make a difference to `network`. Fixed layers take whole numbers of any scale."""
    return tuple(
        reading
        for reading in READINGS
        if not (reading.is_number and network.fixed)
        and all(side >= least for side, least in zip(network.input_shape, reading.least, strict=True))
    )


def classes_as(network: Network, images: NDArray[np.uint8], reading: Reading | None) -> NDArray[np.intp]:
    """(N,) what the float net says to images (N, H, W) or (N, C, H, W) read like this, None: as they are."""
    maps: Images = images.reshape(len(images), *network.input_shape)
    if reading is not None:
        maps = np.ascontiguousarray(reading.apply(maps))
    given = codes(network.architecture, maps) if maps.dtype == np.uint8 else maps
    found: NDArray[np.intp] = scores(network.parameters, network.scaling, given).argmax(axis=1)
    return found
