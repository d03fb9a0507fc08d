"""The fixed front end of seed 000: convolution, pooling, min-max normalisation, vectorised over all images at once.

`preconv_features` is the chain that boards run, in exact integers; docs/numerics.md defines it and the C core and the
AVR assembly repeat it bit for bit. `convolve` takes any small kernel. This module knows images and nothing of networks,
files or boards.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from host.errors import InputError
from host.nn.formats import FRONT_END_TOPS

_CHUNK_PIXELS = 1 << 16  # pixels worked on at once, so that the temporaries stay in the processor's cache


def convolve(image: ArrayLike, kernel: ArrayLike, padding: int = 0) -> NDArray[Any]:
    """Correlate (..., H, W) with a (kh, kw) kernel, which is not flipped, over a border of `padding` zeros.

    Integers give exact int64 sums; anything else keeps NumPy's promoted type.
    """
    pixels, weights = np.asarray(image), np.asarray(kernel)
    dtype = np.result_type(pixels.dtype, weights.dtype)
    dtype = dtype if dtype.kind in "fc" else np.dtype(np.int64)
    *lead, height, width = pixels.shape
    padded = np.zeros((*lead, height + 2 * padding, width + 2 * padding), dtype)
    padded[..., padding : height + padding, padding : width + padding] = pixels
    rows, columns = (n - k + 1 for n, k in zip(padded.shape[-2:], weights.shape, strict=True))
    total: NDArray[Any] = np.zeros((*lead, rows, columns), dtype)
    for (dy, dx), weight in np.ndenumerate(weights):
        total += weight * padded[..., dy : dy + rows, dx : dx + columns]
    return total


def preconv_features(images: NDArray[np.uint8], levels: int = 255) -> NDArray[np.uint8]:
    """Turn u8 images (N, H, W) into u8 features (N, H//2 · W//2) in 0..levels; exact, the same on every board.

    Zero border of one, c = Σ k·p with k = [1 2 1; 2 4 2; 1 2 1] (the seed's /16 cancels in the normalisation), 2×2
    max-pool of stride 2 (an odd last row or column is left out), floor((v − min)·levels / (max − min)).
    """
    if images.dtype != np.uint8 or images.ndim != 3 or min(images.shape[1:]) < 2:
        found = f"{images.dtype} {images.shape}"
        raise InputError(f"front end: images: found {found}, need uint8 (N, H, W) of 2x2 or more; convert them first")
    if levels not in FRONT_END_TOPS:
        raise InputError(
            f"front end: levels: found {levels}, need {' or '.join(map(str, FRONT_END_TOPS))}; choose one of them"
        )
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
