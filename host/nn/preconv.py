"""The fixed front end of seed 000: convolution, pooling, min-max normalisation, vectorised over all images at once.

`convolve`, `maxpool`, `meanpool` and `normalize` are the seed's four general operations (any small kernel, any numeric
type). `preconv_features` is the chain that boards run, in exact integers; docs/numerics.md defines it and the C core
and the AVR assembly repeat it bit for bit. This module knows images and nothing of networks, files or boards.

Windows follow seed 000: they start at 0, s, 2s, … while start < n − (k − s), so with a stride above one the last window
may overhang the edge. The seed's pools then look at the pixels that exist, and so do these; a convolution reads zeros
there (the seed crashed). A window that would lie wholly outside is dropped.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from host.errors import InputError

LEVELS = (255, 63)
"""Largest activation of the 8-bit and of the 6-bit front end."""

_CHUNK_PIXELS = 1 << 16  # pixels worked on at once, so that the temporaries stay in the processor's cache


def convolve(image: ArrayLike, kernel: ArrayLike, stride: int = 1, padding: int = 0) -> NDArray[Any]:
    """Correlate (..., H, W) with a (kh, kw) kernel, which is not flipped, over a border of `padding` zeros.

    Integers give exact int64 sums; anything else keeps NumPy's promoted type. Raises InputError on bad shapes.
    """
    pixels = _as_images(image, "convolve")
    weights = np.asarray(kernel)
    if weights.ndim != 2 or 0 in weights.shape:
        raise InputError(f"convolve: kernel: found shape {weights.shape}, need two axes; give it as rows of numbers")
    if padding < 0:
        raise InputError(f"convolve: padding: found {padding}, need 0 or more; give the zeros to add on each side")
    dtype = np.result_type(pixels.dtype, weights.dtype)
    dtype = dtype if dtype.kind in "fc" else np.dtype(np.int64)
    height, width = (n + 2 * padding for n in pixels.shape[-2:])
    rows, columns = (_windows(n, k, stride, "convolve") for n, k in zip((height, width), weights.shape, strict=True))
    reach_y, reach_x = (rows - 1) * stride + weights.shape[0], (columns - 1) * stride + weights.shape[1]
    lead = pixels.shape[:-2]
    padded = np.zeros((*lead, max(height, reach_y), max(width, reach_x)), dtype)
    padded[..., padding : height - padding, padding : width - padding] = pixels
    total: NDArray[Any] = np.zeros((*lead, rows, columns), dtype)
    for (dy, dx), weight in np.ndenumerate(weights):
        total += weight * padded[..., dy : dy + reach_y : stride, dx : dx + reach_x : stride][..., :rows, :columns]
    return total


def maxpool(image: ArrayLike, size: int | tuple[int, int], stride: int) -> NDArray[Any]:
    """Return the largest pixel of each window of (..., H, W), in the type of the image."""
    pixels = _as_images(image, "maxpool")
    (height, width), (rows, columns) = _pool_shape(pixels, size, stride, "maxpool")
    largest: NDArray[Any] = pixels[..., ::stride, ::stride][..., :rows, :columns].copy()
    for part, seen in _pool_parts(pixels, (height, width), stride, (rows, columns)):
        view = largest[..., : seen[0], : seen[1]]
        np.maximum(view, part, out=view)
    return largest


def meanpool(image: ArrayLike, size: int | tuple[int, int], stride: int) -> NDArray[Any]:
    """Return the mean over each window of (..., H, W); integers give float64, floats keep their type."""
    pixels = _as_images(image, "meanpool")
    (height, width), (rows, columns) = _pool_shape(pixels, size, stride, "meanpool")
    dtype = pixels.dtype if pixels.dtype.kind in "fc" else np.dtype(np.float64)
    total: NDArray[Any] = np.zeros((*pixels.shape[:-2], rows, columns), dtype)
    count = np.zeros((rows, columns), dtype)
    for part, seen in _pool_parts(pixels, (height, width), stride, (rows, columns)):
        total[..., : seen[0], : seen[1]] += part
        count[: seen[0], : seen[1]] += 1
    total /= count
    return total


def normalize(image: ArrayLike) -> NDArray[Any]:
    """Map each image of (..., H, W) onto 0..1 by (x − min) / (max − min); an image of one value becomes zeros."""
    pixels = _as_images(image, "normalize")
    # Subtracting two int8 or two u8 could wrap, so everything but a float is widened first.
    values: NDArray[Any] = pixels if pixels.dtype.kind == "f" else pixels.astype(np.float64)
    low = values.min(axis=(-2, -1), keepdims=True)
    span = values.max(axis=(-2, -1), keepdims=True) - low
    scaled: NDArray[Any] = (values - low) / np.where(span == 0, 1, span).astype(values.dtype)
    return scaled


def preconv_features(images: NDArray[np.uint8], levels: int = 255) -> NDArray[np.uint8]:
    """Turn u8 images (N, H, W) into u8 features (N, H//2 · W//2) in 0..levels; exact, the same on every board.

    Zero border of one, c = Σ k·p with k = [1 2 1; 2 4 2; 1 2 1] (the seed's /16 cancels in the normalisation), 2×2
    max-pool of stride 2 (an odd last row or column is left out), floor((v − min)·levels / (max − min)).
    """
    if images.dtype != np.uint8 or images.ndim != 3 or min(images.shape[1:]) < 2:
        found = f"{images.dtype} {images.shape}"
        raise InputError(f"front end: images: found {found}, need uint8 (N, H, W) of 2x2 or more; convert them first")
    if levels not in LEVELS:
        raise InputError(f"front end: levels: found {levels}, need 255 or 63; choose one of them")
    count, height, width = images.shape
    features = np.empty((count, (height // 2) * (width // 2)), np.uint8)
    chunk = max(1, _CHUNK_PIXELS // (height * width))
    for start in range(0, count, chunk):
        pooled = _blur_and_pool(images[start : start + chunk])
        features[start : start + chunk] = _quantise_span(pooled, levels)
    return features


def _blur_and_pool(images: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the pooled sums (n, H//2 · W//2), at most 16 · 255 = 4080; [1 2 1] is two sums of neighbours."""
    count, height, width = images.shape
    padded = np.zeros((count, height + 2, width + 2), np.uint16)
    padded[:, 1:-1, 1:-1] = images
    pairs = padded[:, :, :-1] + padded[:, :, 1:]
    across = pairs[:, :, :-1] + pairs[:, :, 1:]
    pairs = across[:, :-1] + across[:, 1:]
    blurred = pairs[:, :-1] + pairs[:, 1:]
    blurred = blurred[:, : height // 2 * 2, : width // 2 * 2]
    tall = np.maximum(blurred[:, 0::2], blurred[:, 1::2])
    pooled: NDArray[np.uint16] = np.maximum(tall[:, :, 0::2], tall[:, :, 1::2])
    return pooled.reshape(count, -1)


def _quantise_span(values: NDArray[np.uint16], levels: int) -> NDArray[np.uint8]:
    """Return floor((v − min)·levels / (max − min)) for each row (n, D).

    float32 is exact here: the numerator stays under 2^24, and a quotient that is no integer keeps a distance of at
    least 1/4080 from the next one, sixteen times the spacing of float32 below 256, so rounding cannot reach it.
    """
    low = values.min(axis=1, keepdims=True)
    span = values.max(axis=1, keepdims=True) - low
    rise = (values - low).astype(np.float32)
    rise *= levels
    rise /= np.maximum(span, 1)
    floors: NDArray[np.uint8] = rise.astype(np.uint8)
    return floors


def _as_images(image: ArrayLike, subject: str) -> NDArray[Any]:
    pixels = np.asarray(image)
    if pixels.ndim < 2 or 0 in pixels.shape[-2:]:
        raise InputError(f"{subject}: image: found shape {pixels.shape}, need (..., H, W); reshape it")
    return pixels


def _windows(length: int, size: int, stride: int, subject: str) -> int:
    """Return how many windows of `size` start in `length` pixels under the seed's rule."""
    if size < 1 or stride < 1:
        raise InputError(f"{subject}: window: found size {size}, stride {stride}, need 1 or more; enlarge them")
    if size > length:
        raise InputError(
            f"{subject}: window: found {size} on {length} pixels, need at most {length}; use a smaller one"
        )
    return len(range(0, min(length, length - size + stride), stride))


def _pool_shape(
    pixels: NDArray[Any], size: int | tuple[int, int], stride: int, subject: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    height, width = (size, size) if isinstance(size, int) else size
    rows = _windows(pixels.shape[-2], height, stride, subject)
    return (height, width), (rows, _windows(pixels.shape[-1], width, stride, subject))


def _pool_parts(
    pixels: NDArray[Any], size: tuple[int, int], stride: int, shape: tuple[int, int]
) -> list[tuple[NDArray[Any], tuple[int, int]]]:
    """Return, per place in the window, the pixel that each window has there and how many windows have one."""
    parts = []
    for dy, dx in np.ndindex(*size):
        part = pixels[..., dy::stride, dx::stride][..., : shape[0], : shape[1]]
        parts.append((part, (part.shape[-2], part.shape[-1])))
    return parts
