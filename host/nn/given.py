"""The whole numbers that another tool's quantiser made of a net: taken as they are, never rounded again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.nn.formats import FULL_TOP

EXPONENTS = -31, 30
"""The least and the largest of a multiplier."""


@dataclass(frozen=True, eq=False)
class GivenRows:
    """Of a convolution, a dense layer, or an average pool that has its own scale.

    A sum is bias + Σ weight · (code − zero code of the inputs), over what lies inside the map. It is brought to codes
    by TensorFlow Lite's rule: times multiplier / 2^31 · 2^exponent, rounded twice (see docs/numerics.md), plus `zero`,
    held to low..high. Codes are u8, int8 ones plus 128; `scale` is what one step of them is worth. Of a pool
    `weights` are all the same number, (channels, 1, height, width), or None, which stands for ones.
    """

    weights: NDArray[np.int8] | None
    bias: NDArray[np.int32]  # (outputs,)
    multipliers: NDArray[np.int32]  # (outputs,), 0 or more
    exponents: NDArray[np.int32]  # (outputs,), within EXPONENTS
    scale: float
    zero: int
    low: int = 0
    high: int = FULL_TOP

    @property
    def reach(self) -> float:
        """The largest magnitude that the codes stand for."""
        return max(self.high - self.zero, self.zero - self.low) * self.scale


@dataclass(frozen=True, eq=False)
class Given:
    """`source` names the tool, such as `TensorFlow Lite`. `layers` has the rows of each layer, None for those without.

    The inputs' zero code is the offset of the network's scaling, a whole number of 0..255. `pool_center`: means are
    rounded with halves away from this code (128 is int8's 0); 0: always upwards.
    """

    source: str
    layers: tuple[GivenRows | None, ...]
    pool_center: int = 0
