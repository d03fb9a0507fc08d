"""The arena: what a step reads is what was written, however the maps overlap."""

from itertools import pairwise

import numpy as np
import pytest
from arena import Played, run_in_arena, uses_of
from graphs import dense_graph, graph_of
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import LAYERS, drawn_images, network_of, random_network

from host.compile.boards import ATMEGA328P, HOST
from host.compile.kernels.kinds import ASSEMBLY, CODE, PORTABLE
from host.compile.memory import Pair, lay_out
from host.compile.program import as_pair, possible_pairs, row_uses
from host.compile.select import plain, tile
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.layers import Architecture, AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.nn.network import Network, Provenance, Scaling
from host.nn.parameters import initial
from host.quantise import ops
from host.quantise.lower import lower
from host.quantise.reference import infer

U2 = (
    *(Conv2d(12, 3, padding=1), ReLU(), MaxPool2d(), Conv2d(24, 3, padding=1), ReLU(), MaxPool2d()),
    *(Conv2d(32, 3, padding=1), ReLU(), Flatten()),
)
M1 = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 5), ReLU(), MaxPool2d(), Flatten(), Dense(64), ReLU())
SCRATCH = (Conv2d(8, 5), ReLU(), Conv2d(8, 5), ReLU(), MaxPool2d(), Flatten(), Dense(128), ReLU())
PAIR = (*M1[:3], Conv2d(16, 3), ReLU(), Conv2d(24, 3), ReLU(), MaxPool2d(), Flatten(), Dense(32), ReLU())
OBLONG = (
    *(Conv2d(6, (2, 3), padding=(1, 0, 0, 2)), ReLU(), MaxPool2d((1, 2)), Conv2d(5, (3, 2), (2, 1), (2, 0, 0, 1))),
    *(ReLU(), AveragePool2d((2, 1)), MaxPool2d((1, 3), (2, 2)), Flatten()),
)


def graph_for(layers, shape=(1, 16, 16)):
    """Numbers do not matter here."""
    parameters = initial(Architecture(shape, (*layers, Dense(10))), 0)
    ranges = (1.0,) * (len(layers) + 1)
    return lower(Network(parameters, Scaling(), tuple("0123456789"), Provenance("digits", "0" * 64, "test", 0), ranges))


def size(graph, keep_image, scratch=0, pair=None):
    return len(Played(uses_of(graph, scratch), keep_image, pair).arena)


@pytest.mark.parametrize("scratch", [0, 2, 4])
@pytest.mark.parametrize("keep_image", [True, False])
@pytest.mark.parametrize("name", [*LAYERS, "U2", "oblong", "front end", "front end and convolutions"])
def test_no_row_is_overwritten_before_its_last_use(name, keep_image, scratch):
    front_end = preconv_layers(255)
    more = {
        "U2": U2,
        "oblong": OBLONG,
        "front end": (*front_end, Flatten(), Dense(20), ReLU()),
        "front end and convolutions": (*front_end, Conv2d(6, 3, padding=1), ReLU(), Conv2d(4, 2), ReLU(), Flatten()),
    }
    assert size(graph_for((LAYERS | more)[name]), keep_image, scratch) > 0


@pytest.mark.parametrize("kinds", [(CODE, ASSEMBLY, PORTABLE), (ASSEMBLY, PORTABLE), (PORTABLE,)])
@pytest.mark.parametrize("keep_image", [True, False])
@pytest.mark.parametrize("fmt", [WeightFormat.INT8, WeightFormat.FLOAT32])
def test_nor_with_the_rooms_that_kernels_work_in(kinds, keep_image, fmt):
    chip = HOST if kinds == (PORTABLE,) else ATMEGA328P
    for hidden, side in ((1, 8), (7, 8), (40, 16), (200, 28)):
        graph = lower(random_network(hidden=hidden, shape=(side, side), classes=10, top=63, scale=0.002), fmt)
        tiles = tile(graph, chip, kinds)
        played = Played(row_uses(tiles), keep_image)
        for (_, taken), place in zip(tiles, played.layout.places, strict=True):
            # What C casts to wider numbers lies where they may.
            item = 4 if taken[-1].codes.is_float else 2
            assert isinstance(taken[0], ops.Dense) or place.target % item == 0


@pytest.mark.parametrize("keep_image", [True, False])
@pytest.mark.parametrize("sizes", [(16, 12, 10), (4, 60, 3), (9, 8, 30, 14, 10), (30, 10)])
def test_nor_where_the_image_itself_is_what_dense_ops_read(sizes, keep_image):
    for scratch in (0, 2, 4):
        assert size(dense_graph(np.random.default_rng(0), sizes), keep_image, scratch) > 0


@pytest.mark.parametrize("keep_image", [True, False])
@pytest.mark.parametrize("name", ["pools", "padded", "average first", "overlapping", "oblong", "two channels"])
def test_the_arena_changes_no_score(name, keep_image):
    shape = (2, 16, 16) if name == "two channels" else (1, 16, 16)
    layers = {"oblong": OBLONG, "two channels": OBLONG}.get(name, name)
    graph, images = lower(network_of(layers, shape=shape)), drawn_images(3, shape)
    assert run_in_arena(graph, images[2], keep_image) == infer(graph, images[2:]).scores[0].tolist()


def test_sizes_of_known_nets():
    assert size(graph_for(U2), keep_image=True) == 864
    assert size(graph_for(M1, (1, 28, 28)), keep_image=False) == 1320
    assert size(graph_for(SCRATCH, (1, 28, 28)), keep_image=True) <= 4608 + 160
    # Two bytes for each feature of the front end, and no more: hidden activations come behind one a feature.
    assert plain(lower(random_network(shape=(16, 16), hidden=40, classes=10))).portable.arena_bytes == 128


def pairs_of(graph):
    """Every two convolutions in a row, as a pair."""
    tiles = tile(graph, ATMEGA328P, (ASSEMBLY, PORTABLE))
    return [as_pair(tiles, step) for step in possible_pairs(tiles)]


def test_two_steps_in_turns_make_the_arena_smaller():
    graph = graph_for(PAIR, (1, 28, 28))
    (pair,) = [each for each in pairs_of(graph) if each.step == 1]
    assert (size(graph, False), size(graph, False, pair=pair)) == (1888, 1440)


@pytest.mark.parametrize("keep_image", [True, False])
@pytest.mark.parametrize(
    "layers",
    [
        PAIR,
        SCRATCH,
        (Conv2d(3, 3, padding=1), ReLU(), Conv2d(4, 5, padding=2), ReLU(), MaxPool2d(3), Flatten()),
        (Conv2d(3, 3), ReLU(), MaxPool2d(), Conv2d(9, 2, stride=3), ReLU(), Flatten(), Dense(5), ReLU()),
        (Conv2d(2, 3, stride=2), ReLU(), Conv2d(2, 4, padding=3), ReLU(), Conv2d(2, 3), ReLU(), Flatten()),
    ],
)
def test_what_two_steps_in_turns_read_is_what_was_written(layers, keep_image):
    graph, played = graph_for(layers, (1, 28, 28)), 0
    for pair in pairs_of(graph):
        try:
            assert size(graph, keep_image, pair=pair) > 0
        except ValueError:  # it would have to run upwards at either end
            continue
        played += 1
    assert played > 0


def test_direction_alternates():
    places = lay_out(uses_of(graph_for(U2)), keep_image=True).places
    assert [one.backward != other.backward for one, other in pairwise(places[:-1])][1:] == [True]
    assert places[0].source is None and places[-1].target is None


def test_an_arena_is_never_empty():
    assert plain(graph_for((Flatten(),))).portable.arena_bytes == 4


side = st.integers(1, 5)
sides = side | st.tuples(side, side)
conv = st.builds(
    lambda channels, kernel, stride, pads: (
        Conv2d(channels, kernel, stride, tuple(min(pad, k - 1) for pad, k in zip(pads, kernel * 2, strict=True))),
        ReLU(),
    ),
    *(st.integers(1, 9), st.tuples(side, side), sides, st.tuples(*[st.integers(0, 3)] * 4)),
)
pool = st.builds(lambda kind, size: (kind(size),), st.sampled_from([MaxPool2d, AveragePool2d]), sides)
overlapping = st.builds(lambda size, stride: (MaxPool2d(size, stride),), sides, sides)
stack = st.lists(conv | pool | overlapping, max_size=6)


@settings(max_examples=200)
@given(stack, st.booleans(), st.booleans(), st.integers(0, 4))
def test_no_stack_of_layers_overlaps(parts, keep_image, front_end, scratch):
    layers = (*(preconv_layers(255) if front_end else ()), *(layer for part in parts for layer in part))
    shape = (1, 18, 18) if front_end else (2, 13, 13)
    try:
        graph = graph_for((*layers, Flatten()), shape)
    except InputError:
        return
    assert size(graph, keep_image, scratch) > 0


@settings(max_examples=100)
@given(stack, st.booleans())
def test_nor_any_pair_of_convolutions(parts, keep_image):
    layers = tuple(layer for part in parts for layer in part)
    try:
        graph = graph_for((*layers, Flatten()), (1, 13, 13))
    except InputError:
        return
    for step, (op, following) in enumerate(pairwise(graph.ops)):
        if isinstance(op, ops.Conv) and isinstance(following, ops.Conv):
            try:
                size(graph, keep_image, pair=Pair(step, following))
            except ValueError:
                continue


def test_products_are_counted_without_padding():
    op = graph_for((Conv2d(4, 3, padding=1), ReLU(), Flatten()), (1, 8, 8)).ops[0]
    # 8 rows of 3 kernel rows each, but for the first and the last, which have 2.
    assert op.macs == 4 * 22 * 22
    oblong = graph_for((Conv2d(4, (3, 2), padding=(1, 0, 0, 0)), ReLU(), Flatten()), (1, 8, 8)).ops[0]
    assert oblong.macs == 4 * (6 * 3 + 2) * (7 * 2)
    assert graph_of(oblong, graph_for((Flatten(),), (4, 7, 7)).ops[0]).macs == oblong.macs + 10 * 4 * 7 * 7


@pytest.mark.parametrize("keep_image", [True, False])
def test_two_steps_in_turns_spare_what_the_front_end_worked_in(keep_image):
    """Its features begin where its scratch does, so that they end short of the arena's end."""
    layers = (*preconv_layers(255), Conv2d(6, 3), ReLU(), Conv2d(6, 3), ReLU(), MaxPool2d(), Flatten())
    tiles = tile(graph_for(layers, (1, 18, 18)), HOST, (PORTABLE,))
    assert possible_pairs(tiles) == [1]
    try:
        played = Played(row_uses(tiles), keep_image, as_pair(tiles, 1))
    except ValueError:  # it would have to run upwards at either end
        return
    assert played.layout.pair == 1
