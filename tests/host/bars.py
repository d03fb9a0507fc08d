"""Images with one bright bar, which any net learns in a few epochs, and when two trainings are one."""

import numpy as np

from host.data import Split
from host.nn.network import Network


def bars(count: int, seed: int) -> Split:
    """Return noisy 8 × 8 images with one bright row (class 0), column (1) or diagonal (2)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    images = rng.integers(0, 120, (count, 8, 8))
    places = rng.integers(0, 8, count)
    for image, label, place in zip(images, labels, places, strict=True):
        where = ((place, slice(None)), (slice(None), place), (np.arange(8), (np.arange(8) + place) % 8))[label]
        image[where] += 120
    return Split(images.astype(np.uint8), labels.astype(np.int64))


def same(one: Network, other: Network) -> bool:
    return one.provenance.history == other.provenance.history and np.array_equal(
        one.parameters.flat, other.parameters.flat
    )
