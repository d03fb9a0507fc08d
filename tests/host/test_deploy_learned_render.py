"""Rendered programs of learned nets, and what the plan says about them."""

import re
import zlib

import numpy as np
import pytest
from learned_networks import LAYERS, learned_network

from host.deploy import learned_choose
from host.deploy.deployment import all_plans, check_fit, choose
from host.deploy.learned_plan import plan_learned
from host.deploy.learned_quantise import quantise_learned
from host.deploy.numerics import WeightFormat
from host.deploy.render import render
from host.deploy.target import BOARDS
from host.errors import FitError, InputError
from host.train.architecture import Conv2d, Dense, Flatten, MaxPool2d, ReLU

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
