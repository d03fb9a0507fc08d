"""How pixels, or what fixed layers make of them, become the inputs of a net."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn.formats import FULL_TOP


@dataclass(frozen=True, eq=False)
class Scaling:
    """The first trained layer's input is (code − offset) / divisor; a code is a pixel, or what fixed layers make of it.

    An offset for each input, in the order of a flattened map, is an int16 vector; one for all need not be whole.
    """

    offset: float | NDArray[np.int16] = 0
    divisor: float = 255.0

    @property
    def is_by_input(self) -> bool:
        """Whether each input has an offset of its own."""
        return isinstance(self.offset, np.ndarray)

    @property
    def reach(self) -> tuple[float, float]:
        """(lowest, highest) number that codes 0 and 255 stand for, of all inputs together."""
        low, high = (0 - np.max(self.offset)) / self.divisor, (FULL_TOP - np.min(self.offset)) / self.divisor
        return float(low), float(high)

    def apply(self, codes: NDArray[Any], dtype: type[np.floating[Any]] = np.float32) -> NDArray[Any]:
        """Return (C, H, W, N), the batch last, for codes (N, C, H, W), or (1, H, W, N) for (N, H, W)."""
        count = len(codes)
        shape = codes.shape[1:] if codes.ndim == 4 else (1, *codes.shape[1:])
        offset = self.offset.astype(dtype)[:, None] if isinstance(self.offset, np.ndarray) else dtype(self.offset)
        x: NDArray[Any] = np.subtract(codes.reshape(count, -1).T, offset, dtype=dtype, order="C")
        x *= dtype(1 / self.divisor)
        return x.reshape(*shape, count)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scaling) or self.divisor != other.divisor:
            return False
        return self.is_by_input == other.is_by_input and np.array_equal(self.offset, other.offset)
