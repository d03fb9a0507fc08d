"""Which outputs share a block of registers in unrolled code, so that they share the most products.

Also the cost model that training can descend: `expected_cycles` of a weight matrix, without compiling anything.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from host.compile.kernels.unrolled.avr_ops import SUM_REGISTERS
from host.compile.kernels.unrolled.product_sets import Sets, product_cycles, sets_of, union
from host.compile.kernels.unrolled.products import max_shifts

BLOCK_OUTPUTS = SUM_REGISTERS // 2
"""With sums of two bytes."""
LOAD_CYCLES = 2
TEST_CYCLES = 2
SKIPPED_CYCLES = 5
SWAP_ROUNDS = 3
_AT_ONCE = 48
"""Swaps priced in one go: enough for NumPy, and few go to waste where one of them is taken."""

Blocks = tuple[tuple[int, ...], ...]


def expected_cycles(
    weights: NDArray[np.int64], density: NDArray[np.float64], levels: int, blocks: Blocks, sum_bytes: int = 2
) -> float:
    """Mean cycles that the inputs of a layer cost, weights (outputs, inputs), density (inputs,) of non-zero inputs.

    Biases, requantising and scores come on top: about 17 cycles an output. Within a percent of the compiled code,
    which also holds frequent factors in registers.
    """
    return sum(block_cycles(weights[list(block)], density, levels, sum_bytes) for block in blocks)


def block_cycles(weights: NDArray[np.int64], density: NDArray[np.float64], levels: int, sum_bytes: int = 2) -> float:
    """Mean cycles of the inputs of one block, weights (outputs of the block, inputs)."""
    prices = _Prices(weights, density, levels, sum_bytes)
    return float(prices.of(union(prices.sets), prices.wanting.sum(axis=0)))


def split_blocks(
    weights: NDArray[np.int64],
    density: NDArray[np.float64],
    levels: int,
    keep_order: bool = False,
    sum_bytes: int = 2,
) -> Blocks:
    """Blocks of outputs, sizes as even as they go, chosen by swapping pairs while that saves cycles. Deterministic."""
    outputs = weights.shape[0]
    count = -(-outputs // (SUM_REGISTERS // sum_bytes))
    bounds = [outputs * k // count for k in range(count + 1)]
    blocks = [np.arange(bounds[k], bounds[k + 1]) for k in range(count)]
    if not keep_order and count > 1:
        prices = _Prices(weights, density, levels, sum_bytes)
        for _ in range(SWAP_ROUNDS):
            taken = [_swap(prices, one, two) for one, two in combinations(blocks, 2)]
            if not any(taken):
                break
    return tuple(tuple(sorted(block.tolist())) for block in blocks)


class _Prices:
    """What blocks of the outputs of one layer cost. `sets` and `wanting` (outputs, inputs) are the magnitude that each
    weight needs, and whether it needs any."""

    def __init__(self, weights: NDArray[np.int64], density: NDArray[np.float64], levels: int, sum_bytes: int) -> None:
        self.sets, self.wanting = sets_of(weights), (weights != 0).astype(np.int64)
        self._density, self._shifts = density, max_shifts(levels)
        self._add_cycles = sum_bytes  # one for each

    def of(self, sets: Sets, wanting: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean cycles (...) of blocks that need `sets` (..., inputs), `wanting` outputs each."""
        work = self._add_cycles * wanting + product_cycles(sets, self._shifts)
        tested = self._density * (LOAD_CYCLES + TEST_CYCLES + work) + (1 - self._density) * SKIPPED_CYCLES
        cycles = np.where(wanting > 0, np.minimum(LOAD_CYCLES + work, tested), 0.0)
        # Summed one by one: of swaps that save the same, rounding decides, and must decide as it always has.
        total: NDArray[np.float64] = np.cumsum(cycles, axis=-1)[..., -1]
        return total


class _Block:
    """One block, and what it would cost with another output in place of one of its members."""

    def __init__(self, prices: _Prices, members: NDArray[np.int64]) -> None:
        self._prices = prices
        others = np.array([np.delete(members, k) for k in range(len(members))], np.int64).T
        self._rest = union(prices.sets[others])
        self._wanting = prices.wanting[others].sum(axis=0)
        self.cycles = self.with_other(np.array([0]), members[:1])[0]

    def with_other(self, places: NDArray[np.int64], outputs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean cycles (n,) where the member at places (n,) is changed for outputs (n,)."""
        prices = self._prices
        return prices.of(self._rest[places] | prices.sets[outputs], self._wanting[places] + prices.wanting[outputs])


def _swap(prices: _Prices, first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    """Tries every swap between two blocks once, in order, and takes each that saves: the blocks are changed in place.
    Returns whether any was."""
    i, j = (places.ravel() for places in np.indices((len(first), len(second))))
    one, two = _Block(prices, first), _Block(prices, second)
    before = best = one.cycles + two.cycles
    at = 0
    while at < len(i):
        mine, yours = i[at : at + _AT_ONCE], j[at : at + _AT_ONCE]
        cycles = one.with_other(mine, second[yours]) + two.with_other(yours, first[mine])
        saving = np.flatnonzero(cycles < best)
        if saving.size == 0:
            at += _AT_ONCE
            continue
        taken = saving[0]
        a, b = mine[taken], yours[taken]
        first[a], second[b] = second[b], first[a]
        one, two, best = _Block(prices, first), _Block(prices, second), cycles[taken]
        at += int(taken) + 1
    return bool(best < before)
