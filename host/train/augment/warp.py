"""Random distortions of images: one bilinear warp per image, zeros outside, rounded to 0..255.

An affine map (rotation, scale, shear, shift) and an elastic displacement (Simard, Steinkraus, Platt: "Best practices
for convolutional neural networks applied to visual document analysis", ICDAR 2003; here a coarse Gaussian grid,
upsampled) are added up and the image is sampled once, so that it is blurred once. Knows images only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError

_CHUNK_PIXELS = 1 << 15  # pixels warped at once, so that the temporaries stay in the processor's cache


@dataclass(frozen=True)
class Warp:
    """Limits of the uniform draws (each ±), and the deviation of the elastic displacement at its grid points."""

    rotation_deg: float
    scale: float  # per axis, relative to 1
    shear: float
    shift_px: float
    elastic_px: float = 0.0


WARPS: Mapping[str, Warp] = {
    "none": Warp(0, 0, 0, 0),
    "mild": Warp(6, 0.07, 0.10, 0.7, 0.4),
    "affine": Warp(10, 0.10, 0.15, 1.0),
    "elastic": Warp(10, 0.10, 0.15, 1.0, 0.6),
    "elastic2": Warp(12, 0.12, 0.20, 1.5, 1.0),
}


def warp_images(images: NDArray[np.uint8], name: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a distorted copy of u8 images (N, H, W); `name` is a key of WARPS. Raises InputError on another name."""
    if name not in WARPS:
        raise InputError(f"augmentation: warp: found '{name}', need one of {', '.join(WARPS)}; choose one")
    limits = WARPS[name]
    if limits == WARPS["none"]:
        return np.array(images)
    count, height, width = images.shape
    basis = _basis(height, width, elastic=limits.elastic_px > 0)
    factors = _draw(count, limits, len(basis), (height, width), rng)
    warped = np.empty_like(images)
    chunk = max(1, _CHUNK_PIXELS // (height * width))
    for start in range(0, count, chunk):
        rows = slice(start, start + chunk)
        warped[rows] = _sample(images[rows], factors[0, rows] @ basis, factors[1, rows] @ basis)
    return warped


def _basis(height: int, width: int, elastic: bool) -> NDArray[np.float32]:
    """Return the fields (3 or 3 + g², H·W) that source coordinates are sums of: y, x from the centre, 1, grid hats."""
    y, x = np.mgrid[0:height, 0:width].reshape(2, -1)
    fields = np.stack([y - (height - 1) / 2, x - (width - 1) / 2, np.ones(height * width)])
    if elastic:
        grid = 4 if max(height, width) <= 16 else 5
        hats = np.einsum("yi,xj->ijyx", _hats(height, grid), _hats(width, grid))
        fields = np.concatenate([fields, hats.reshape(grid * grid, -1)])
    return fields.astype(np.float32)


def _hats(length: int, grid: int) -> NDArray[np.float64]:
    """Return the weights (length, grid) of linear interpolation from `grid` points, the first and last on the edges."""
    places = np.linspace(0, grid - 1, length)
    hats: NDArray[np.float64] = np.maximum(0.0, 1 - np.abs(places[:, None] - np.arange(grid)))
    return hats


def _draw(
    count: int, limits: Warp, fields: int, shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return factors (2, N, fields): the row and the column to read from, both counted from one pixel outside."""
    angle = np.radians(rng.uniform(-limits.rotation_deg, limits.rotation_deg, count))
    scale = 1 + rng.uniform(-limits.scale, limits.scale, (2, count))
    shear = rng.uniform(-limits.shear, limits.shear, count)
    shift = rng.uniform(-limits.shift_px, limits.shift_px, (2, count))
    cos, sin = np.cos(angle), np.sin(angle)
    factors = np.empty((2, count, fields), np.float32)
    # rotation @ [[1, 0], [shear, 1]] @ scale, on (row, column)
    factors[0, :, 0] = (cos - sin * shear) * scale[0]
    factors[0, :, 1] = -sin * scale[1]
    factors[1, :, 0] = (sin + cos * shear) * scale[0]
    factors[1, :, 1] = cos * scale[1]
    factors[:, :, 2] = shift + (np.array(shape)[:, None] - 1) / 2 + 1
    factors[:, :, 3:] = rng.normal(0, limits.elastic_px, (2, count, fields - 3)) if fields > 3 else 0
    return factors


def _sample(images: NDArray[np.uint8], y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Read images (n, H, W) at y, x (n, H·W), which count from one pixel outside the upper left corner.

    The four neighbours of a place lie packed in one 32-bit word, so that one gather fetches them all.
    """
    count, height, width = images.shape
    padded = np.zeros((count, height + 3, width + 3), np.uint8)
    padded[:, 1:-2, 1:-2] = images
    corners = np.empty((count, height + 2, width + 2, 4), np.uint8)
    corners[..., 0] = padded[:, :-1, :-1]
    corners[..., 1] = padded[:, :-1, 1:]
    corners[..., 2] = padded[:, 1:, :-1]
    corners[..., 3] = padded[:, 1:, 1:]
    np.clip(y, 0, height + 1, out=y)
    np.clip(x, 0, width + 1, out=x)
    row, column = np.floor(y), np.floor(x)
    y -= row
    x -= column
    place = (row * np.float32(width + 2) + column).astype(np.intp)
    place += np.arange(count)[:, None] * ((height + 2) * (width + 2))
    found = corners.view(np.uint32).ravel().take(place).view(np.uint8).reshape(count, -1, 4).astype(np.float32)
    upper = found[..., 0] + x * (found[..., 1] - found[..., 0])
    lower = found[..., 2] + x * (found[..., 3] - found[..., 2])
    upper += y * (lower - upper)
    pixels: NDArray[np.uint8] = np.rint(upper, out=upper).astype(np.uint8)
    return pixels.reshape(images.shape)
