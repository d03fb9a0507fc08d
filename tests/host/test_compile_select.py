"""Which kernel and how many bits an export takes, asked for or left open."""

import dataclasses

import numpy as np
import pytest
from host.deploy.budget import check_fit, predict
from host.deploy.calibrate import calibrate
from host.deploy.choose import AUTO, KERNEL_CHOICES, all_plans, choose
from host.deploy.nets import Int8Dense
from host.deploy.plan import KERNELS
from networks import random_images, random_network

from host.compile.boards import BOARDS
from host.data import Split
from host.errors import FitError, InputError
from host.nn.formats import WeightFormat

INT8, UNO = WeightFormat.INT8, BOARDS["uno"]


@pytest.fixture(scope="module")
def network():
    """A net of images 16x16 that every kernel can run."""
    found = random_network(1, shape=(16, 16), hidden=12, classes=10, scale=0.005)
    return calibrate(found, Split(random_images(2, 100, (16, 16)), np.zeros(100, np.int64)))


def smaller(board, flash):
    return dataclasses.replace(board, flash=flash)


def test_the_fastest_that_fits_is_taken(network):
    sizes = {kernel: predict(choose(network, INT8, UNO, kernel, 6), UNO).flash for kernel in KERNELS}
    assert choose(network, INT8, UNO, AUTO, 6).kernel == "unrolled"
    assert choose(network, INT8, smaller(UNO, sizes["unrolled"] - 1), AUTO, 6).kernel == "asm"
    assert choose(network, INT8, smaller(UNO, sizes["unrolled"]), AUTO, 6).kernel == "unrolled"
    cycles = {kernel: predict(choose(network, INT8, UNO, kernel, 6), UNO).cycles for kernel in KERNELS}
    assert cycles["unrolled"] < cycles["asm"] < cycles["portable"]


def test_where_nothing_fits_the_portable_plan_says_so(network):
    board = smaller(UNO, 3000)
    planned = choose(network, INT8, board)
    assert planned.kernel == "portable"
    with pytest.raises(FitError, match=r"uno: int8, kernel portable: flash: found [\d,]+ bytes needed, 3,000 there"):
        check_fit(network, planned, board)


def test_eight_bits_leave_no_sums_for_code(network):
    assert choose(network, INT8, UNO, AUTO, 8).kernel == "asm"
    with pytest.raises(InputError, match="need 16 bits; use --kernel asm or 6-bit activations"):
        choose(network, INT8, UNO, "unrolled", 8)


def test_a_machine_without_assembly_takes_the_portable_kernel(network):
    assert choose(network, INT8, BOARDS["native"]).kernel == "portable"
    assert choose(network, INT8, BOARDS["mega"]).kernel == "unrolled"


def test_no_kernel_in_assembly_for_more_inputs_than_one_counts():
    large = random_network(2, shape=(40, 40), hidden=3, classes=2, scale=0.001)
    board = dataclasses.replace(UNO, ram=1 << 20, flash=1 << 20)
    assert choose(large, INT8, board, AUTO, 8).kernel == "portable"
    assert choose(large, INT8, board, AUTO, 6).kernel == "unrolled"
    with pytest.raises(InputError, match="found 400 inputs, need 255 at most with 24-bit sums"):
        choose(large, INT8, board, "asm", 8)


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT16, WeightFormat.FLOAT32])
def test_kernels_and_bits_are_for_int8(network, fmt):
    assert choose(network, fmt, UNO).kernel == choose(network, fmt, UNO, "portable").kernel == "portable"
    for wish, found in (
        ({"kernel": "asm"}, "kernel asm, which is for int8, need portable; leave --kernel out"),
        ({"kernel": "unrolled"}, "kernel unrolled, which is for int8, need portable; leave --kernel out"),
        ({"bits": 6}, "6-bit activations, which are for int8, need none; leave --activation-bits out"),
        ({"bits": 8}, "8-bit activations, which are for int8, need none; leave --activation-bits out"),
    ):
        with pytest.raises(InputError, match=f"{fmt.label}: found {found} or choose --format int8"):
            choose(network, fmt, UNO, **wish)


def test_the_bits_asked_for_or_those_that_cost_nothing(network):
    assert choose(network, INT8, UNO, "portable", 8).net.levels == 255
    assert choose(network, INT8, UNO, "portable", 6).net.levels == 63
    narrow, wide = network.calibrations
    assert (narrow.top, wide.top) == (63, 255)
    for accuracy, levels in ((0.5, 63), (0.4, 255)):
        known = (dataclasses.replace(narrow, accuracy=accuracy), dataclasses.replace(wide, accuracy=0.5))
        assert choose(dataclasses.replace(network, calibrations=known), INT8, UNO).net.levels == levels


def test_a_net_trained_with_six_bits_cannot_have_eight(network):
    with pytest.raises(InputError, match="levels: found 255, need 63"):
        choose(random_network(top=63), INT8, UNO, AUTO, 8)


def test_an_unknown_kernel_is_named_with_the_known(network):
    with pytest.raises(InputError) as caught:
        choose(network, INT8, UNO, "fast")
    assert all(name in str(caught.value) for name in KERNEL_CHOICES)


def test_every_kernel_deploys_the_same_integers(network):
    for bits in (6, 8):
        plans = [choose(network, INT8, UNO, kernel, bits) for kernel in KERNELS if (kernel, bits) != ("unrolled", 8)]
        assert len({planned.net.hash for planned in plans}) == 1
        assert len({planned.weights_crcs[0] for planned in plans}) == 1
        assert len({planned.flash_rom for planned in plans}) == len(plans)


def test_a_board_may_carry_any_plan_that_could_have_been_made(network):
    found = all_plans(network, INT8)
    assert [(p.net.levels, p.kernel) for p in found] == [
        (63, "portable"),
        (63, "asm"),
        (63, "unrolled"),
        (255, "portable"),
        (255, "asm"),
    ]
    assert [p.kernel for p in all_plans(network, WeightFormat.FLOAT16)] == ["portable"]
    chosen = choose(network, INT8, UNO)
    assert any(p.net.hash == chosen.net.hash and set(chosen.weights_crcs) <= set(p.weights_crcs) for p in found)


def test_a_plan_keeps_the_densities_it_was_calibrated_with(network):
    layer = choose(network, INT8, UNO, "portable", 6).net.layers[0]
    assert isinstance(layer, Int8Dense) and np.array_equal(layer.density, network.calibrations[0].densities[0])
