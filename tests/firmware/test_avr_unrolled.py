"""Weights compiled into code, run on the simulated chip: scores, activations, class and cycles are as the host says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from avr_machine import Answer, Call, Machine
from host.deploy.nets import DeployedNet, Int8Dense
from host.deploy.plan import Plan, plan
from host.deploy.reference import layer_inputs
from host.deploy.twin import UnrolledTwin
from int8_nets import REQUANTISERS, int8_net, random_inputs
from numpy.typing import NDArray

from host.compile.render import render

Make = Callable[..., Machine]
ARGUMENT_CYCLES = 4
"""What loading two arguments takes in C; `Unrolled.cycles` leaves it to the caller."""
STACK_BYTES = 20
RETURN_ADDRESS_BYTES = 2


def run(make: Make, folder: Path, planned: Plan, features: NDArray[np.uint8]) -> list[Answer]:
    """An answer for each row of features: what is read back is the arena and the scores."""
    source = folder / "model_code.S"
    source.write_text(render(planned)["model_code.S"])
    chip = make(sources=(source,), has_learned=False)
    arena_bytes, score_bytes = planned.arena_bytes, 4 * planned.classes
    arena, scores = chip.room, chip.room + arena_bytes + 4
    untouched = bytes([0xA5] * (arena_bytes + score_bytes + 8))
    wanted = ((arena, arena_bytes), (arena + arena_bytes, 4), (scores, score_bytes), (scores + score_bytes, 4))
    return chip.run(
        [Call("model_dense", (arena, scores), ((arena, untouched), (arena, row.tobytes())), wanted) for row in features]
    )


def hidden_sums(layer: Int8Dense, inputs: NDArray[np.uint8]) -> NDArray[np.int64]:
    return inputs.astype(np.int64) @ layer.weights.T.astype(np.int64) + layer.bias


def late_zeros(planned: Plan, inputs: list[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Cycles beyond `Unrolled.cycles`: of sums that are not negative, are scaled, and come out as 0 after all."""
    assert isinstance(planned.twin, UnrolledTwin)
    extra = np.zeros(len(inputs[0]), np.int64)
    for part in planned.twin.unrolled.parts:
        if part.title.startswith("output "):
            layer = planned.net.layers[part.layer - 1]
            assert isinstance(layer, Int8Dense)
            rule = layer.requantiser
            assert rule is not None
            rotates = any(op.text.startswith("rol") for op in part.ops)
            # Where a shift suffices, the half that rounds stands in the bias already.
            half = (1 << (rule.shift - 1)) // rule.multiplier if rotates else 0
            sums = hidden_sums(layer, inputs[part.layer - 1])[:, part.input]
            late = (sums + half >= 0) & (inputs[part.layer][:, part.input] == 0)
            extra += np.where(late, part.cycles_nonzero - part.cycles_zero, 0)
    return extra


def check(make: Make, folder: Path, net: DeployedNet, features: NDArray[np.uint8]) -> None:
    planned = plan(net, "unrolled")
    assert isinstance(planned.twin, UnrolledTwin)
    answers = run(make, folder, planned, features)
    inputs = layer_inputs(net, features)
    last = net.layers[-1]
    assert isinstance(last, Int8Dense)
    scores = hidden_sums(last, inputs[-1])
    got = np.array([answer.memory[2].view("<i4") for answer in answers])
    assert np.array_equal(got, scores)
    assert [answer.value & 0xFF for answer in answers] == scores.argmax(axis=1).tolist()
    final = planned.twin.sources[-1]
    for answer, hidden in zip(answers, inputs[-1], strict=True):
        assert np.array_equal(answer.memory[0][final.source : final.source + len(hidden)], hidden)
        assert np.all(answer.memory[1] == 0xA5) and np.all(answer.memory[3] == 0xA5), "wrote past its memory"
        assert answer.stack == STACK_BYTES + RETURN_ADDRESS_BYTES
    new_maxima = (np.diff(np.maximum.accumulate(scores, axis=1), axis=1) > 0).sum(axis=1)
    stated = planned.twin.unrolled.cycles([values > 0 for values in inputs]) + late_zeros(planned, inputs) + new_maxima
    assert np.array_equal([answer.cycles - ARGUMENT_CYCLES for answer in answers], stated)


@pytest.mark.parametrize("way", REQUANTISERS)
@pytest.mark.parametrize("style", ["dense", "sparse", "few"])
def test_every_way_of_requantising_with_every_kind_of_weights(
    machine: Make, tmp_path: Path, style: str, way: str
) -> None:
    random = np.random.default_rng(len(style) * 100 + len(way))
    # Rotating needs sums that are small enough for a byte when shifted.
    most = {"rotated": 8000, "rotated far": 2000}.get(way, 32767)
    net = int8_net(random, (36, 19, 10), style=style, way=way, most=most)
    check(machine, tmp_path, net, random_inputs(random, 60, 36, net.levels))


@pytest.mark.parametrize(
    "sizes",
    [(1, 1, 1), (1, 1, 2), (2, 12, 12), (5, 13, 3), (64, 40, 10), (90, 24, 10), (150, 7, 12), (196, 11, 10)],
    ids=str,
)
def test_every_size_of_block_and_arena(machine: Make, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(sum(sizes))
    net = int8_net(random, sizes, style="sparse" if sum(sizes) > 99 else "dense", way="narrow")
    check(machine, tmp_path, net, random_inputs(random, 40, sizes[0], net.levels))


@pytest.mark.parametrize("sizes", [(30, 10), (30, 14, 11, 10), (16, 25, 70, 12, 9)], ids=str)
def test_any_number_of_layers(machine: Make, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(len(sizes))
    net = int8_net(random, sizes, style="few", way="narrow")
    check(machine, tmp_path, net, random_inputs(random, 40, sizes[0], net.levels))


@pytest.mark.parametrize("way", ["moved", "narrow", "wide"])
def test_activations_of_eight_bits_where_the_weights_are_small(machine: Make, tmp_path: Path, way: str) -> None:
    random = np.random.default_rng(8)
    net = int8_net(random, (20, 15, 10), levels=255, way=way)
    check(machine, tmp_path, net, random_inputs(random, 60, 20, 255))


def test_weights_that_are_all_zero(machine: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    net = int8_net(random, (9, 4, 3))
    for layer in net.layers:
        layer.weights[:] = 0
    check(machine, tmp_path, net, random_inputs(random, 5, 9, 63))
