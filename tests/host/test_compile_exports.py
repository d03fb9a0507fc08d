"""From a network to a graph and an export in the words of the command line: formats, activation bits, ways to round."""

import dataclasses

import numpy as np
import pytest
from networks import network_of, qat_network, random_network

from host.compile.boards import BOARDS
from host.compile.exports import export_for, formats, lowered, plain_export, refusal
from host.compile.kernels.kinds import KINDS
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.layers import Dense, Flatten, ReLU
from host.quantise.graph import AFTER, AWARE, PER_TENSOR

INT8, INT4, FLOAT16 = WeightFormat.INT8, WeightFormat.INT4, WeightFormat.FLOAT16
UNO, NATIVE = BOARDS["uno"], BOARDS["native"]


def test_the_bits_asked_for_or_those_that_cost_nothing(network):
    assert [lowered(network, INT8, bits).top for bits in (8, 6)] == [255, 63]
    narrow, wide = network.calibrations
    assert (narrow.top, wide.top) == (63, 255)
    for accuracy, top in ((0.5, 63), (0.4, 255)):
        known = (dataclasses.replace(narrow, accuracy=accuracy), dataclasses.replace(wide, accuracy=0.5))
        measured = dataclasses.replace(network, calibrations=known)
        assert lowered(measured, INT8).top == export_for(measured, INT8, UNO).graph.top == top


def test_a_net_trained_with_six_bits_cannot_have_eight():
    with pytest.raises(InputError, match=r"activations: found 8 bits, need 6 bits, .*; choose"):
        export_for(random_network(top=63), INT8, UNO, bits=8)


@pytest.mark.parametrize("fmt", [WeightFormat.FLOAT32, FLOAT16])
def test_bits_and_ways_of_rounding_are_for_integers(network, fmt):
    for wish, found in (
        ({"bits": 6}, "6-bit activations, which are for integers, need none; leave --activation-bits out or choose"),
        ({"bits": 8}, "8-bit activations, which are for integers, need none; leave --activation-bits out or choose"),
        ({"per_tensor": True}, "--per-tensor, which is for integers, need floats without it; leave one of them out"),
    ):
        with pytest.raises(InputError) as caught:
            lowered(network, fmt, **wish)
        assert str(caught.value).startswith(f"{fmt.label}: found {found}")


def test_every_kernel_deploys_the_same_integers(network):
    for fmt, bits in ((INT8, 6), (INT8, 8), (INT4, 6)):
        exports = [export_for(network, fmt, UNO, kernel, bits) for kernel in KINDS]
        assert len({export.graph.hash for export in exports}) == 1
        assert len({export.portable.crc for export in exports}) == 1
        assert len({export.on_avr.crc for export in exports}) == len(exports)


def test_one_scale_a_tensor_changes_something_or_is_refused(network):
    conv = network_of("plain")
    assert lowered(conv, INT8, per_tensor=True).rounding == PER_TENSOR
    assert lowered(network, INT4, per_tensor=True).rounding == PER_TENSOR
    with pytest.raises(InputError, match="per-tensor: found layers with one scale each already"):
        lowered(network, INT8, per_tensor=True)


def test_what_was_trained_for_a_format_is_taken_unless_rounding_is_asked_for():
    network = qat_network("plain", "int4")
    assert plain_export(network, INT4).graph.rounding == AWARE
    assert plain_export(network, INT4, post_training=True).graph.rounding == AFTER
    assert plain_export(network, INT4, per_tensor=True).graph.rounding == PER_TENSOR
    assert plain_export(network, INT8).graph.rounding == AFTER


@pytest.mark.parametrize("name", ["front end", "plain", "pools", "dense alone"])
def test_every_format_is_for_every_net(name):
    assert formats(random_network() if name == "front end" else network_of(name)) == tuple(WeightFormat)


def test_where_some_format_has_no_kernel_its_reason_is_the_kernels():
    network = network_of((Flatten(), Dense(256), ReLU()))
    assert formats(network) == ()
    for fmt in WeightFormat:
        reason = refusal(network, fmt)
        assert reason.startswith(
            f"{fmt.label}: dense 256-256: found dense 256-256, need at most 255 units, of at most 65,535 inputs; "
        )
        assert reason.isprintable()


def test_an_export_keeps_the_densities_it_was_calibrated_with(network):
    op = export_for(network, INT8, NATIVE, bits=6).graph.ops[1]
    assert np.array_equal(op.density, network.calibrations[0].densities[1])
