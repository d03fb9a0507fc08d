"""The arena of learned nets: what a stage reads is what was written, however the maps overlap."""

from itertools import pairwise

import numpy as np
import pytest
from host.deploy.learned_nets import ConvStage, LearnedNet, elements
from host.deploy.learned_plan import plan_learned
from host.deploy.learned_quantise import quantise_learned
from host.deploy.learned_reference import infer_learned
from hypothesis import given, settings
from hypothesis import strategies as st
from learned_definition import run_stage
from learned_networks import LAYERS, drawn_images, learned_network

from host.compile.memory import lay_out, row_use
from host.errors import InputError
from host.nn.layers import Architecture, AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.nn.network import Network, Provenance, Scaling
from host.nn.parameters import initial

U2 = (
    *(Conv2d(12, 3, padding=1), ReLU(), MaxPool2d(), Conv2d(24, 3, padding=1), ReLU(), MaxPool2d()),
    *(Conv2d(32, 3, padding=1), ReLU(), Flatten()),
)
M1 = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 5), ReLU(), MaxPool2d(), Flatten(), Dense(64), ReLU())
SCRATCH = (Conv2d(8, 5), ReLU(), Conv2d(8, 5), ReLU(), MaxPool2d(), Flatten(), Dense(128), ReLU())


def quantised(layers, side=16) -> LearnedNet:
    parameters = initial(Architecture((1, side, side), (*layers, Dense(10))), 0)
    ranges = (1.0,) * (len(layers) + 1)
    source = Provenance("digits", "0" * 64, "test", 0)
    return quantise_learned(Network(parameters, Scaling(), tuple("0123456789"), source, ranges))


def walk(net: LearnedNet, keep_image: bool) -> int:
    """Play all reads and writes with the names of rows instead of numbers; returns the arena's size."""
    layout = lay_out(net, keep_image)
    arena: list[object] = [None] * layout.arena_bytes
    uses = [row_use(stage) for stage in net.stages]

    def rows_of(number: int) -> list[list[object]]:
        use = uses[number]
        return [[(number, row)] * use.in_bytes for row in range(use.in_rows)]

    if layout.image is not None:
        image = [cell for row in rows_of(0) for cell in row]
        arena[layout.image : layout.image + len(image)] = image
    for number, (use, place) in enumerate(zip(uses, layout.places, strict=True)):
        order = range(use.out_rows)
        for row in reversed(order) if place.backward else order:
            # All that this row needs is there until its last byte is written.
            for needed in range(use.first_needed[row], use.last_needed[row] + 1):
                if place.source is not None:
                    at = place.source + needed * use.in_bytes
                    assert at >= 0 and at + use.in_bytes <= len(arena)
                    assert arena[at : at + use.in_bytes] == [(number, needed)] * use.in_bytes, (number, row, needed)
            if place.target is None:
                continue
            at = place.target + row * use.out_bytes
            assert at >= 0 and at + use.out_bytes <= len(arena)
            if place.source is not None:
                needed = range(use.first_needed[row], use.last_needed[row] + 1)
                lows = [place.source + n * use.in_bytes for n in needed]
                assert all(low + use.in_bytes <= at or at + use.out_bytes <= low for low in lows), "its own input"
            # The next stage counts the same bytes in its own rows.
            following = uses[number + 1]
            for byte in range(use.out_bytes):
                arena[at + byte] = (number + 1, (row * use.out_bytes + byte) // following.in_bytes)
    return layout.arena_bytes


def run_in_arena(net: LearnedNet, image: np.ndarray, keep_image: bool) -> list[int]:
    """The net's scores, computed row by row in a real arena of bytes."""
    layout = lay_out(net, keep_image)
    arena = np.full(layout.arena_bytes, 0xA5, np.uint8)
    if layout.image is not None:
        arena[layout.image :][: image.size] = image.ravel()
    for stage, place in zip(net.stages, layout.places, strict=True):
        use = row_use(stage)

        def read(stage=stage, place=place) -> np.ndarray:
            memory = image.ravel() if place.source is None else arena[place.source :]
            values = memory[: elements(stage.input_shape)]
            if len(stage.input_shape) == 1:
                return values.copy()
            channels, height, width = stage.input_shape
            return values.reshape(height, width, channels).transpose(2, 0, 1).copy()

        if place.target is None:
            return run_stage(stage, read())
        rows = range(use.out_rows)
        for row in reversed(rows) if place.backward else rows:
            found = run_stage(stage, read())
            line = found if found.ndim == 1 else found[:, row].T.ravel()
            arena[place.target + row * use.out_bytes :][: use.out_bytes] = line
    raise AssertionError("no scores")


@pytest.mark.parametrize("keep_image", [True, False])
@pytest.mark.parametrize("layers", [*LAYERS.values(), U2], ids=[*LAYERS, "U2"])
def test_no_row_is_overwritten_before_its_last_use(layers, keep_image):
    walk(quantised(layers), keep_image)


@pytest.mark.parametrize("keep_image", [True, False])
@pytest.mark.parametrize("name", ["pools", "padded", "average first", "overlapping"])
def test_the_arena_changes_no_score(name, keep_image):
    net, image = quantise_learned(learned_network(name)), drawn_images(3)[2]
    assert run_in_arena(net, image, keep_image) == infer_learned(net, image[None]).scores[0].tolist()


def test_sizes_of_known_nets():
    assert walk(quantised(U2), keep_image=True) == 864
    assert walk(quantised(M1, 28), keep_image=False) == 1320
    assert walk(quantised(SCRATCH, 28), keep_image=True) <= 4608 + 160


def test_two_stages_in_turns_make_the_arena_smaller():
    layers = (*M1[:3], Conv2d(16, 3), ReLU(), Conv2d(24, 3), ReLU(), MaxPool2d(), Flatten(), Dense(32), ReLU())
    net = quantised(layers, 28)
    assert (lay_out(net, False).arena_bytes, lay_out(net, False, pair=1).arena_bytes) == (1888, 1440)


def test_direction_alternates():
    places = lay_out(quantised(U2), keep_image=True).places
    assert [one.backward != other.backward for one, other in pairwise(places[:-1])][1:] == [True]
    assert places[0].source is None and places[-1].target is None


def test_an_arena_is_never_empty():
    assert plan_learned(quantised((Flatten(),))).arena_bytes == 4


conv = st.builds(
    lambda channels, kernel, stride, padding: (
        Conv2d(channels, kernel, stride, min(padding, kernel - 1)),
        ReLU(),
    ),
    *(st.integers(1, 9), st.integers(1, 5), st.integers(1, 3), st.integers(0, 3)),
)
pool = st.builds(lambda kind, size: (kind(size),), st.sampled_from([MaxPool2d, AveragePool2d]), st.integers(1, 3))
overlapping = st.builds(lambda size, stride: (MaxPool2d(size, stride),), st.integers(1, 4), st.integers(1, 3))


@settings(max_examples=300)
@given(st.lists(conv | pool | overlapping, max_size=6), st.booleans())
def test_no_stack_of_layers_overlaps(parts, keep_image):
    layers = tuple(layer for part in parts for layer in part)
    try:
        net = quantised((*layers, Flatten()), side=13)
    except InputError:
        return
    assert walk(net, keep_image) > 0


def test_products_are_counted_without_padding():
    stage = quantised((Conv2d(4, 3, padding=1), ReLU(), Flatten()), side=8).stages[0]
    assert isinstance(stage, ConvStage)
    # 8 rows of 3 kernel rows each, but for the first and the last, which have 2.
    assert stage.macs == 4 * 22 * 22
