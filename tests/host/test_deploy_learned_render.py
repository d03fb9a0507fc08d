"""Rendered programs of learned nets, and what the plan says about them."""

import re
import zlib

import numpy as np
import pytest
from host.deploy import learned_choose
from host.deploy.deployment import all_plans, check_fit, choose
from host.deploy.learned_plan import plan_learned
from host.deploy.learned_quantise import quantise_learned
from learned_networks import LAYERS, learned_network

from host.compile.boards import BOARDS
from host.compile.render import render
from host.errors import FitError, InputError
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU

INT8 = WeightFormat.INT8


def planned(name, **options):
    return plan_learned(quantise_learned(learned_network(name)), **options)


@pytest.mark.parametrize("name", LAYERS)
def test_both_listings_hold_every_byte_of_the_rom(name):
    plan = planned(name)
    texts = render(plan)
    listing = texts["model_net.h"].split("model_rom[MODEL_ROM_BYTES] = {")[1].split("};")[0]
    assert bytes(int(number) for number in re.findall(r"\d+", listing)) == plan.rom
    lines = re.findall(r"^ +\.byte (.*)$", texts["model_code.S"], re.MULTILINE)
    assert bytes(int(number) for line in lines for number in line.split(", ")) == plan.rom
    assert f"MODEL_ROM_BYTES {len(plan.rom)}UL" in texts["model_net.h"]
    assert plan.weights_crcs == (zlib.crc32(plan.rom),)
    assert render(planned(name)) == texts


def test_a_row_is_bias_multiplier_and_weights_in_the_order_of_the_map():
    plan = planned("padded")
    first, second = plan.net.stages[0].rows, plan.net.stages[1].rows
    head, row = plan.rom[:31], 4 + 2 + 25
    assert np.frombuffer(head[:4], "<i4")[0] == first.bias[0]
    assert np.frombuffer(head[4:6], "<u2")[0] == first.multipliers[0]
    assert np.array_equal(np.frombuffer(head[6:], np.int8), first.weights[0].ravel())
    at = plan.steps[1].rom
    assert at == 4 * row
    weights = np.frombuffer(plan.rom[at + 6 : at + 6 + 36], np.int8).reshape(3, 3, 4)
    assert np.array_equal(weights.transpose(2, 0, 1), second.weights[0])


def test_the_image_lies_in_the_arena_only_where_asked():
    kept, lean = planned("depthwise"), planned("depthwise", keep_image=False)
    assert "MODEL_IMAGE_AT" not in render(kept)["model.h"]
    assert f"#define MODEL_IMAGE_AT {lean.image_at} " in render(lean)["model.h"]
    assert kept.net.hash == lean.net.hash and kept.weights_crcs == lean.weights_crcs
    assert lean.arena_bytes < kept.arena_bytes + kept.image_bytes


def test_a_board_short_of_ram_gets_the_image_in_the_arena():
    layers = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 5), ReLU(), MaxPool2d(), Flatten(), Dense(64), ReLU())
    network = learned_network(layers, side=28)
    assert choose(network, INT8, BOARDS["uno"]).image_at is not None
    assert choose(network, INT8, BOARDS["mega"]).image_at is None
    assert choose(network, INT8, BOARDS["native"]).image_at is None
    check_fit(network, choose(network, INT8, BOARDS["uno"]), BOARDS["uno"])
    assert [(p.kernel, p.net.format) for p in all_plans(network, INT8)] == 2 * [("asm", INT8), ("portable", INT8)]


def test_two_convolutions_in_turns_where_an_uno_has_no_room_for_the_map_between():
    layers = (
        *(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(24, 3), ReLU(), MaxPool2d()),
        *(Flatten(), Dense(32), ReLU()),
    )
    network = learned_network(layers, side=28)
    plan = choose(network, INT8, BOARDS["uno"])
    budget = check_fit(network, plan, BOARDS["uno"])
    assert (plan.kernel, plan.layout.pair, plan.arena_bytes) == ("asm", 1, 1440)
    assert plan.marks[1] == "conv 3x3 16 with conv 3x3 24, pool 2" and len(plan.marks) == len(budget.parts) == 4
    text = render(plan)["model_net.h"]
    assert text.count("nn_avr_conv_pair(") == text.count("nn_conv_i8_pair(") == 1 and "NN_MARK(4)" not in text
    assert choose(network, INT8, BOARDS["mega"]).layout.pair is None


@pytest.mark.parametrize("groups", [1, 16])
def test_a_pair_has_the_driver_of_its_kernels(groups):
    layers = (
        *(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(16, 3, groups=groups), ReLU(), MaxPool2d()),
        *(Flatten(), Dense(32), ReLU()),
    )
    plan = choose(learned_network(layers, side=28), INT8, BOARDS["uno"])
    text = render(plan)["model_net.h"]
    assert (text.count("nn_avr_depth_pair("), text.count("nn_avr_conv_pair(")) == ((0, 1) if groups == 1 else (1, 0))


def test_pools_have_their_twins_in_the_assembly_program_alone():
    text = render(planned("pools", kernel="asm"))["model_net.h"]
    names = ("nn_avr_pool_max(", "nn_avr_pool_average(", "nn_pool_max(", "nn_pool_average(")
    assert [text.count(name) for name in names] == [1, 1, 1, 1]  # a header holds both programs
    portable = render(planned("pools"))["model_net.h"]
    assert [portable.count(name) for name in names] == [0, 0, 1, 1]


def test_what_the_depthwise_kernel_does_not_take_stays_portable():
    several = (Conv2d(4, 3), ReLU(), Conv2d(8, 3, groups=4), ReLU(), Conv2d(8, 3, groups=2), ReLU(), Flatten())
    plan = plan_learned(quantise_learned(learned_network(several)), "asm")
    assert [stage.blocks is None for stage in plan.twin.stages] == [False, True, True, False]
    packed = plan_learned(quantise_learned(learned_network("separable"), WeightFormat.INT4), "asm")
    assert packed.twin.stages[1].blocks is None


def test_a_depthwise_convolution_is_laid_out_for_its_own_kernel():
    plan = planned("separable", kernel="asm")
    stage, twin = plan.net.stages[1], plan.twin.stages[1]
    assert (twin.blocks.sizes, twin.blocks.kernel) == ([4, 3], "nn_avr_depth24")
    block = plan.twin.rom[twin.rom + 4 * (3 + 2 + 9) :][: 3 * (3 + 2 + 9)]
    bias = np.frombuffer(b"".join(block[at : at + 3] + b"\0" for at in (0, 3, 6)), "<i4")
    assert np.array_equal(bias, stage.rows.bias[4:] % 2**24)
    assert np.array_equal(np.frombuffer(block[9:15], "<u2"), stage.rows.multipliers[4:])
    assert np.array_equal(
        np.frombuffer(block[15:], np.int8).reshape(3, 3, 3), stage.rows.weights[4:, 0].transpose(1, 2, 0)
    )
    text = render(plan)["model_net.h"]
    assert text.count("nn_avr_depth_run(") == 1 and text.count("nn_avr_depth24_4, nn_avr_depth24_3}") == 1


@pytest.mark.parametrize("fmt", [WeightFormat.INT4, WeightFormat.TERNARY])
def test_packed_weights_take_their_bits_and_a_row_begins_on_a_byte(fmt):
    network = learned_network("padded")
    plan = plan_learned(quantise_learned(network, fmt))
    expected = sum(
        6 * s.rows.outputs + s.rows.outputs * -(-s.rows.weights[0].size * fmt.bits // 8) for s in plan.net.stages[:-1]
    )
    assert len(plan.rom) == expected + 10 * (4 + 24 * fmt.bits // 8)
    row = np.frombuffer(plan.rom[6 : 6 + -(-25 * fmt.bits // 8)], np.uint8)
    fields = (row[:, None] >> (fmt.bits * np.arange(8 // fmt.bits))).ravel()[:25] & (2**fmt.bits - 1)
    weights = fields.astype(int) - 2 ** (fmt.bits - 1)
    assert weights.tolist() == plan.net.stages[0].rows.weights[0].ravel().tolist()
    assert "nn_conv_packed_run(" in render(plan)["model_net.h"]


@pytest.mark.parametrize(
    ("layers", "side", "complaint"),
    [
        ((Conv2d(16, 3), ReLU(), Conv2d(16, 3), ReLU(), Flatten()), 16, "RAM: found"),
        ((Flatten(), Dense(200), ReLU()), 16, "flash: found"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_figures(layers, side, complaint):
    network = learned_network(layers, side=side)
    with pytest.raises(FitError) as caught:
        check_fit(network, choose(network, INT8, BOARDS["uno"]), BOARDS["uno"])
    message = str(caught.value)
    assert complaint in message and "--board mega has room for it" in message and "\n" not in message


def test_a_net_for_no_board_names_its_largest_layer():
    layers = (Conv2d(64, 3, padding=1), ReLU(), MaxPool2d(), Flatten(), Dense(128), ReLU())
    network = learned_network(layers, side=28)
    with pytest.raises(FitError) as caught:
        check_fit(network, choose(network, INT8, BOARDS["mega"]), BOARDS["mega"])
    assert "train a smaller net: dense 12544-128 alone takes 1,606,400 bytes" in str(caught.value)


@pytest.mark.parametrize(
    ("fmt", "kernel", "bits"), [("FLOAT16", "auto", None), ("INT8", "unrolled", None), ("INT8", "auto", 6)]
)
def test_what_these_nets_have_not_is_refused(fmt, kernel, bits):
    with pytest.raises(InputError, match="net of learned kernels"):
        learned_choose.choose(learned_network("plain"), WeightFormat[fmt], BOARDS["uno"], kernel, bits)
