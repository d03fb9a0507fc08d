"""Plain-text views for the terminal: a digit, the first divergence. Returns text; the command line prints it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.report.compare import Comparison

_SHADES = " .:-=+*#%@"
_MOST_DRAWN = 64
"""A side of more pixels takes more than a terminal has."""


def image_as_text(image: NDArray[np.uint8]) -> str:
    """One line a row, two characters a pixel so that it looks square."""
    shades = (image.astype(int) * len(_SHADES)) // 256
    return "\n".join("".join(_SHADES[shade] * 2 for shade in row).rstrip() for row in shades)


def divergence(comparison: Comparison, images: NDArray[np.uint8], index: int) -> str:
    """The image at `index`, where it is one that can be looked at, and its three rows of scores, side by side."""
    quantised, device = (
        _scores(words[index], comparison.integer_scores)
        for words in (comparison.quantised_words, comparison.device_words)
    )
    rows = ["class    float      quantised         device"]
    for number, score in enumerate(comparison.float_scores[index]):
        mark = "" if quantised[number] == device[number] else "   <- differs"
        rows.append(f"{number:5d} {score:8.3f} {quantised[number]:>14} {device[number]:>14}{mark}")
    said = (
        f"float says {comparison.float_classes[index]}, quantised {comparison.quantised_classes[index]}, "
        f"device {comparison.device_classes[index]}"
    )
    label = "no label" if comparison.labels is None else f"label {comparison.labels[index]}"
    image = images[index]
    drawn = [image_as_text(image)] if image.ndim == 2 and max(image.shape) <= _MOST_DRAWN else []
    return "\n".join([f"first divergence: digit {index}, {label}: {said}", *drawn, *rows])


def _scores(words: NDArray[np.uint32], integer: bool) -> list[str]:
    if integer:
        return [str(score) for score in words.view(np.int32)]
    # Shortest text that reads back to the same bits, so that a last-bit difference shows.
    return [str(score) for score in words.view(np.float32)]
