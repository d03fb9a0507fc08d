"""Which outputs share a block of registers in unrolled code, so that they share the most products."""

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


def split_blocks(
    weights: NDArray[np.int64],
    density: NDArray[np.float64],
    levels: int,
    sum_bytes: NDArray[np.int64] | None = None,
    keep_order: bool = False,
) -> Blocks:
    """Blocks of outputs, sizes as even as they go, chosen by swapping pairs while that saves cycles. Deterministic."""
    sizes = np.full(len(weights), 2) if sum_bytes is None else sum_bytes
    blocks = _first_blocks(sizes)
    if not keep_order and len(blocks) > 1:
        prices = Prices(weights, density, levels, sizes)
        for _ in range(SWAP_ROUNDS):
            taken = [_swap(prices, sizes, one, two) for one, two in combinations(blocks, 2)]
            if not any(taken):
                break
    return tuple(tuple(sorted(block.tolist())) for block in blocks)


def _first_blocks(sizes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """As few blocks as hold sums of `sizes` (outputs,) bytes: in order where all are alike, else the larger ones first,
    each to the block that has most room."""
    outputs = len(sizes)
    if len(set(sizes.tolist())) == 1:
        count = -(-outputs // (SUM_REGISTERS // int(sizes[0])))
        bounds = [outputs * k // count for k in range(count + 1)]
        return [np.arange(bounds[k], bounds[k + 1]) for k in range(count)]
    blocks: list[list[int]] = [[] for _ in range(-(-int(sizes.sum()) // SUM_REGISTERS))]
    room = [SUM_REGISTERS] * len(blocks)
    for output in np.argsort(-sizes, kind="stable").tolist():
        block = room.index(max(room))
        if room[block] < sizes[output]:
            blocks.append([])
            room.append(SUM_REGISTERS)
            block = len(blocks) - 1
        blocks[block].append(output)
        room[block] -= int(sizes[output])
    return [np.array(sorted(block)) for block in blocks]


class Prices:
    """What blocks of the outputs of one layer cost. `sets` and `adding` (outputs, inputs) are the magnitude that each
    weight needs, and the cycles of adding its product: one for each byte of the sum."""

    def __init__(
        self,
        weights: NDArray[np.int64],
        density: NDArray[np.float64],
        levels: int,
        sum_bytes: NDArray[np.int64] | None = None,
    ) -> None:
        sizes = np.full(len(weights), 2) if sum_bytes is None else sum_bytes
        self.sets, self.adding = sets_of(weights), np.where(weights != 0, sizes[:, None], 0)
        self._density, self._shifts = density, max_shifts(levels)

    def of(self, sets: Sets, adding: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean cycles (...) of blocks that need `sets` (..., inputs) and as long for adding them."""
        work = adding + product_cycles(sets, self._shifts)
        tested = self._density * (LOAD_CYCLES + TEST_CYCLES + work) + (1 - self._density) * SKIPPED_CYCLES
        cycles = np.where(adding > 0, np.minimum(LOAD_CYCLES + work, tested), 0.0)
        # Summed one by one: of swaps that save the same, rounding decides, and must decide as it always has.
        total: NDArray[np.float64] = np.cumsum(cycles, axis=-1)[..., -1]
        return total


class _Block:
    """One block, and what it would cost with another output in place of one of its members."""

    def __init__(self, prices: Prices, members: NDArray[np.int64]) -> None:
        self._prices = prices
        others = np.array([np.delete(members, k) for k in range(len(members))], np.int64).T
        self._rest = union(prices.sets[others])
        self._adding = prices.adding[others].sum(axis=0)
        self.cycles = self.with_other(np.array([0]), members[:1])[0]

    def with_other(self, places: NDArray[np.int64], outputs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean cycles (n,) where the member at places (n,) is changed for outputs (n,)."""
        prices = self._prices
        return prices.of(self._rest[places] | prices.sets[outputs], self._adding[places] + prices.adding[outputs])


def _swap(prices: Prices, sizes: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]) -> bool:
    """Tries every swap between two blocks once, in order, and takes each that saves: the blocks are changed in place.
    Sums of different sizes stay where they are. Returns whether any swap was taken."""
    i, j = np.nonzero(sizes[first][:, None] == sizes[second])
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
