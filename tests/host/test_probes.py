"""The images that go before the data: the same each time, bounded, and such that wrong arithmetic shows in them."""

from dataclasses import fields, replace

import numpy as np
import pytest
from given_networks import GIVEN, given_network
from networks import network_of, random_network

from host.link import wire
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.quantise import probes as module
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.quantise.patterns import plain_patterns
from host.quantise.probes import MOST_BYTES, MOST_PROBES, probes
from host.quantise.reference import infer
from host.quantise.saturation import clamps
from host.quantise.ties import closest, gaps
from host.report.probes import compare_probes

LAYERS = (Conv2d(6, 3, padding=1), ReLU(), MaxPool2d(), Conv2d(8, 3), ReLU(), Flatten(), Dense(12), ReLU())
INT8, TERNARY, FLOAT16 = WeightFormat.INT8, WeightFormat.TERNARY, WeightFormat.FLOAT16
GRAPHS = {
    "convolutions": lambda: lower(network_of(LAYERS), INT8),
    "6-bit codes": lambda: lower(network_of(LAYERS), INT8, top=63),
    "ternary": lambda: lower(network_of(LAYERS), TERNARY),
    "floats": lambda: lower(network_of(LAYERS), FLOAT16),
    "front end": lambda: lower(network_of((*preconv_layers(63), Flatten(), Dense(12), ReLU())), INT8, top=63),
    "channels": lambda: lower(network_of(LAYERS, shape=(3, 9, 12)), INT8),
    "a vector": lambda: lower(network_of((Flatten(), Dense(9), ReLU()), shape=(1, 1, 20))),
    "codes as scores": lambda: lower(given_network(GIVEN["given, padded"])),
}
SOME = pytest.mark.parametrize("name", GRAPHS)


@SOME
def test_they_are_the_same_each_time_and_fit_the_net(name):
    first, again = (probes(GRAPHS[name]()) for _ in range(2))
    assert first.names == again.names and np.array_equal(first.images, again.images)
    shape = GRAPHS[name]().input_shape
    assert first.images.shape == (len(first.names), *(shape if shape[0] > 1 else shape[1:]))
    assert first.images.dtype == np.uint8 and len(set(first.names)) == len(first.names)


@SOME
def test_the_last_one_is_a_tie(name):
    graph = GRAPHS[name]()
    found = probes(graph)
    scores = infer(graph, found.images[-1:]).scores
    assert found.tie == (gaps(scores)[0] == 0) == (found.names[-1] == "tie")
    if name != "floats":  # of which few have one
        last = scores.shape[1] - 1 - scores[0, ::-1].argmax()
        assert found.tie and scores[0].argmax() != last


def misheld(graph, clamp, wrong):
    """The graph with an op that holds its sums in another way; `wrong` makes codes of scaled sums and the op's own."""

    class Held(type(graph.ops[clamp.at].rows.requantiser)):
        def scaled(self, sums):
            zero = graph.ops[clamp.at].codes.zero
            found = super().scaled(sums) + zero
            return wrong(found, np.clip(found, rows.codes.low, rows.codes.high)) - zero

    op = graph.ops[clamp.at]
    rows = op.rows
    rule = Held(**{each.name: getattr(rows.requantiser, each.name) for each in fields(rows.requantiser)})
    wide = replace(op, rows=replace(rows, requantiser=rule, codes=replace(rows.codes, low=0, high=255)))
    return replace(graph, ops=(*graph.ops[: clamp.at], wide, *graph.ops[clamp.at + 1 :]))


def mistakes(end, sign):
    """Ways to hold sums wrongly at an end, outwards being `sign`."""
    return (
        lambda scaled, held: np.where(sign * held >= sign * end, end - sign, held),
        lambda scaled, held: np.where(sign * scaled > sign * end, (end + sign) % 256, held),
        lambda scaled, held: np.where(sign * scaled > sign * end, end - sign, held),
    )


@SOME
def test_a_wrong_clamp_shows(name):
    """Of either end of every op's codes, those of the scores too: one lower, one higher, or of what is beyond alone."""
    graph = GRAPHS[name]()
    found = probes(graph)
    said, told = infer(graph, found.images).scores, set()
    for clamp in clamps(graph):
        if clamp.name(graph) in found.unreached:
            continue
        end, sign = clamp.end(graph.ops[clamp.at]), clamp.sign
        told |= {(clamp.at, sign)}
        for wrong in mistakes(end, sign):
            assert (infer(misheld(graph, clamp, wrong), found.images).scores != said).any(), clamp.name(graph)
    has_codes = graph.ops[-1].codes.zero > 0
    assert {sign for _, sign in told} == ({-1, 1} if name != "floats" else set())
    assert not has_codes or {(len(graph.ops) - 1, sign) for sign in (-1, 1)} <= told


def test_ends_that_no_sum_can_pass_are_not_asked_for():
    graph = GRAPHS["codes as scores"]()
    last = graph.ops[-1]
    assert {each.is_upper for each in clamps(graph) if each.at == len(graph.ops) - 1} == {False, True}
    small = replace(last.rows, weights=0 * last.rows.weights, bias=0 * last.rows.bias)
    silent = replace(graph, ops=(*graph.ops[:-1], replace(last, rows=small)))
    assert all(each.at < len(graph.ops) - 1 for each in clamps(silent))


@pytest.mark.parametrize(
    ("shape", "most"), [((300, 1, 20), 10), ((300, 1, 4), 32), ((40, 3, 3), 32), ((1, 255, 255), 2), ((1, 1, 40), 32)]
)
def test_they_are_bounded_and_no_two_are_equal(shape, most):
    graph = lower(network_of((Flatten(), Dense(6), ReLU(), Dense(5), ReLU()), shape=shape))
    found = probes(graph)
    assert len(found.names) == len(found.images) == len(set(found.names)) <= most <= MOST_PROBES
    assert found.images.nbytes <= max(MOST_BYTES, 2 * found.images[0].nbytes)
    assert len({image.tobytes() for image in found.images}) == len(found.images) >= 2
    assert not any(image.any() for name, image in zip(found.names, found.images, strict=True) if name == "blank")


def test_what_every_net_is_shown():
    names = dict(plain_patterns((1, 6, 5)))
    corners = [names[f"pixel {corner}"][0] for corner in ("upper left", "upper right", "lower left", "lower right")]
    assert [np.argwhere(corner).tolist() for corner in corners] == [[[0, 0]], [[0, 4]], [[5, 0]], [[5, 4]]]
    assert not names["blank"].any() and (names["full"] == 255).all()
    assert names["checker"][0, :2, :3].tolist() == [[0, 255, 0], [255, 0, 255]]
    assert names["ramp down"][0, :, 0].tolist() == [0, 51, 102, 153, 204, 255]
    assert names["ramp across"][0, 3].tolist() == [0, 63, 127, 191, 255]
    lit = dict(plain_patterns((3, 2, 2)))["channel 1"]
    assert lit.reshape(3, -1).max(axis=1).tolist() == [0, 255, 0]
    alone = [name for name in dict(plain_patterns((300, 1, 1))) if name.startswith("channel")]
    assert len(alone) == 8 and (alone[0], alone[-1]) == ("channel 0", "channel 299")


def test_the_search_is_bounded_by_images_tried():
    tried = 0

    def never_tied(images):
        nonlocal tried
        tried += len(images)
        return np.stack([images.reshape(len(images), -1).sum(axis=1, dtype=np.int32) % 97 + 2, np.ones(len(images))], 1)

    images = np.arange(2 * 12, dtype=np.uint8).reshape(2, 1, 3, 4)
    for tries in (0, 15, 200, 5000):
        tried = 0
        _, lead = closest(never_tied, images, np.int32([[9, 0], [0, 9]]), 16, tries)
        assert lead > 0 and tried <= tries


def test_a_net_beyond_the_bound_gets_the_plain_ones_and_one_more(monkeypatch):
    monkeypatch.setattr(module, "PRODUCTS", 1)
    graph = GRAPHS["convolutions"]()
    found = probes(graph)
    plain = dict(plain_patterns(graph.input_shape))
    assert len(found.names) == len(plain) and set(found.names[:-1]) < set(plain)
    assert any(np.array_equal(found.images[-1], image[0]) for image in plain.values())


def answers(graph: Graph) -> list[wire.Result]:
    said = infer(graph, probes(graph).images)
    return [
        wire.Result(int(each), 0, 0, tuple(map(int, words)))
        for each, words in zip(said.classes, said.words, strict=True)
    ]


def test_the_report_names_the_first_that_differs():
    graph = lower(random_network())
    right = answers(graph)
    same = compare_probes(graph, right)
    assert same.agrees and same.text().startswith(f"probes     {len(right)} of {len(right)} as the reference")
    document = {"n": len(right), "equal": len(right), "first_differing": None, "tie": True, "unreached": []}
    assert same.document() == document
    last = len(right) - 1
    other = 1 if right[last].predicted == 0 else 0
    off = compare_probes(graph, [*right[:last], replace(right[last], predicted=other)])
    first = {"name": "tie", "quantised": right[last].predicted, "device": other}
    assert not off.agrees and off.document() == document | {"equal": last, "first_differing": first}
    said = f"reference says class {right[last].predicted}, device {other}, and every score is equal"
    assert off.text().splitlines()[-1] == f"first probe that differs: tie: {said}"
    scores = list(right[2].scores)
    scores[1] ^= 1
    text = compare_probes(graph, [*right[:2], replace(right[2], scores=tuple(scores)), *right[3:]]).text()
    assert "first probe that differs: checker: reference says class" in text and "; score 1 is " in text
