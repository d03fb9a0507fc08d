"""Weight formats and activation tops that a net can be trained for, each by the name or number that users see.

A room for facts alone: imports nothing.
"""

from collections.abc import Mapping

WEIGHT_TOPS: Mapping[str, int] = {"int8": 127, "int4": 7, "ternary": 1}
"""The largest weight code of each integer format; the smallest is its negative."""

ACTIVATION_TOPS: Mapping[int, int] = {8: 255, 6: 63, 5: 31, 4: 15}
"""Activation bits → largest activation code."""

FULL_TOP = ACTIVATION_TOPS[8]
"""The top where nothing else is said."""
