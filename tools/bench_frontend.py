"""Times the vectorised front end against seed 000's per-pixel Python loop, over all of USPS train, in one run.

Both start from the same u8 images and end with the same integers 0..255; the run fails if they differ, or if the
vectorised one is not at least `--min-ratio` times as fast. The loop runs in full, over all 7,291 images.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from host.data import load
from host.errors import DigitduinoError
from host.nn.layers import PRECONV_KERNEL
from host.nn.preconv import convolve, preconv_features
from host.nn.windows import largest

KERNEL = np.array(PRECONV_KERNEL) / 16
EDGE = 1e-6  # a float this close under an integer was meant to be it


def loop_features(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The front end as seed 000 describes it: one image at a time, one window at a time."""
    return np.array([loop_one(image) for image in images])


def loop_one(image: NDArray[np.uint8]) -> list[int]:
    height, width = image.shape
    padded = np.zeros((height + 2, width + 2))
    padded[1:-1, 1:-1] = image
    blurred = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            blurred[y, x] = np.sum(padded[y : y + 3, x : x + 3] * KERNEL)
    pooled = np.zeros((height // 2, width // 2))
    for y in range(0, height, 2):
        for x in range(0, width, 2):
            pooled[y // 2, x // 2] = np.max(blurred[y : y + 2, x : x + 2])
    low, high = pooled.min(), pooled.max()
    return [int((value - low) / (high - low) * 255 + EDGE) for value in pooled.ravel()]


def general_features(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The same by the general vectorised operations, in floating point."""
    pooled = largest(convolve(images, KERNEL, padding=1), (2, 2), (2, 2)).reshape(len(images), -1)
    rise = pooled - pooled.min(axis=1, keepdims=True)
    return (rise / np.maximum(rise.max(axis=1, keepdims=True), EDGE) * 255 + EDGE).astype(np.int64)


def timed(
    work: Callable[[NDArray[np.uint8]], NDArray[np.integer]], images: NDArray[np.uint8], repeats: int
) -> tuple[float, NDArray[np.integer]]:
    """Return the shortest time of `repeats` in seconds, and the result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work(images)
        times.append(time.perf_counter() - start)
    return min(times), result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--min-ratio", type=float, default=100.0, help="fail below this speed-up (default 100)")
    wanted = parser.parse_args().min_ratio
    try:
        images = load("usps").train.images
    except DigitduinoError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"front end over USPS train, {len(images)} images")
    fast, features = timed(preconv_features, images, 5)
    general, same = timed(general_features, images, 3)
    slow, expected = timed(loop_features, images, 1)
    print(f"  per-pixel Python loop             {slow:9.3f} s")
    print(f"  the same steps, whole arrays      {general:9.3f} s  {slow / general:8.0f} x")
    print(f"  preconv_features (exact integers) {fast:9.3f} s  {slow / fast:8.0f} x, need {wanted:.0f} x")
    wrong = int((features != expected).sum() + (same != expected).sum())
    if wrong:
        print(f"error: front end: features: found {wrong} that differ from the loop's, need 0", file=sys.stderr)
        return 1
    return 0 if slow / fast >= wanted else 1


if __name__ == "__main__":
    sys.exit(main())
