"""Which outputs share registers in unrolled code, and what that costs, against definitions that try one by one."""

import itertools

import numpy as np
import pytest
from int8_nets import int8_net

from host.deploy.plan import plan
from host.deploy.product_plan import plan_products
from host.deploy.product_sets import product_cycles, sets_of, union
from host.deploy.unroll import Source, unroll
from host.deploy.unroll_blocks import BLOCK_OUTPUTS, SWAP_ROUNDS, block_cycles, expected_cycles, split_blocks


@pytest.mark.parametrize("shifts", [0, 1, 2])
@pytest.mark.parametrize("largest", [1, 2, 9, 31, 64, 127])
def test_many_sets_at_once_have_the_prices_of_their_plans(shifts, largest):
    random = np.random.default_rng(largest)
    for members in range(1, 13):
        weights = random.integers(-largest, largest + 1, (members, 200)) * (random.random((members, 200)) < 0.7)
        prices = product_cycles(union(sets_of(weights)), shifts)
        plans = [plan_products(set(np.abs(column).tolist()) - {0}, shifts) for column in weights.T]
        assert prices.tolist() == [plan.cycles for plan in plans]


def test_every_set_of_small_magnitudes_has_the_price_of_its_plan():
    # Where a shifted input, steps and doubles compete: 1..12, every subset.
    subsets = np.arange(1 << 12)[:, None] >> np.arange(12) & 1
    prices = product_cycles(union(sets_of((subsets * np.arange(1, 13)).T)), 2)
    plans = [plan_products((np.flatnonzero(subset) + 1).tolist(), 2) for subset in subsets]
    assert prices.tolist() == [plan.cycles for plan in plans]


@pytest.mark.parametrize("style", ["dense", "sparse", "few"])
def test_the_price_that_training_descends_is_that_of_the_code(style):
    net = int8_net(np.random.default_rng(3), (32, 14, 10), style=style)
    twin = plan(net, "unrolled").twin
    for index, source in enumerate(twin.sources):
        blocks = split_blocks(source.weights, source.density, source.levels, keep_order=source.is_scores)
        priced = expected_cycles(source.weights, source.density, source.levels, blocks)
        parts = [p for p in twin.unrolled.parts if p.layer == index and p.title.startswith("input ")]
        counted = sum(
            source.density[p.input] * p.cycles_nonzero + (1 - source.density[p.input]) * p.cycles_zero for p in parts
        )
        # The code is a little quicker, since it holds frequent factors in registers.
        assert counted <= priced + 1e-6 and counted == pytest.approx(priced, rel=0.1)


def test_what_is_cheap_is_cheap():
    density = np.ones(4)
    prices = [
        block_cycles(np.array(rows).reshape(-1, 4), density, 63)
        for rows in ([[0, 0, 0, 0]], [[1, 1, 1, 1]], [[2, -2, 2, 4]], [[99, 98, 7, 35]])
    ]
    assert prices == sorted(prices) and len(set(prices)) == 4 and prices[0] == 0
    # A shared magnitude of either sign is made once.
    assert block_cycles(np.array([[7], [-7]]), np.ones(1), 63) == block_cycles(np.array([[7], [0]]), np.ones(1), 63) + 2


@pytest.mark.parametrize("outputs", [1, 12, 13, 25])
def test_blocks_hold_each_output_once_and_never_cost_more_than_the_order_given(outputs):
    random = np.random.default_rng(outputs)
    weights = np.rint(random.laplace(0, 9, (outputs, 10))).astype(np.int64)
    density = random.random(10)
    blocks, given = (split_blocks(weights, density, 63, keep_order=keep) for keep in (False, True))
    assert sorted(itertools.chain(*blocks)) == list(itertools.chain(*given)) == list(range(outputs))
    assert max(map(len, blocks)) <= BLOCK_OUTPUTS
    assert expected_cycles(weights, density, 63, blocks) <= expected_cycles(weights, density, 63, given)


@pytest.mark.parametrize(
    ("short", "long", "count"), [(12, 8, 2), (31, 9, 4), (1, 8, 2), (9, 2, 1), (10, 1, 1), (0, 9, 2)]
)
def test_blocks_of_sums_of_two_and_of_three_bytes_fit_the_registers(short, long, count):
    random = np.random.default_rng(short)
    sizes = random.permutation([2] * short + [3] * long)
    weights = np.rint(random.laplace(0, 9, (len(sizes), 10))).astype(np.int64)
    blocks = split_blocks(weights, random.random(10), 255, sizes)
    assert sorted(itertools.chain(*blocks)) == list(range(len(sizes)))
    assert len(blocks) == count and max(sizes[list(block)].sum() for block in blocks) <= 24


def test_the_price_of_sums_of_three_bytes_is_that_of_the_code():
    random = np.random.default_rng(9)
    weights = np.rint(random.laplace(0, 12, (20, 32))).astype(np.int64)
    weights[::2] = np.sign(weights[::2])
    layer = Source(weights, np.zeros(20, np.int64), 900, 16, 255, 0, 32, random.random(32))
    assert set(layer.sum_bytes.tolist()) == {2, 3}
    blocks = split_blocks(weights, layer.density, 255, layer.sum_bytes)
    parts = [part for part in unroll([layer], sum_bits=24).parts if part.title.startswith("input ")]
    counted = sum(
        layer.density[p.input] * p.cycles_nonzero + (1 - layer.density[p.input]) * p.cycles_zero for p in parts
    )
    priced = expected_cycles(weights, layer.density, 255, blocks, layer.sum_bytes)
    assert counted <= priced + 1e-6 and counted == pytest.approx(priced, rel=0.05)
    assert priced > 1.05 * expected_cycles(weights, layer.density, 255, blocks)


def swapped_one_by_one(weights, density, levels):
    """`split_blocks` as it is defined: every swap of two outputs in turn, taken where it saves."""
    outputs, count = len(weights), -(-len(weights) // BLOCK_OUTPUTS)
    blocks = [list(range(outputs * k // count, outputs * (k + 1) // count)) for k in range(count)]
    for _, (a, b) in itertools.product(range(SWAP_ROUNDS), itertools.combinations(range(count), 2)):
        now = expected_cycles(weights, density, levels, (blocks[a], blocks[b]))
        for i, j in itertools.product(range(len(blocks[a])), range(len(blocks[b]))):
            first, second = list(blocks[a]), list(blocks[b])
            first[i], second[j] = second[j], first[i]
            then = expected_cycles(weights, density, levels, (first, second))
            if then < now:
                blocks[a], blocks[b], now = first, second, then
    return tuple(tuple(sorted(block)) for block in blocks)


@pytest.mark.parametrize(
    ("outputs", "largest", "levels"), [(13, 127, 255), (13, 40, 127), (15, 9, 63), (14, 1, 63), (25, 20, 63)]
)
def test_blocks_are_those_of_trying_one_swap_after_the_other(outputs, largest, levels):
    random = np.random.default_rng(outputs + largest)
    weights = np.rint(random.laplace(0, largest / 3, (outputs, 6))).clip(-largest, largest).astype(np.int64)
    # Where all inputs are as frequent many swaps cost the same.
    for density in (np.ones(6), random.random(6)):
        assert split_blocks(weights, density, levels) == swapped_one_by_one(weights, density, levels)
