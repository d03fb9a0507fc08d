"""Dense layers in pieces, whose sums pass 24 bits: the driver and the patch kernels against unbounded integers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from avr_blocks import PATCH_KERNELS, SUM_BITS, block_sizes, blocks_text, long_bytes, piece_shapes
from avr_machine import AVR, Answer, Call, Machine
from nn_stages import FORMATS, dense_expected, dense_fields, random_map
from numpy.typing import NDArray

from host.compile.kernels.avr_patch import unpacking_cycles
from host.quantise.ops import Codes, Dense, Rows
from host.quantise.requantisers import HalfUp

Make = Callable[..., Machine]
STACK_BYTES, RETURN_ADDRESS_BYTES = 138, 2
IN_FRONT = 7
"""Bytes before the layer's own numbers."""
PROGRAM = """
#include "avr/nn_avr.h"

extern const uint8_t blob[];
static const nn_avr_long stage NN_ROM = {{
    .rows = {rows}, .pieces = {pieces}, .shift = {shift}, .top = {top}, .blocks = {blocks},
}};
void layer(const uint8_t *in, void *out)
{{
    nn_avr_long_{kind}(&stage, {numbers}, in, out);
}}
"""


def run(
    make: Make,
    folder: Path,
    layer: Dense,
    x: NDArray[np.uint8],
    shapes: list[tuple[int, int]] | None = None,
    mcu: str = "atmega328p",
) -> Answer:
    """The layer's answer, which must be the definition's."""
    shapes = shapes or pieces_of(layer)
    is_far, is_scores = mcu == "atmega2560", layer.rows.requantiser is None
    fields, source = dense_fields(layer, IN_FRONT), folder / "layer.c"
    source.write_text(
        PROGRAM.format(
            rows=IN_FRONT,
            pieces=len(shapes),
            shift=fields["shift"],
            top=fields["top"],
            blocks=blocks_text(layer.rows.outputs, fields["bits"], PATCH_KERNELS[fields["bits"]]),
            kind="scores" if is_scores else "hidden",
            numbers="pgm_get_far_address(blob)" if is_far else "blob",
        )
    )
    options = {"mcu": mcu, "blob_at": 0xFF80, "room_bytes": 6500} if is_far else {}
    rom = b"\x7f" * IN_FRONT + long_bytes(layer, shapes)
    chip = make(rom, sources=(AVR / "nn_avr_long.c", source), root="layer", **options)
    length = layer.rows.outputs * (4 if is_scores else 1)
    out_at = chip.room + len(x)
    memory = ((chip.room, x.tobytes()), (out_at, b"\xa5" * (length + 2)))
    answer = chip.run([Call("layer", (chip.room, out_at), memory, ((out_at, length), (out_at + length, 2)))])[0]
    assert answer.memory[1].tolist() == [0xA5, 0xA5], "wrote past its outputs"
    assert answer.memory[0].view("<i4" if is_scores else np.uint8).tolist() == dense_expected(layer, x)
    return answer


def cycles(layer: Dense, x: NDArray[np.uint8], shapes: list[tuple[int, int]]) -> int:
    """docs/avr-kernels.md: each block's patches as their routine's header has them, and the C around them."""
    is_hidden, bits = layer.rows.requantiser is not None, layer.rows.format.bits
    total = 292 if is_hidden else 272
    for size in block_sizes(layer.rows.outputs):
        total += 207 + 26 * size + (71 + 46 * size if is_hidden else 0)
        at, weight_bytes = 0, -(-size * bits // 8)
        for rows, run in shapes:
            part = x[at : at + rows * run].reshape(rows, run)
            zero, ends = int(np.count_nonzero(part == 0)), int(np.count_nonzero(part[:, -1] == 0))
            once = 124 + 18 * size + 27 * rows + 2 * ends + unpacking_cycles(size, bits)
            total += once + (part.size - zero) * (11 + 2 * weight_bytes + 6 * size) + 9 * zero
            total += 82 + 32 * size
            at += rows * run
    return total


def pieces_of(layer: Dense) -> list[tuple[int, int]]:
    return piece_shapes(layer.rows.weights, 255, layer.rows.format.bits)


def layer_of(
    weights: NDArray[np.int64], bias: NDArray[np.int64], rule: HalfUp | None, bits: int, top: int = 255
) -> Dense:
    rows = Rows(FORMATS[bits], weights.astype(np.int8), bias.astype(np.int32), rule, Codes(top))
    return Dense(weights.shape[1:], rows)


def random_layer(
    random: np.random.Generator, inputs: int, outputs: int, bits: int, *, is_scores: bool, top: int = 255
) -> Dense:
    most = 2 ** (bits - 1) - 1
    weights = random.integers(-most, most + 1, (outputs, inputs))
    if is_scores:
        return layer_of(weights, random.integers(-(2**26), 2**26, outputs), None, bits, top)
    shift = int(random.choice([16, 24]))
    typical = 2.0**18 + 100 * most * np.sqrt(inputs)
    multipliers = np.clip(random.uniform(0.3, 3, outputs) * top / typical * 2.0**shift, 1, 65535).astype(np.uint16)
    return layer_of(weights, random.integers(-(2**18), 2**18, outputs), HalfUp(multipliers, shift), bits, top)


@pytest.mark.parametrize("bits", SUM_BITS)
@pytest.mark.parametrize("is_scores", [False, True])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (254, 7), (255, 2), (256, 6), (769, 13), (1400, 10)])
def test_any_layer(machine: Make, tmp_path: Path, inputs: int, outputs: int, bits: int, is_scores: bool) -> None:
    random = np.random.default_rng(inputs + bits)
    layer = random_layer(random, inputs, outputs, bits, is_scores=is_scores, top=int(random.choice([255, 63, 15])))
    x, shapes = random_map(random, (inputs,)), pieces_of(layer)
    answer = run(machine, tmp_path, layer, x, shapes)
    slack = 10 if is_scores else 30 * outputs + 10  # an activation's depend on its sum
    assert abs(answer.cycles - cycles(layer, x, shapes)) <= slack
    assert answer.stack <= STACK_BYTES + RETURN_ADDRESS_BYTES


@pytest.mark.parametrize("bits", SUM_BITS)
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_as_large_as_they_come(machine: Make, tmp_path: Path, bits: int, sign: int) -> None:
    """All weights and inputs at their ends: pieces of 255 inputs each come near what a patch's sum can be."""
    inputs, most = 1300, sign * (2 ** (bits - 1) - 1)
    x = np.full(inputs, 255, np.uint8)
    weights, bias = np.full((3, inputs), most), np.array([-most * 1000, 0, sign * 2**30])
    run(machine, tmp_path, layer_of(weights, bias, None, bits), x)
    for multiplier, shift in ((1, 24), (200, 24), (65535, 24), (65535, 16)):
        rule = HalfUp(np.full(3, multiplier, np.uint16), shift)
        run(machine, tmp_path, layer_of(weights, bias, rule, bits), x)


def test_pieces_of_any_shape(machine: Make, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    layer = random_layer(random, 1 + 12 * 5 + 255 + 2 * 100 + 3, 8, 8, is_scores=True)
    run(machine, tmp_path, layer, random_map(random, (519,)), [(1, 1), (12, 5), (1, 255), (2, 100), (3, 1)])


@pytest.mark.parametrize("bits", SUM_BITS)
@pytest.mark.parametrize("is_scores", [False, True])
def test_a_layer_as_wide_as_a_large_map_in_far_flash(machine: Make, tmp_path: Path, bits: int, is_scores: bool) -> None:
    """5,408 inputs of an ATmega2560, whose numbers lie across its banks of 64 KiB."""
    random = np.random.default_rng(bits)
    layer = random_layer(random, 5408, 10, bits, is_scores=is_scores)
    x = random_map(random, (5408,), 0.5)
    shapes = pieces_of(layer)
    answer = run(machine, tmp_path, layer, x, shapes, "atmega2560")
    assert answer.cycles < 6.3 * layer.rows.weights.size
