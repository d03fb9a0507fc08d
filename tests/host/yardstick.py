"""A fixed piece of work to compare with, so that "too much work" means the same on every machine, busy or not."""

from __future__ import annotations

import time
import zlib

import numpy as np

_PACKED = zlib.compress(bytes(range(256)) * 4096)


def yardstick_s() -> float:
    """Processor time for what readers do most, some 10 ms on a desktop: steps of Python, zlib, text into numbers."""
    start = time.process_time()
    total = 0
    for step in range(40_000):
        total = (total * 31 + step) & 0xFFFF
    zlib.decompress(_PACKED)
    np.loadtxt(["1,2,3,4,5,6,7,8"] * 1500, delimiter=",")
    return time.process_time() - start
