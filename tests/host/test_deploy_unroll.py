"""Weights compiled into code, on the host: plans of products, prices, refusals. tests/firmware runs the code."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from int8_nets import REQUANTISERS, int8_net, random_inputs

from host.deploy import avr_ops
from host.deploy.plan import plan
from host.deploy.product_plan import CHAIN_CYCLES, HELD_MUL_CYCLES, MUL_CYCLES, max_shifts, plan_products
from host.deploy.reference import layer_inputs
from host.deploy.unroll import Source, least_flash_bytes, unroll
from host.errors import InputError


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


def test_an_input_may_be_doubled_while_it_is_one_byte():
    assert [max_shifts(levels) for levels in (1, 63, 64, 127, 128, 255)] == [2, 2, 1, 1, 0, 0]


def compiled(net):
    return plan(net, "unrolled").twin


@pytest.mark.parametrize("way", REQUANTISERS)
def test_a_negative_sum_and_a_positive_one_take_the_stated_cycles(way):
    # The chip is asked in tests/firmware; here, that each way is taken at all.
    twin = compiled(int8_net(np.random.default_rng(1), (12, 6, 3), style="few", way=way, most=2000))
    ends = [part for part in twin.unrolled.parts if part.title.startswith("output ")]
    text = " ".join(op.text for op in ends[0].ops)
    assert ("mul" in text) == (way in ("narrow", "wide", "rounding to zero"))
    assert ("hi8" in text) == (way == "wide")
    assert ("lsr" in text) == (way == "shifted")
    assert ("rol" in text) == way.startswith("rotated")
    assert len(ends) == 6 and all(0 < part.cycles_zero <= part.cycles_nonzero for part in ends)


def test_mean_cycles_are_the_mean_of_the_cycles():
    random = np.random.default_rng(2)
    net = int8_net(random, (20, 14, 10))
    unrolled = compiled(net).unrolled
    inputs = [values > 0 for values in layer_inputs(net, random_inputs(random, 500, 20, 63))]
    densities = [values.mean(axis=0) for values in inputs]
    assert unrolled.cycles(inputs).mean() == pytest.approx(unrolled.expected_cycles(densities))


def test_inputs_that_no_one_wants_are_not_loaded():
    net = int8_net(np.random.default_rng(4), (20, 14, 5), style="sparse")
    wanted = {k for k in range(20) if net.layers[0].weights[:, k].any()}
    loaded = {p.input for p in compiled(net).unrolled.parts if p.layer == 0 and p.title.startswith("input ")}
    assert loaded == wanted != set(range(20))


def test_the_same_integers_give_the_same_code():
    codes = {plan(int8_net(np.random.default_rng(5), (20, 14, 10)), "unrolled").flash_rom for _ in range(3)}
    assert len(codes) == 1


def test_sums_of_24_bits_are_taken_where_asked_for_and_no_longer_ones():
    layer = source([[127] * 5], bias=0)
    assert layer.sum_bytes.tolist() == [3] and unroll([layer], sum_bits=24)
    with pytest.raises(InputError, match=r"layer 1: sums: found 8388545\.\.8388608, need 24 bits"):
        unroll([source([[1]], bias=2**23 - 63)], sum_bits=24)


def source(weights, bias=0, multiplier=0, shift=0, levels=63):
    weights = np.atleast_2d(np.array(weights, np.int64))
    outputs, inputs = weights.shape
    return Source(weights, np.full(outputs, bias), multiplier, shift, levels, 0, 64, np.ones(inputs))


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        ([source([[127] * 5], bias=0)], "layer 1: sums: found 0..40005, need 16 bits"),
        ([source([[-1]], bias=-32768)], "layer 1: sums: found -32831..-32768, need 16 bits"),
        ([source(np.eye(256))], "layer 1: classes: found 256, need 255 at most"),
        ([source([[1]], multiplier=1, shift=25), source([[1]])], "requantising: found multiplier 1, shift 25"),
        ([source([[1]], multiplier=1027, shift=17), source([[1]])], "requantising: found multiplier 1027, shift 17"),
        ([source([[1]], multiplier=255, shift=7), source([[1]])], "requantising: found multiplier 255, shift 7"),
        (
            [source([[1], [2]], multiplier=np.array([1, 0]), shift=16), source([[1, 1]])],
            "requantising: found multiplier 0, shift 16",
        ),
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
    twin = compiled(int8_net(np.random.default_rng(len(style)), sizes, style=style, way="rotated", most=2000))
    least, taken = least_flash_bytes(twin.sources), twin.unrolled.flash_bytes
    assert 0.5 * taken < least <= taken
    # Nor where the run ends in activations.
    hidden = twin.sources[:-1]
    assert not hidden or least_flash_bytes(hidden) <= unroll(hidden).flash_bytes < taken


def test_sums_at_the_very_edge_are_taken():
    assert unroll([source([[1]], bias=32767 - 63)]) and unroll([source([[-1]], bias=-32768 + 63)])


@pytest.mark.parametrize("distance", [-300, -64, -63, -1, 64, 300])
def test_the_pointer_moves_in_two_words_at_most(distance):
    ops = avr_ops.move_pointer(distance)
    assert avr_ops.words(ops) == (1 if distance >= -63 else 2) or distance > 0
    assert avr_ops.cycles(ops) == 2
