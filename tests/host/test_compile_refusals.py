"""Which ops a kernel takes, and what it says of those that it does not."""

import dataclasses

import numpy as np
import pytest
from graphs import conv, dense_graph, half_up, random_rows
from networks import network_of, random_network

from host.compile.boards import ATMEGA328P, ATMEGA2560, HOST
from host.compile.kernels.avr_conv import DepthConv, PatchConv
from host.compile.kernels.avr_dense import DENSE16, DENSE24
from host.compile.kernels.avr_sums import SUMS16, SUMS24
from host.compile.kernels.catalogue import CATALOGUE
from host.compile.kernels.kinds import PORTABLE
from host.compile.kernels.portable import PortableConv
from host.compile.kernels.preconv import AvrPreconv, PortablePreconv
from host.compile.memory import Place
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Flatten, ReLU
from host.quantise.lower import lower
from host.quantise.ops import Codes, Dense, Pool, Preconv, Rows
from host.quantise.requantisers import DoubleRounding

SOMEWHERE = Place(0, 4, backward=False)
KERNELS = {kernel.name: kernel for kernel in CATALOGUE}


def dense(weights, bias=0, multiplier=None, shift=16, fmt=WeightFormat.INT8):
    """A dense op of activations 0..63 over such inputs."""
    weights = np.atleast_2d(np.array(weights))
    rule = None if multiplier is None else half_up(len(weights), multiplier, shift)
    rows = Rows(fmt, weights.astype(np.int8), np.full(len(weights), bias, np.int32), rule, Codes(63))
    return Dense((weights.shape[1],), rows, Codes(63))


def refusals(op, chip=ATMEGA328P):
    """By kernel, of those that take such an op at all; None where it runs it."""
    found = {name: kernel.refuses((op,), chip) for name, kernel in KERNELS.items() if kernel.takes((op,))}
    for text in found.values():
        assert text is None or (text.isprintable() and text.startswith(("found ", "layer ")) and ", need " in text)
    return found


@pytest.mark.parametrize(("kernel", "limit"), [(DENSE16, 2**15), (SUMS16, 2**15), (DENSE24, 2**23), (SUMS24, 2**23)])
def test_sums_are_given_bits_only_where_that_is_proved(kernel, limit):
    high, low = 3 * 127 * 63, -3 * 127 * 63
    for sign, fits, too_far in ((1, limit - 1 - high, limit - high), (-1, -limit - low, -limit - 1 - low)):
        weights = [[127 * sign] * 3] * 2
        assert kernel.refuses((dense(weights, fits, 1),), ATMEGA328P) is None
        refusal = kernel.refuses((dense(weights, too_far, 1),), ATMEGA328P)
        assert refusal.startswith("found sums ") and refusal.endswith(f", need {kernel.bits} bits")


def told(packed):
    return dict(packed.description.numbers)


def test_the_shift_is_moved_into_the_multiplier():
    def packed(kernel, *rule):
        return kernel.pack((dense([[1] * 4] * 3, 0, *rule),), SOMEWHERE)

    found = [told(packed(DENSE16, *rule))["multiplier"] for rule in ((255, 9), (255, 8), (127, 7))]
    assert found == [255 << 7, 255 << 8, 127 << 9]
    for rule in ((128, 7), (1, 17)):
        refusal = DENSE16.refuses((dense([[1] * 4] * 3, 0, *rule),), ATMEGA328P)
        assert refusal.startswith(f"found multiplier {rule[0]} at shift {rule[1]}, need one below 65536 at shift ")
    # Where each output has its own the shift is one of two.
    each = packed(SUMS16, (1, 2, 511), 17)
    assert "flags" not in told(each)  # a shift of 24
    assert np.frombuffer(each.rom[each.fields["multipliers"] :], "<u2").tolist() == [128, 256, 511 << 7]


def test_a_multiplier_for_each_output_is_for_the_kernels_that_read_one():
    op = dense([[3, -5, 7]] * 2, 0, (1, 2), 8)
    found = refusals(op)
    assert found["nn_avr_dense16"] == found["nn_avr_dense24"] == "found a multiplier for each output, need one for all"
    assert found["nn_avr_sums16"] is found["nn_avr_sums24"] is found["nn_avr_dense"] is found["nn_dense"] is None


def test_how_many_inputs_and_outputs_there_may_be():
    random = np.random.default_rng(1)
    near = dense_graph(random, (1100, 60, 2)).ops[0]
    assert refusals(near)["nn_avr_dense16"] == "found 66,000 bytes of weights, need 32,767 at most for near flash reads"
    assert refusals(near)["nn_avr_sums16"] is None
    prime = dense_graph(random, (257, 2, 2)).ops[0]
    assert refusals(prime)["nn_avr_dense"] == "found 257 inputs, need a product of two numbers up to 255"
    wide = dense(np.ones((256, 2)))
    for name, refusal in refusals(wide).items():
        assert (
            name.startswith("code") or refusal == "found dense 2-256, need at most 255 units, of at most 65,535 inputs"
        )
    huge = dense([[127] * 100], 1 << 23)
    assert {refusals(huge)[name] for name in ("nn_avr_sums24", "nn_avr_dense")} == {
        f"found sums {1 << 23}..{(1 << 23) + 127 * 100 * 63}, need 24 bits"
    }


@pytest.mark.parametrize("name", KERNELS)
def test_assembly_and_code_are_for_avrs(name):
    graphs = [lower(network_of(each)) for each in ("separable", "pools")] + [lower(random_network(shape=(16, 16)))]
    kernel = KERNELS[name]
    for graph in graphs:
        for at in range(len(graph.ops)):
            taken = graph.ops[at : at + kernel.takes(graph.ops[at:])]
            if taken and kernel.kind != PORTABLE:
                assert kernel.refuses(taken, HOST) is not None
            elif taken:
                assert kernel.refuses(taken, HOST) == kernel.refuses(taken, ATMEGA2560)


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_for_floats_or_for_integers(name):
    kernel = KERNELS[name]

    def runs(ops):
        return bool(kernel.takes(ops)) and kernel.refuses(ops[: kernel.takes(ops)], ATMEGA328P) is None

    for network in (random_network(top=63, scale=0.002), network_of("plain")):
        floats, integers = (lower(network, fmt).ops for fmt in (WeightFormat.FLOAT32, WeightFormat.INT8))
        for at, op in enumerate(integers):
            if isinstance(op, Dense):
                assert not (runs(floats[at:]) and runs(integers[at:]))


def test_sums_that_are_rounded_twice_and_codes_of_0_are_for_the_kernels_of_imported_nets():
    random = np.random.default_rng(2)
    plain = random_rows(random, (3, 6), 255, top=255)
    twice = DoubleRounding(np.full(3, 2**30, np.int32), np.full(3, -8, np.int32))
    rounds_twice = Dense((6,), dataclasses.replace(plain, requantiser=twice))
    reasons = {
        "found a requantiser that rounds twice, need one multiplier and one shift": rounds_twice,
        "found codes that stand for 0 at 3, need 0": Dense((6,), dataclasses.replace(plain, codes=Codes(255, 3, 3))),
        "found codes that stand for 0 at 7, need 0": Dense((6,), plain, Codes(255, 0, 7)),
    }
    for reason, op in reasons.items():
        found = refusals(op)
        assert found["nn_dense"] == reason
        takers = {name for name, refusal in found.items() if refusal is None}
        assert takers == ({"nn_dense_affine", "nn_avr_affine_dense"} if op is rounds_twice else set())
    convolution = conv(random, (1, 8, 8), 2, (3, 3))
    rows = dataclasses.replace(convolution.rows, codes=Codes(255, 9, 9))
    assert None not in refusals(dataclasses.replace(convolution, rows=rows)).values()
    few_bits = dataclasses.replace(plain, requantiser=twice, format=WeightFormat.INT4)
    assert refusals(Dense((6,), few_bits))["nn_dense_affine"] == "found int4 weights, need int8"
    silent = dataclasses.replace(plain, requantiser=twice, codes=Codes(0))
    assert refusals(Dense((6,), silent))["nn_dense_affine"] == "found codes of 0 alone, need larger ones"
    odd = refusals(Pool((2, 4, 4), (2, 2), (2, 2), True, center=7))
    assert odd["nn_pool"] == "found means rounded away from 7, need 0 or 128" and None not in odd.values()
    assert refusals(Pool((2, 4, 4), (2, 2), (2, 2), True, center=128))["nn_pool"] is None


@pytest.mark.parametrize(
    ("channels", "kernel", "groups", "zero", "found"),
    [
        (6, (4, 4), 1, 5, None),
        (6, (4, 5), 1, 5, "found padding with code 5 around 1 groups of 120 inputs"),
        (6, (4, 5), 1, 0, None),
        (4, (3, 3), 4, 5, "found padding with code 5 around 4 groups of 9 inputs"),
        (4, (3, 3), 4, 0, None),
        (4, (3, 3), 2, 0, "found 2 groups"),
    ],
)
def test_around_which_padded_convolutions_the_assembly_puts_codes_of_0(channels, kernel, groups, zero, found):
    random = np.random.default_rng(3)
    op = conv(random, (channels, 9, 9), channels, kernel, groups=groups, most=2**22)
    rule = DoubleRounding(np.full(channels, 2**30, np.int32), np.full(channels, -8, np.int32))
    rows = dataclasses.replace(op.rows, requantiser=rule)
    padded = dataclasses.replace(op, rows=rows, source=Codes(zero=zero), pads=(1, 1, 1, 1))
    refusal = refusals(padded)["nn_avr_affine_conv"]
    assert refusal is None if found is None else refusal.startswith(found)
    assert refusals(padded)["nn_conv_affine"] is None


@pytest.mark.parametrize(
    ("shape", "takes"), [((16, 16), True), ((28, 28), True), ((8, 8), False), ((28, 16), False), ((16, 28), False)]
)
def test_the_front_end_in_assembly_is_for_the_sizes_that_it_has(shape, takes):
    op = Preconv((1, *shape), 63)
    assert (AvrPreconv().refuses((op,), ATMEGA328P) is None) is takes
    assert PortablePreconv().refuses((op,), ATMEGA328P) is None


@pytest.mark.parametrize("shape", [(16, 15), (2, 16), (66, 16), (16, 68)])
def test_the_front_end_is_for_even_sides_of_4_to_64(shape):
    refusal = PortablePreconv().refuses((Preconv((1, *shape), 63),), HOST)
    assert refusal == f"found {shape[0]}x{shape[1]} pixels, need even sides of 4..64"


def test_which_convolutions_the_assembly_takes():
    several = (Conv2d(4, 3), ReLU(), Conv2d(8, 3, groups=4), ReLU(), Conv2d(8, 3, groups=2), ReLU(), Flatten())
    kernels = (PatchConv(), DepthConv(), PortableConv())
    takes = [[each.refuses((op,), ATMEGA328P) is None for each in kernels] for op in lower(network_of(several)).ops[:3]]
    assert takes == [[True, False, True], [False, False, True], [False, False, True]]
    depthwise = lower(network_of("separable")).ops[1]
    packed = lower(network_of("separable"), WeightFormat.INT4).ops[1]
    assert DepthConv().refuses((depthwise,), ATMEGA328P) is None
    assert DepthConv().refuses((packed,), ATMEGA328P) == "found int4 weights, need int8"
    wide = conv(np.random.default_rng(0), (86, 4, 4), 2, (3, 3), most=2**22)
    assert PatchConv().refuses((wide,), ATMEGA328P) == "found 258 inputs in a kernel's row, need 255 at most"


@pytest.mark.parametrize(
    ("op", "found"),
    [
        (Pool((256, 4, 4), (2, 2), (2, 2), False), "found 256x4x4, windows of 2x2, strides 2x2"),
        (Pool((1, 40, 40), (17, 17), (2, 2), True), "found 1x40x40, windows of 17x17, strides 2x2"),
        (Pool((1, 40, 40), (2, 2), (256, 256), False), "found 1x40x40, windows of 2x2, strides 256x256"),
    ],
)
def test_how_large_maps_and_pools_may_be(op, found):
    assert set(refusals(op).values()) == {
        f"{found}, need sides, channels and strides up to 255, at most 256 inputs in a window"
    }
