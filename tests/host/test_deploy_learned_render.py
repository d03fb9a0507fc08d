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
    assert len(all_plans(network, INT8)) == 1


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
    ("fmt", "kernel", "bits"), [("FLOAT16", "auto", None), ("INT8", "asm", None), ("INT8", "auto", 6)]
)
def test_what_these_nets_have_not_is_refused(fmt, kernel, bits):
    with pytest.raises(InputError, match="net of learned kernels"):
        learned_choose.choose(learned_network("plain"), WeightFormat[fmt], BOARDS["uno"], kernel, bits)
