"""Turns whatever numbers a file holds into u8 pixels and int64 labels, or says which row is wrong.

Pixels are rounded, not truncated: first to 1/1000 of a level, then to the nearest level, halves to even. The first
step makes the result independent of the layout: 0.1 x 255 = 25.5 is a tie in decimal text, and float32, float64 or a
shift from -1..1 miss it by less than 1/10000 on either side. A level that was stored as float32 level / 255 comes back.
"""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from host.data.dataset import Split
from host.data.problem import problem
from host.data.samples import MAX_SIDE

Numbers = NDArray[np.generic]
_CHUNK = 4096  # rows converted at a time: MNIST as float64 in one piece would be 376 MB


class Scale(Enum):
    """What a file's pixel values mean: (value of background, value of full ink)."""

    UNIT = (0.0, 1.0)
    SIGNED = (-1.0, 1.0)
    BYTE = (0.0, 255.0)


def make_split(subject: object, split: str, pixels: Numbers, labels: Numbers, scale: Scale, classes: int) -> Split:
    """Checks and converts one split; `pixels` is (N, H*W) with H = W, or (N, H, W). Raises InputError."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    shape = image_shape(subject, f"{split} images", pixels.shape)
    if labels.ndim != 1 or len(labels) != len(pixels):
        found = f"shape {labels.shape} beside {len(pixels)} images"
        raise problem(subject, f"{split} labels", found, f"({len(pixels)},)", "give one label per image")
    whole = to_labels(subject, f"{split} labels", labels, classes)
    levels = to_levels(subject, f"{split} images", pixels.reshape(len(pixels), -1), scale)
    return Split(levels.reshape(shape), whole)


def image_shape(subject: object, field: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(N, H, W) of an array of images; refuses an empty one and a flat row that is not square."""
    height = width = 0
    if len(shape) == 3:
        height, width = shape[1:]
    elif len(shape) == 2:
        height = width = math.isqrt(shape[1])
    if len(shape) not in (2, 3) or (len(shape) == 2 and height * width != shape[1]):
        need = "(N, H, W), or (N, H*W) of square images"
        raise problem(subject, field, f"shape {shape}", need, "reshape the images")
    if shape[0] == 0:
        raise problem(subject, field, "no image", "at least one", "give a file with data")
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        need = f"sides of 1..{MAX_SIDE} pixels"
        raise problem(subject, field, f"{height}x{width} pixels", need, "resize the images")
    return shape[0], height, width


def to_levels(subject: object, field: str, pixels: Numbers, scale: Scale) -> NDArray[np.uint8]:
    """(N, P) of any number type → u8 (N, P) by the rounding above. Raises InputError on NaN and values off the scale.

    Integers always mean levels 0..255.
    """
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, dtype=np.uint8)
    if pixels.dtype.kind in "iub":
        scale = Scale.BYTE
    elif pixels.dtype.kind != "f":
        raise problem(subject, field, f"values of type {pixels.dtype}", "numbers", "store plain numbers")
    low, high = scale.value
    levels = np.empty(pixels.shape, dtype=np.uint8)
    for start in range(0, len(pixels), _CHUNK):
        part = pixels[start : start + _CHUNK].astype(np.float64)
        good = (part >= low) & (part <= high)  # false for NaN too
        if not good.all():
            row, column = (int(i) for i in np.argwhere(~good)[0])
            found = f"{part[row, column]:g} in row {start + row}, pixel {column}"
            raise problem(subject, field, found, f"values {low:g}..{high:g}", f"{_advice(scale)}")
        levels[start : start + _CHUNK] = np.rint(np.round((part - low) * (255.0 / (high - low)), 3))
    return levels


def to_labels(subject: object, field: str, labels: Numbers, classes: int, first: int = 0) -> NDArray[np.int64]:
    """(N,) whole numbers first..first+classes-1, of integer or float type → int64 0..classes-1."""
    if labels.dtype.kind not in "iubf":
        raise problem(subject, field, f"values of type {labels.dtype}", "whole numbers", "store plain numbers")
    low, high = first, first + classes - 1
    wide = labels.astype(np.float64)  # exact for every label that can be right
    good = (wide >= low) & (wide <= high) & (wide == np.floor(wide))
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        do = "correct the row, or name the classes (see host.data.files)"
        raise problem(subject, field, f"{labels[row]} in row {row}", f"whole numbers {low}..{high}", do)
    return wide.astype(np.int64) - first


def _advice(scale: Scale) -> str:
    if scale is Scale.UNIT:
        return "divide by the largest value, or store levels 0..255 as uint8"
    return "correct the row or rescale the images"
