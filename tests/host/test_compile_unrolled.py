"""Weights compiled into code, on the host: plans of products, prices, refusals. tests/firmware runs the code."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from graphs import REQUANTISERS, dense_graph, random_inputs
from unrolled_chains import cycles_of, expected_cycles, input_cycles

from host.compile.kernels.code import DenseCode
from host.compile.kernels.unrolled import avr_ops
from host.compile.kernels.unrolled.blocks import BLOCK_OUTPUTS, SWAP_ROUNDS, split_blocks
from host.compile.kernels.unrolled.compiler import Source, least_flash_bytes, unroll
from host.compile.kernels.unrolled.product_sets import product_cycles, sets_of, union
from host.compile.kernels.unrolled.products import CHAIN_CYCLES, HELD_MUL_CYCLES, MUL_CYCLES, max_shifts, plan_products
from host.compile.memory import Place
from host.errors import InputError
from host.quantise.reference import op_inputs


def made(found, x):
    """{magnitude: value} of a plan executed on x, and what that costs without the held factors' gain."""
    values, previous = {}, None
    for shift, phase in enumerate(found.phases):
        for product in phase:
            shifted = x << shift
            previous = {
                "input": lambda p, s=shifted: s,
                "mul": lambda p, s=shifted: s * p.immediate,
                "add": lambda p, s=shifted, at=previous: at + s,
                "double": lambda p, at=previous: 2 * at,
            }[product.kind](product)
            assert product.magnitude not in values
            values[product.magnitude] = previous
    return values


@pytest.mark.parametrize("shifts", [0, 1, 2])
@pytest.mark.parametrize("held", [(), (3,), (5, 7, 12, 100)])
def test_every_product_comes_out_right_once(shifts, held):
    random = np.random.default_rng(shifts + len(held))
    for count in [*range(13)] * 20:
        magnitudes = set(random.integers(1, random.choice([9, 30, 128]), count).tolist())
        found = plan_products(magnitudes, shifts, held)
        assert made(found, 41) == {v: 41 * v for v in magnitudes}
        for shift, phase in enumerate(found.phases):
            for before, product in itertools.pairwise((None, *phase)):
                assert product.kind != "mul" or product.immediate << shift == product.magnitude
                assert product.kind not in ("add", "double") or (before is not None and before.kind != "input")


def test_the_price_of_a_plan_is_what_its_products_take():
    random = np.random.default_rng(6)
    for _ in range(200):
        magnitudes, held = set(random.integers(1, 128, 8).tolist()), set(random.integers(1, 128, 3).tolist())
        found = plan_products(magnitudes, 2, held)
        price = {"input": 0, "add": CHAIN_CYCLES, "double": CHAIN_CYCLES}
        cycles = len(found.phases) - 1
        for product in itertools.chain(*found.phases):
            mul = HELD_MUL_CYCLES if product.immediate in held else MUL_CYCLES
            cycles += price.get(product.kind, mul)
        assert found.cycles == cycles <= MUL_CYCLES * len(magnitudes - {1})


@pytest.mark.parametrize(
    ("magnitudes", "shifts", "cycles"),
    [
        (set(), 2, 0),
        ({1}, 2, 0),
        ({2}, 2, 1),
        ({2}, 0, 3),
        ({1, 2, 4}, 2, 2),
        ({100}, 2, 3),
        ({100, 101, 102}, 0, 7),
        ({11, 22, 44}, 0, 7),
    ],
)
def test_known_prices(magnitudes, shifts, cycles):
    assert plan_products(magnitudes, shifts).cycles == cycles


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


def test_an_input_may_be_doubled_while_it_is_one_byte():
    assert [max_shifts(levels) for levels in (1, 63, 64, 127, 128, 255)] == [2, 2, 1, 1, 0, 0]


def compiled(graph):
    return DenseCode().pack(graph.ops, Place(0, graph.ops[0].inputs, backward=False)).fields["code"]


def sources_of(graph):
    """A graph of dense ops as the compiler is given it: activations behind the inputs, in two places in turn."""
    first, sources = graph.ops[0].inputs, []
    second = first + max((op.rows.outputs for op in graph.ops[:-1:2]), default=0)
    at = 0
    for number, op in enumerate(graph.ops):
        rule, target = op.rows.requantiser, second if number % 2 else first
        multiplier, shift = (0, 0) if rule is None else (rule.multipliers.astype(int), rule.shift)
        weights, bias = op.rows.weights.astype(int), op.rows.bias.astype(int)
        sources.append(Source(weights, bias, multiplier, shift, op.source.high, at, target, op.shares))
        at = target
    return sources


@pytest.mark.parametrize("sizes", [(12, 6, 3), (9, 8, 30, 14, 10), (30, 10)])
def test_activations_lie_in_two_places_in_turn(sizes):
    graph = dense_graph(np.random.default_rng(0), sizes, style="few", way="rotated", most=2000)
    assert compiled(graph).machine_code == unroll(sources_of(graph)).machine_code


@pytest.mark.parametrize("way", REQUANTISERS)
def test_a_negative_sum_and_a_positive_one_take_the_stated_cycles(way):
    # The chip is asked in tests/firmware; here, that each way is taken at all.
    code = compiled(dense_graph(np.random.default_rng(1), (12, 6, 3), style="few", way=way, most=2000))
    ends = [part for part in code.parts if part.title.startswith("output ")]
    text = " ".join(op.text for op in ends[0].ops)
    assert ("mul" in text) == (way in ("narrow", "wide", "rounding to zero"))
    assert ("hi8" in text) == (way == "wide")
    assert ("lsr" in text) == (way == "shifted")
    assert ("rol" in text) == way.startswith("rotated")
    assert len(ends) == 6 and all(0 < part.cycles_zero <= part.cycles_nonzero for part in ends)


def test_mean_cycles_are_the_mean_of_the_cycles():
    random = np.random.default_rng(2)
    graph = dense_graph(random, (20, 14, 10))
    code, images = compiled(graph), random_inputs(random, 500, 20, 63).reshape(500, 1, 20)
    inputs = [values.reshape(500, -1) > 0 for values in op_inputs(graph, images)]
    densities = [values.mean(axis=0) for values in inputs]
    assert cycles_of(code, inputs).mean() == pytest.approx(code.expected_cycles(densities))


@pytest.mark.parametrize("style", ["dense", "sparse", "few"])
def test_the_price_by_which_blocks_are_chosen_is_that_of_the_code(style):
    graph = dense_graph(np.random.default_rng(3), (32, 14, 10), style=style)
    code = compiled(graph)
    for index, source in enumerate(sources_of(graph)):
        blocks = split_blocks(source.weights, source.density, source.levels, keep_order=source.is_scores)
        priced = expected_cycles(source.weights, source.density, source.levels, blocks)
        counted = input_cycles(code, index, source.density)
        # The code is a little quicker, since it holds frequent factors in registers.
        assert counted <= priced + 1e-6 and counted == pytest.approx(priced, rel=0.1)


def price_of(weights, density):
    return expected_cycles(weights, density, 63, [range(len(weights))])


def test_what_is_cheap_is_cheap():
    density = np.ones(4)
    prices = [
        price_of(np.array(rows).reshape(-1, 4), density)
        for rows in ([[0, 0, 0, 0]], [[1, 1, 1, 1]], [[2, -2, 2, 4]], [[99, 98, 7, 35]])
    ]
    assert prices == sorted(prices) and len(set(prices)) == 4 and prices[0] == 0
    # A shared magnitude of either sign is made once.
    assert price_of(np.array([[7], [-7]]), np.ones(1)) == price_of(np.array([[7], [0]]), np.ones(1)) + 2


def test_inputs_that_no_one_wants_are_not_loaded():
    graph = dense_graph(np.random.default_rng(4), (20, 14, 5), style="sparse")
    wanted = {k for k in range(20) if graph.ops[0].rows.weights[:, k].any()}
    loaded = {p.input for p in compiled(graph).parts if p.layer == 0 and p.title.startswith("input ")}
    assert loaded == wanted != set(range(20))


def test_the_same_integers_give_the_same_code():
    codes = {compiled(dense_graph(np.random.default_rng(5), (20, 14, 10))).machine_code for _ in range(3)}
    assert len(codes) == 1


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
    layer = replace(source(weights, multiplier=900, shift=16, levels=255), density=random.random(32), target=32)
    assert set(layer.sum_bytes.tolist()) == {2, 3}
    blocks = split_blocks(weights, layer.density, 255, layer.sum_bytes)
    counted = input_cycles(unroll([layer, source(np.ones((1, 20)))], sum_bits=24), 0, layer.density)
    priced = expected_cycles(weights, layer.density, 255, blocks, layer.sum_bytes)
    assert counted <= priced + 1e-6 and counted == pytest.approx(priced, rel=0.05)
    assert priced > 1.05 * expected_cycles(weights, layer.density, 255, blocks)


def test_sums_of_24_bits_are_taken_where_asked_for_and_no_longer_ones():
    layer = source([[127] * 5], bias=0)
    assert layer.sum_bytes.tolist() == [3] and unroll([layer], sum_bits=24)
    with pytest.raises(InputError, match=r"layer 1: found sums 8388545\.\.8388608, need 24 bits"):
        unroll([source([[1]], bias=2**23 - 63)], sum_bits=24)


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


def source(weights, bias=0, multiplier=0, shift=0, levels=63):
    weights = np.atleast_2d(np.array(weights, np.int64))
    outputs, inputs = weights.shape
    return Source(weights, np.full(outputs, bias), multiplier, shift, levels, 0, 64, np.ones(inputs))


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        ([source([[127] * 5], bias=0)], "layer 1: found sums 0..40005, need 16 bits"),
        ([source([[-1]], bias=-32768)], "layer 1: found sums -32831..-32768, need 16 bits"),
        ([source(np.eye(256))], "layer 1: found 256 classes, need 255 at most"),
        (
            [source([[1]], multiplier=1, shift=25), source([[1]])],
            "found multiplier 1 at shift 25, need one below 65536 at shift 16 or 24",
        ),
        ([source([[1]], multiplier=1027, shift=17), source([[1]])], "found multiplier 1027 at shift 17"),
        ([source([[1]], multiplier=255, shift=7), source([[1]])], "found multiplier 255 at shift 7"),
        (
            [source([[1], [2]], multiplier=np.array([1, 0]), shift=16), source([[1, 1]])],
            "found multiplier 0, need one above",
        ),
        ([source([[1]], multiplier=1, shift=8)], "found activations behind the last layer, need scores"),
    ],
)
def test_what_the_code_cannot_hold_is_refused(layers, complaint):
    with pytest.raises(InputError) as caught:
        unroll(layers)
    assert complaint in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("multiplier", "shift", "texts"),
    [
        # The same factor, 3/256, at one shift and another: 3 << 8 at 16 is wide.
        (3, 8, {"ldi r27, hi8(768)"}),
        (3 << 16, 24, {"ldi r27, hi8(768)"}),
        (3, 16, {"ldi r27, 3"}),
        (768, 24, {"ldi r27, 3"}),
        (3, 24, {"ldi r27, hi8(3)", "lsl r29"}),
        (1, 24, {"ldi r27, hi8(1)", "lsl r29"}),
        (1 << 14, 24, {"lsr r3"}),
        (1 << 4, 14, {"lsr r3"}),
    ],
)
def test_any_shift_is_brought_to_whole_bytes(multiplier, shift, texts):
    layer = source([[100]], bias=20_000, multiplier=multiplier, shift=shift)
    (part,) = [part for part in unroll([layer, source([[1]])]).parts if part.title == "output 0"]
    assert texts <= {op.text for op in part.ops}


def test_outputs_of_one_block_are_requantised_each_in_its_own_way():
    multipliers = np.array([201, 3000, 1 << 8, 1 << 6, 1 << 11, 0xFFFF, 201])
    weights = np.array([[9], [9], [9], [9], [1], [9], [100]])
    layer = source(weights, multiplier=multipliers, shift=16)
    rules = layer.rules(tuple(range(7)))
    assert [(rule.multiplier, rule.shift) for rule in rules] == [
        (201, 16),
        (3000, 16),
        (0, 8),
        (0, 10),
        (0, 5),
        (0xFFFF, 16),
        (201, 16),
    ]
    assert [rule.clamp for rule in rules] == [False, False, False, False, False, True, False]
    ends = [part for part in unroll([layer, source(np.ones((1, 7)))]).parts if part.title.startswith("output ")]
    assert len({tuple(op.text.partition(" ")[0] for op in part.ops if op.words) for part in ends}) == 5


@pytest.mark.parametrize(("highest", "clamps"), [(63 * 256 + 127, False), (63 * 256 + 128, True)])
def test_outputs_are_clamped_at_their_own_top_not_at_that_of_the_inputs(highest, clamps):
    layer = source([[1]], bias=highest - 255, multiplier=1, shift=8, levels=255)
    assert [rule.clamp for rule in replace(layer, output_levels=63).rules((0,))] == [clamps]
    assert [rule.clamp for rule in layer.rules((0,))] == [False]


@pytest.mark.parametrize("style", ["dense", "sparse", "few"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (30, 10), (40, 30, 10), (64, 50, 26)], ids=str)
def test_the_code_is_never_smaller_than_foretold(sizes, style):
    graph = dense_graph(np.random.default_rng(len(style)), sizes, style=style, way="rotated", most=2000)
    sources, taken = sources_of(graph), len(compiled(graph).machine_code)
    least = least_flash_bytes(sources)
    assert 0.5 * taken < least <= taken


def test_sums_at_the_very_edge_are_taken():
    assert unroll([source([[1]], bias=32767 - 63)]) and unroll([source([[-1]], bias=-32768 + 63)])


@pytest.mark.parametrize("distance", [-300, -64, -63, -1, 64, 300])
def test_the_pointer_moves_in_two_words_at_most(distance):
    ops = avr_ops.move_pointer(distance)
    assert avr_ops.words(ops) == (1 if distance >= -63 else 2) or distance > 0
    assert avr_ops.cycles(ops) == 2
