"""How weights are stored on a board, and how large activations can be: the one table of both. Standard library alone,
so that a command line can name them without importing NumPy."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

ACTIVATION_TOPS = {8: 255, 6: 63, 5: 31, 4: 15}
"""Activation bits → the largest activation."""
NARROW_TOP = ACTIVATION_TOPS[6]
"""With 6 bits every sum is made to fit 16 bits, which is what they are for."""
FULL_TOP = ACTIVATION_TOPS[8]
"""The top where nothing else is said."""
FRONT_END_TOPS = (NARROW_TOP, FULL_TOP)
"""The largest codes of the fixed front end, and so of all activations behind it."""


def bits_in_words(tops: Collection[int] = tuple(ACTIVATION_TOPS.values())) -> str:
    """The activation bits that have these tops, such as `6 or 8`."""
    *some, last = sorted(bits for bits, top in ACTIVATION_TOPS.items() if top in tops)
    return f"{', '.join(map(str, some))} or {last}" if some else str(last)


BITS_IN_WORDS = f"{bits_in_words()}, behind a fixed front end {bits_in_words(FRONT_END_TOPS)}"
"""For help and messages."""


class WeightFormat(IntEnum):
    """How weights are stored on the board; the value is what READY reports."""

    FLOAT32 = 0
    FLOAT16 = 1
    INT8 = 2
    INT4 = 3
    TERNARY = 4

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def is_integer(self) -> bool:
        return self in _INTEGER_BITS

    @property
    def bits(self) -> int:
        """What one weight takes in flash."""
        return _FLOAT_BITS.get(self) or _INTEGER_BITS[self]

    @property
    def weight_max(self) -> int:
        """The largest magnitude of an integer format's weights."""
        return int((1 << (_INTEGER_BITS[self] - 1)) - 1)


_INTEGER_BITS = {WeightFormat.INT8: 8, WeightFormat.INT4: 4, WeightFormat.TERNARY: 2}
_FLOAT_BITS = {WeightFormat.FLOAT32: 32, WeightFormat.FLOAT16: 16}

WEIGHT_TOPS = {fmt.label: fmt.weight_max for fmt in WeightFormat if fmt.is_integer}
"""The largest weight code of each integer format by its name; the smallest is its negative."""
