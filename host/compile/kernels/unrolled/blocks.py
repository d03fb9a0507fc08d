"""Which outputs share a block of registers in unrolled code, so that they share the most products.

Also the cost model that training can descend: `expected_cycles` of a weight matrix, without compiling anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from host.compile.kernels.unrolled.products import max_shifts, product_cycles

BLOCK_OUTPUTS = 12
ADD_CYCLES = 2
LOAD_CYCLES = 2
TEST_CYCLES = 2
SKIPPED_CYCLES = 5
SWAP_ROUNDS = 3

Blocks = tuple[tuple[int, ...], ...]


def expected_cycles(weights: NDArray[np.int64], density: NDArray[np.float64], levels: int, blocks: Blocks) -> float:
    """Mean cycles that the inputs of a layer cost, weights (outputs, inputs), density (inputs,) of non-zero inputs.

    Biases, requantising and scores come on top: about 17 cycles an output. Within a percent of the compiled code,
    which also holds frequent factors in registers.
    """
    return sum(block_cycles(weights[list(block)], density, levels) for block in blocks)


def block_cycles(weights: NDArray[np.int64], density: NDArray[np.float64], levels: int) -> float:
    """Mean cycles of the inputs of one block, weights (outputs of the block, inputs)."""
    return _cost(_needs(weights), density.tolist(), max_shifts(levels))


def _needs(weights: NDArray[np.int64]) -> list[list[int]]:
    """For each output and input the magnitude that it needs, as bits; 0 for a weight of 0."""
    return [[1 << magnitude if magnitude else 0 for magnitude in row] for row in np.abs(weights).tolist()]


def _cost(rows: Iterable[list[int]], density: list[float], shifts: int) -> float:
    """`block_cycles` of the outputs whose needs are `rows`."""
    total = 0.0
    for needs, on in zip(zip(*rows, strict=True), density, strict=True):
        needed = reduce(or_, needs)
        if needed:
            work = ADD_CYCLES * (len(needs) - needs.count(0)) + product_cycles(needed, shifts)
            tested = on * (LOAD_CYCLES + TEST_CYCLES + work) + (1 - on) * SKIPPED_CYCLES
            total += min(LOAD_CYCLES + work, tested)
    return total


def split_blocks(
    weights: NDArray[np.int64], density: NDArray[np.float64], levels: int, keep_order: bool = False
) -> Blocks:
    """Blocks of outputs, sizes as even as they go, chosen by swapping pairs while that saves cycles. Deterministic."""
    outputs = weights.shape[0]
    count = -(-outputs // BLOCK_OUTPUTS)
    bounds = [outputs * k // count for k in range(count + 1)]
    blocks = [list(range(bounds[k], bounds[k + 1])) for k in range(count)]
    if keep_order or count == 1:
        return tuple(tuple(block) for block in blocks)
    rows, on, shifts = _needs(weights), density.tolist(), max_shifts(levels)

    def cost(block: list[int]) -> float:
        return _cost([rows[output] for output in block], on, shifts)

    costs = [cost(block) for block in blocks]
    for _ in range(SWAP_ROUNDS):
        if not _swap_round(cost, blocks, costs):
            break
    return tuple(tuple(sorted(block)) for block in blocks)


def _swap_round(cost: Callable[[list[int]], float], blocks: list[list[int]], costs: list[float]) -> bool:
    """Tries every swap between every two blocks once; returns whether any was taken."""
    improved = False
    for a in range(len(blocks)):
        for b in range(a + 1, len(blocks)):
            for i in range(len(blocks[a])):
                for j in range(len(blocks[b])):
                    first, second = list(blocks[a]), list(blocks[b])
                    first[i], second[j] = second[j], first[i]
                    cost_a, cost_b = cost(first), cost(second)
                    if cost_a + cost_b < costs[a] + costs[b]:
                        blocks[a], blocks[b], costs[a], costs[b] = first, second, cost_a, cost_b
                        improved = True
    return improved
