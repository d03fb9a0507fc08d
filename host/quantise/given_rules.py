"""The numbers of a net that another tool quantised: taken as they are, but for zero codes, which go into biases."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.given import Given, GivenRows
from host.nn.layers import FixedConv2d, ReLU
from host.nn.network import Network
from host.quantise.numerics import to_int32
from host.quantise.ops import Codes, Rows
from host.quantise.requantisers import DoubleRounding
from host.quantise.rounding import Inputs

_SHIFTED_BITS = 31


class GivenRules:
    """What Rules is for nets of our own, for one that brought its numbers along."""

    is_offset = False
    is_by_layer = False
    may_be_linear = True

    def __init__(self, network: Network, given: Given) -> None:
        self._network, self._given = network, given
        zero = network.scaling.offset
        if isinstance(zero, np.ndarray) or zero not in range(256):
            found = "one for each input" if isinstance(zero, np.ndarray) else f"{zero}"
            raise InputError(f"int8: scaling: found an offset of {found}, need one whole code; import the net again")
        self.inputs = Inputs(1 / network.scaling.divisor, Codes(zero=int(zero)))

    @property
    def pool_center(self) -> int:
        """As Pool.center."""
        return self._given.pool_center

    def begin_behind_front_end(self, top: int, unit: float) -> None:
        raise InputError("int8: found a fixed front end before numbers of another tool, need none; import it again")

    def fixed(self, spec: FixedConv2d, at: int, relu: int | None, channels: int) -> Rows:
        raise InputError(f"int8: layer {at}: found a fixed kernel among another tool's, need none; import it again")

    def would_clip(self, relu: ReLU) -> bool:
        """Never: the codes of what is before are held to its range."""
        return False

    def hidden(self, at: int, relu: int | None) -> Rows:
        """Rows of a convolution or dense layer."""
        return self._rows(at, self._given.layers[at])

    def scores(self, at: int) -> Rows:
        """Rows of the last layer, whose codes are the scores."""
        return self.hidden(at, None)

    def mean(self, at: int) -> Rows | None:
        """Rows of weights (channels, 1, height, width) for an average pool that has its own scale, None for another."""
        if (given := self._given.layers[at]) is None:
            return None
        if given.weights is None:
            window = self._network.architecture.layers[at].window  # type: ignore[union-attr]
            given = replace(given, weights=np.ones((len(given.bias), 1, *cast(tuple[int, int], window)), np.int8))
        return self._rows(at, given)

    def _rows(self, at: int, given: GivenRows | None) -> Rows:
        assert given is not None and given.weights is not None
        wide = given.weights.reshape(len(given.bias), -1).astype(np.int64)
        bias = given.bias - self.inputs.codes.zero * wide.sum(axis=1)
        rule = DoubleRounding(given.multipliers, given.exponents)
        rows = Rows(
            WeightFormat.INT8,
            given.weights,
            to_int32(bias.astype(np.float64), f"int8: layer {at}: bias"),
            rule,
            Codes(given.high, given.low, given.zero),
        )
        self._check_sums(at, rows, given.exponents)
        self.inputs = Inputs(given.scale, rows.codes)
        return rows

    def _check_sums(self, at: int, rows: Rows, exponents: NDArray[np.int32]) -> None:
        """Raise InputError where a sum, shifted to the left as its rule may ask, does not fit 32 bits."""
        left = np.maximum(exponents.astype(np.int64), 0)
        bounds = np.abs(rows.sum_bounds(self.inputs.codes.high)).max(axis=0)
        if (bounds >= np.int64(1) << (_SHIFTED_BITS - left)).any():
            raise InputError(
                f"int8: layer {at}: sums: found up to {int(bounds.max())}, shifted by up to {int(left.max())}, need 32 "
                "bits; quantise the net with smaller biases"
            )
