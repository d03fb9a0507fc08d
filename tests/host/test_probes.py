"""The images that go before the data: the same each time, bounded, and such that wrong arithmetic shows in them."""

from dataclasses import replace

import numpy as np
import pytest
from given_networks import GIVEN, given_network
from graphs import dense_graph
from networks import network_of, random_network

from host.link import wire
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.quantise import probes as module
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.quantise.ops import op_name
from host.quantise.patterns import plain_patterns
from host.quantise.probes import probes
from host.quantise.reference import infer
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
    "a vector": lambda: dense_graph(np.random.default_rng(3), (20, 9, 5)),
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


@SOME
def test_a_clamp_that_is_one_off_shows(name):
    graph = GRAPHS[name]()
    found = probes(graph)
    said, reached = infer(graph, found.images).scores, []
    for at, op in enumerate(graph.ops[:-1]):
        if getattr(op, "rows", None) is None or op.rows.requantiser is None or op_name(op) in found.unreached:
            continue
        reached.append(at)
        for high in (op.codes.high - 1, op.codes.high + 1):
            wrong = replace(op, rows=replace(op.rows, codes=replace(op.codes, high=high)))
            mutant = replace(graph, ops=(*graph.ops[:at], wrong, *graph.ops[at + 1 :]))
            assert (infer(mutant, found.images).scores != said).any(), (op_name(op), high)
    assert reached or name == "floats"


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
    assert found.names[: len(plain)] == tuple(plain) and len(found.names) == len(plain) + 1
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
