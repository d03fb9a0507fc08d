"""Boards that were flashed by an earlier version still answer: what they say is among what a network may be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from networks import network_of

from host.compile.boards import BOARDS
from host.compile.candidates import Candidate, candidates
from host.compile.export import Export
from host.compile.exports import export_for
from host.compile.select import choose
from host.modelfile import file as model_file
from host.nn.formats import ACTIVATION_TOPS, WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.quantise.lower import lower

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "flashed_before.json").read_text())
"""Model, format, first half of the hash → CRCs of the programs that the version before the one Graph exported."""


def place(repository: Path, name: str) -> Path:
    return repository / ("firmware/model/default.h5" if name == "default" else f"host/pretrained/{name}.h5")


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_what_was_flashed_before_is_known(repository: Path, name: str) -> None:
    network = model_file.load(place(repository, name))
    for fmt, graphs in GOLDEN[name].items():
        known = {each.graph.hash[:16]: each for each in candidates(network, WeightFormat[fmt.upper()])}
        for model_hash, crcs in graphs.items():
            assert set(crcs) <= set(known[model_hash].weights_crcs), (fmt, model_hash)


@pytest.mark.parametrize("name", ["preconv-usps", "uno-cnn-usps"])
def test_what_is_exported_today_is_known_and_named(repository: Path, name: str) -> None:
    network = model_file.load(place(repository, name))
    for fmt in (WeightFormat.INT8, WeightFormat.TERNARY):
        known = list(candidates(network, fmt))
        assert_known_and_named(known, [export_for(network, fmt, BOARDS[board]) for board in ("uno", "mega")])


def assert_known_and_named(known: list[Candidate], exports: list[Export]) -> None:
    for export in exports:
        (found,) = [each for each in known if each.model_hash == export.graph.hash_bytes]
        assert set(export.weights_crcs) <= set(found.weights_crcs)
        assert found.program(export.on_avr.crc).marks == export.on_avr.marks


def test_a_known_export_is_the_only_one(repository: Path) -> None:
    export = export_for(model_file.load(place(repository, "preconv-usps")), WeightFormat.INT8, BOARDS["uno"])
    assert Candidate(export).weights_crcs == export.weights_crcs


@pytest.mark.parametrize("bits", ACTIVATION_TOPS)
def test_whatever_bits_its_activations_were_given(bits: int) -> None:
    network = network_of("plain")
    export = export_for(network, WeightFormat.INT8, BOARDS["uno"], bits=bits)
    (found,) = [each for each in candidates(network, WeightFormat.INT8) if each.model_hash == export.graph.hash_bytes]
    assert set(export.weights_crcs) <= set(found.weights_crcs)


def test_code_behind_two_convolutions_in_turns_is_known() -> None:
    """Its bytes say where in the arena the maps lie, which is elsewhere where two steps take turns."""
    layers = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(24, 3), ReLU(), MaxPool2d(), Flatten())
    graph = lower(network_of((*layers, Dense(12), ReLU()), side=28), WeightFormat.TERNARY, top=63)
    export = choose(graph, BOARDS["uno"], "unrolled")
    assert export.on_avr.layout.pair == 1
    assert export.on_avr.crc in Candidate(graph).weights_crcs
