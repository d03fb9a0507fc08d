"""Dense layers compiled into code, run on the simulated chip: scores, activations, class and cycles are as the host
says, for every integer format, way of requantising, size and number of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from avr_machine import Answer, Call, Machine
from graphs import REQUANTISERS, dense_graph, random_inputs
from numpy.typing import NDArray
from unrolled_chains import assembly, chain, cycles_of, layer_values, sources_of

from host.compile.kernels.unrolled.compiler import Source, Unrolled, unroll
from host.quantise.graph import Graph

Make = Callable[..., Machine]
STACK_BYTES, CLASS_BYTES, ARGUMENT_CYCLES = 22, 1, 4
"""18 saved registers, where the scores go, the return address; between two blocks of scores the largest of them and its
class wait on the stack."""


def run(
    make: Make, folder: Path, unrolled: Unrolled, sources: Sequence[Source], rows: NDArray[np.uint8]
) -> list[Answer]:
    """An answer for each row of features: the arena, the scores, and what lies behind each."""
    path = folder / "code.S"
    path.write_text(assembly(unrolled))
    chip = make(sources=(path,), has_convolutions=False)
    held, scored = sum(source.weights.shape[1] for source in sources), 4 * len(sources[-1].bias)
    arena, scores = chip.room, chip.room + held + 4
    untouched = bytes([0xA5] * (held + scored + 8))
    wanted = ((arena, held), (arena + held, 4), (scores, scored), (scores + scored, 4))
    memory = [((arena, untouched), (arena, row.tobytes())) for row in rows]
    return chip.run([Call("model_dense", (arena, scores), each, wanted) for each in memory])


def late_zeros(
    unrolled: Unrolled, sources: Sequence[Source], values: Sequence[NDArray[np.uint8]], sums
) -> NDArray[np.int64]:
    """Cycles beyond `Unrolled.cycles`: of sums that are not negative, are scaled, and come out as 0 after all."""
    extra = np.zeros(len(values[0]), np.int64)
    for part in unrolled.parts:
        if part.title.startswith("output ") and part.cycles_nonzero != part.cycles_zero:
            source = sources[part.layer - 1]
            multiplier = int(np.broadcast_to(source.multiplier, source.bias.shape)[part.input])
            # Where the sum is rotated the half that rounds stands in the bias already.
            rotated = any(op.text.startswith("rol") for op in part.ops)
            half = (1 << (source.shift - 1)) // multiplier if rotated else 0
            late = (sums[part.layer - 1][:, part.input] + half >= 0) & (values[part.layer][:, part.input] == 0)
            extra += np.where(late, part.cycles_nonzero - part.cycles_zero, 0)
    return extra


def check(make: Make, folder: Path, sources: Sequence[Source], features: NDArray[np.uint8], bits: int = 16) -> None:
    unrolled, last = unroll(sources, bits), sources[-1]
    answers = run(make, folder, unrolled, sources, features)
    values, sums = layer_values(sources, features)
    scores, size = sums[-1], int(last.sum_bytes[0])
    assert np.array_equal([answer.memory[2].view("<i4") for answer in answers], scores)
    assert [answer.value & 0xFF for answer in answers] == scores.argmax(axis=1).tolist()
    new_maxima = (np.diff(np.maximum.accumulate(scores, axis=1), axis=1) > 0).sum(axis=1) * (2 * size - 3)
    stack = STACK_BYTES + (size + CLASS_BYTES if len(last.bias) > 24 // size else 0)
    arenas = np.array([answer.memory[0] for answer in answers])
    assert np.array_equal(arenas, np.concatenate(values, axis=1))
    assert all(np.all(answer.memory[1] == 0xA5) and np.all(answer.memory[3] == 0xA5) for answer in answers)
    assert {answer.stack for answer in answers} == {stack}
    nonzero = [given > 0 for given in values]
    stated = cycles_of(unrolled, nonzero) + late_zeros(unrolled, sources, values, sums) + new_maxima
    assert np.array_equal([answer.cycles - ARGUMENT_CYCLES for answer in answers], stated)


@pytest.mark.parametrize("shift", [16, 24])
@pytest.mark.parametrize("fmt", ["ternary", "int4", "int8"])
def test_every_format_with_a_multiplier_for_each_row(machine: Make, tmp_path: Path, fmt: str, shift: int) -> None:
    random = np.random.default_rng(len(fmt) + shift)
    sources = chain(random, (40, 21, 10), fmt, shift=shift)
    check(machine, tmp_path, sources, random_inputs(random, 60, 40, 255))


@pytest.mark.parametrize(
    ("levels", "hidden", "shift"), [(255, 63, 24), (63, 63, 24), (63, 255, 16), (127, 100, 20), (255, 1, 9)]
)
def test_inputs_and_outputs_of_any_top(machine: Make, tmp_path: Path, levels: int, hidden: int, shift: int) -> None:
    random = np.random.default_rng(levels + hidden)
    sources = chain(random, (30, 25, 13, 10), "int8", levels=levels, hidden_levels=hidden, shift=shift)
    check(machine, tmp_path, sources, random_inputs(random, 60, 30, levels))


def blind_scores(below: Source) -> Source:
    """A class behind a layer whose activations are looked at: any weights would have to keep its sum in range."""
    inputs = len(below.bias)
    blind = np.zeros((1, inputs), np.int64)
    return Source(blind, np.zeros(1, np.int64), 0, 0, below.output_levels, below.target, 0, np.ones(inputs))


@pytest.mark.parametrize("shift", [16, 24])
def test_sums_of_the_whole_range_with_multipliers_of_the_whole_range(machine: Make, tmp_path: Path, shift: int) -> None:
    random = np.random.default_rng(shift)
    outputs = 240
    weights = np.full((outputs, 1), 127)
    bias = random.integers(-(2**15), 2**15 - 255 * 127, outputs)
    # Of every size, powers of two among them, and each with its own neighbours in the block.
    powers = 1 << random.integers(0, 16, outputs)
    multipliers = np.where(random.random(outputs) < 0.3, powers, random.integers(powers, 2 * powers))
    source = Source(weights, bias, multipliers, shift, 255, 0, 1, np.ones(1), output_levels=255)
    check(machine, tmp_path, [source, blind_scores(source)], np.arange(255, dtype=np.uint8)[:, None] + np.uint8(1))


@pytest.mark.parametrize("classes", [12, 13, 26, 47, 62])
def test_classes_in_several_blocks(machine: Make, tmp_path: Path, classes: int) -> None:
    random = np.random.default_rng(classes)
    sources = chain(random, (90, 30, classes), "ternary")
    check(machine, tmp_path, sources, random_inputs(random, 120, 90, 255))


def test_of_equal_scores_the_first_counts_in_whichever_block(machine: Make, tmp_path: Path) -> None:
    # Class k is lifted by input k, and all start equal.
    classes = 30
    source = Source(np.eye(classes, dtype=np.int64), np.full(classes, -7), 0, 0, 255, 0, classes, np.ones(classes))
    lifted = np.eye(classes, dtype=np.uint8)
    pairs = lifted[[0, 5, 11, 3, 12, 9]] + lifted[[29, 20, 12, 4, 25, 10]]
    check(machine, tmp_path, [source], np.concatenate([np.zeros((1, classes), np.uint8), lifted, pairs, 1 - lifted]))


def test_scores_of_the_inputs_themselves_beyond_the_reach_of_one_displacement(machine: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    check(machine, tmp_path, chain(random, (200, 26), "int4", share=0.2), random_inputs(random, 60, 200, 255))


@pytest.mark.parametrize("shift", [16, 24])
@pytest.mark.parametrize(("fmt", "inputs"), [("int4", 160), ("int8", 60)])
def test_sums_of_24_bits_where_16_do_not_hold_them(
    machine: Make, tmp_path: Path, fmt: str, inputs: int, shift: int
) -> None:
    random = np.random.default_rng(inputs + shift)
    sources = chain(random, (inputs, 16, 14, 10), fmt, shift=shift, share=0.9, sum_bits=24)
    # Both kinds of sums in one layer.
    assert set(sources[0].sum_bytes.tolist()) == {2, 3}
    check(machine, tmp_path, sources, random_inputs(random, 60, inputs, 255), bits=24)


@pytest.mark.parametrize("classes", [8, 9, 20])
def test_scores_of_24_bits(machine: Make, tmp_path: Path, classes: int) -> None:
    random = np.random.default_rng(classes)
    sources = chain(random, (60, classes), "int8", share=0.9, sum_bits=24)
    assert sources[-1].sum_bytes.tolist() == [3] * classes
    check(machine, tmp_path, sources, random_inputs(random, 100, 60, 255), bits=24)


@pytest.mark.parametrize("shift", [16, 24])
def test_sums_of_24_bits_of_the_whole_range(machine: Make, tmp_path: Path, shift: int) -> None:
    random = np.random.default_rng(shift)
    outputs = 160
    weights = random.integers(-127, 128, (outputs, 2))
    bias = random.integers(-(2**23) + 2 * 255 * 127, 2**23 - 2 * 255 * 127, outputs) >> random.integers(0, 9, outputs)
    powers = 1 << random.integers(0, 16, outputs)
    multipliers = np.where(random.random(outputs) < 0.2, powers, random.integers(powers, 2 * powers))
    for top in (255, 63):
        source = Source(weights, bias, multipliers, shift, 255, 0, 2, np.ones(2), output_levels=top)
        assert set(source.sum_bytes.tolist()) == {2, 3}
        features = random.integers(0, 256, (120, 2)).astype(np.uint8)
        check(machine, tmp_path, [source, blind_scores(source)], features, bits=24)


def check_graph(make: Make, folder: Path, random: np.random.Generator, graph: Graph, count: int = 40) -> None:
    inputs = graph.ops[0].input_shape[-1]
    check(make, folder, sources_of(graph), random_inputs(random, count, inputs, graph.ops[0].source.high))


@pytest.mark.parametrize("way", REQUANTISERS)
@pytest.mark.parametrize("style", ["dense", "sparse", "few"])
def test_every_way_of_requantising_with_every_kind_of_weights(
    machine: Make, tmp_path: Path, style: str, way: str
) -> None:
    random = np.random.default_rng(len(style) * 100 + len(way))
    # Rotating needs sums that are small enough for a byte when shifted.
    most = {"rotated": 8000, "rotated far": 2000}.get(way, 32767)
    check_graph(machine, tmp_path, random, dense_graph(random, (36, 19, 10), style=style, way=way, most=most), 60)


@pytest.mark.parametrize(
    "sizes",
    [(1, 1, 1), (1, 1, 2), (2, 12, 12), (5, 13, 3), (64, 40, 10), (90, 24, 10), (150, 7, 12), (196, 11, 10)],
    ids=str,
)
def test_every_size_of_block_and_arena(machine: Make, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(sum(sizes))
    check_graph(machine, tmp_path, random, dense_graph(random, sizes, style="sparse" if sum(sizes) > 99 else "dense"))


@pytest.mark.parametrize("sizes", [(30, 10), (30, 14, 11, 10), (16, 25, 70, 12, 9)], ids=str)
def test_any_number_of_layers(machine: Make, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(len(sizes))
    check_graph(machine, tmp_path, random, dense_graph(random, sizes, style="few"))


@pytest.mark.parametrize("way", ["moved", "narrow", "wide"])
def test_activations_of_eight_bits_where_the_weights_are_small(machine: Make, tmp_path: Path, way: str) -> None:
    random = np.random.default_rng(8)
    check_graph(machine, tmp_path, random, dense_graph(random, (20, 15, 10), top=255, way=way), 60)


def test_weights_that_are_all_zero(machine: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    graph = dense_graph(random, (9, 4, 3))
    for op in graph.ops:
        op.rows.weights[:] = 0
    check_graph(machine, tmp_path, random, graph, 5)
