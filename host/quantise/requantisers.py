"""How sums are brought to codes, as data: the numbers of a rule, and the arithmetic that numerics.py defines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from host.quantise import numerics


@dataclass(frozen=True, eq=False)
class HalfUp:
    """(sum·multiplier + 2^(shift−1)) >> shift, multipliers u16 (outputs,)."""

    multipliers: NDArray[np.uint16]
    shift: int

    @property
    def shared(self) -> int | None:
        """The multiplier of all outputs, None where they differ."""
        first = int(self.multipliers[0])
        return first if (self.multipliers == first).all() else None

    def of(self, outputs: NDArray[np.bool_]) -> HalfUp:
        """The same for some of the outputs."""
        return HalfUp(self.multipliers[outputs], self.shift)

    def scaled(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sums (N, outputs, …) brought to codes, not yet held to their range."""
        return numerics.half_up(sums, _by_output(self.multipliers, sums), self.shift)


@dataclass(frozen=True, eq=False)
class DoubleRounding:
    """TensorFlow Lite's MultiplyByQuantizedMultiplier: multipliers i32 (outputs,) as parts of 2^31, rounded after the
    product and again after the shift; exponents i32 (outputs,), below 0 to the right."""

    multipliers: NDArray[np.int32]
    exponents: NDArray[np.int32]

    def of(self, outputs: NDArray[np.bool_]) -> DoubleRounding:
        """The same for some of the outputs."""
        return DoubleRounding(self.multipliers[outputs], self.exponents[outputs])

    def scaled(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """As HalfUp.scaled."""
        return numerics.double_rounded(sums, _by_output(self.multipliers, sums), _by_output(self.exponents, sums))


def twice(rule: HalfUp) -> DoubleRounding:
    """The same factors, rounded twice."""
    wide = rule.multipliers.astype(np.int64)
    mantissas, exponents = np.frexp(wide / 2.0**rule.shift)
    return DoubleRounding((mantissas * 2.0**31).astype(np.int32), exponents.astype(np.int32))


Requantiser: TypeAlias = HalfUp | DoubleRounding


def _by_output(numbers: NDArray[np.generic], sums: NDArray[np.int64]) -> NDArray[np.int64]:
    return numbers.astype(np.int64).reshape(-1, *(1,) * (sums.ndim - 2))
