"""Convolutions over the assembly kernels, drivers and all, against their slow definition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avr_blocks import PATCH_KERNELS, block_bytes, blocks_text
from avr_machine import AVR, Answer, Call, Machine
from definition import run_op
from firmware_build import LIB
from nn_stages import IN_FRONT, SQUARE, conv_fields, from_memory, in_memory, random_conv, random_map

from host.quantise.ops import Conv

Make = Callable[..., Machine]
SOURCES = (AVR / "nn_avr_conv.c", LIB / "nn/nn_walk.c")
STACK_BYTES = 240
"""Of two in turns, without what link-time optimisation saves; tests/analysis/test_stack.py bounds the whole program."""
PROGRAM = """
#include "avr/nn_avr.h"

extern const uint8_t blob[];
static const nn_avr_conv stages[] NN_ROM = {{
    {stages}
}};
void layer(const uint8_t *in, uint8_t *between, uint8_t *out)
{{
    (void)between;
    {call}
}}
"""


def stage_text(layer: Conv, rows: int, **options: Any) -> str:
    fields = ", ".join(f".{name} = {value}" for name, value in conv_fields(layer, rows, **options).items())
    bits = layer.rows.format.bits
    kernel = "nn_avr_depth24" if layer.groups > 1 else PATCH_KERNELS[bits]
    return f"{{ .layer = {{ {fields} }}, .blocks = {blocks_text(layer.rows.outputs, bits, kernel)} }},"


def run(make: Make, folder: Path, layers: list[Conv], **options: Any) -> Answer:
    """One layer, or two in turns; random inputs, whose outputs must be the definition's."""
    stages, rom = [], IN_FRONT
    for layer in layers:
        stages.append(stage_text(layer, len(rom), **options))
        rom += block_bytes(layer)
    kind = "depth" if any(layer.groups > 1 for layer in layers) else "conv"
    call = f"nn_avr_{kind}_run(stages, NN_FAR(blob), in, out);" if len(layers) == 1 else ""
    call = call or f"nn_avr_{kind}_pair(stages, stages + 1, NN_FAR(blob), in, between, out);"
    source = folder / "layer.c"
    source.write_text(PROGRAM.format(stages="\n    ".join(stages), call=call))
    chip = make(rom, sources=(*SOURCES, source), root="layer")
    values = random_map(np.random.default_rng(1), layers[0].input_shape)
    expected = values
    for layer in layers:
        expected = run_op(layer, expected)
    rows = 0
    if len(layers) == 2:
        channels, _, width = layers[1].input_shape
        rows = layers[1].kernel[0] * width * channels
    between_at = chip.room + values.size
    out_at = between_at + rows
    memory = ((chip.room, in_memory(values).tobytes()), (out_at, b"\xa5" * (expected.size + 2)))
    wanted = ((out_at, expected.size), (out_at + expected.size, 2))
    answer = chip.run([Call("layer", (chip.room, between_at, out_at), memory, wanted)])[0]
    assert np.array_equal(from_memory(answer.memory[0], expected.shape), expected)
    assert answer.memory[1].tolist() == [0xA5, 0xA5], "wrote past its outputs"
    assert answer.stack <= STACK_BYTES
    return answer


SHAPES: dict[str, dict[str, Any]] = {
    "square": {"kernel": (3, 3), "pads": (1, 1, 1, 1), "pool": (2, 2)},
    "wide": {"kernel": (2, 5), "pads": (1, 4, 0, 2), "strides": (1, 2)},
    "tall": {"kernel": (4, 1), "pads": (0, 0, 3, 0), "strides": (2, 1), "pool": (1, 3)},
    "one row": {"kernel": (1, 4), "pool": (3, 1), "pads": (0, 2, 0, 0)},
}


@pytest.mark.parametrize("bits", PATCH_KERNELS)
@pytest.mark.parametrize("kind", SHAPES)
def test_any_shape_and_width_of_weights(machine: Make, tmp_path: Path, kind: str, bits: int) -> None:
    random = np.random.default_rng(bits)
    top = int(random.choice([255, 63, 15]))
    run(machine, tmp_path, [random_conv(random, (3, 9, 8), 10, bits=bits, top=top, **SHAPES[kind])])


def test_what_a_square_layer_leaves_out(machine: Make, tmp_path: Path) -> None:
    layer = random_conv(np.random.default_rng(3), (1, 9, 8), 8, **SHAPES["square"])
    run(machine, tmp_path, [layer], left_out=(*SQUARE, "top"))


def test_from_the_last_row_on(machine: Make, tmp_path: Path) -> None:
    run(machine, tmp_path, [random_conv(np.random.default_rng(4), (2, 9, 8), 7, **SHAPES["wide"])], backward=1)


@pytest.mark.parametrize("kind", SHAPES)
def test_depthwise(machine: Make, tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(5)
    run(machine, tmp_path, [random_conv(random, (7, 9, 8), 7, groups=7, top=31, **SHAPES[kind])])


@pytest.mark.parametrize("kinds", [("square", "wide"), ("wide", "square"), ("tall", "one row")], ids=str)
@pytest.mark.parametrize("is_depthwise", [False, True])
def test_two_in_turns(machine: Make, tmp_path: Path, kinds: tuple[str, str], is_depthwise: bool) -> None:
    random = np.random.default_rng(6)
    first = random_conv(random, (2, 12, 11), 5, **SHAPES[kinds[0]])
    groups = 5 if is_depthwise else 1
    run(machine, tmp_path, [first, random_conv(random, first.output_shape, 5, groups=groups, **SHAPES[kinds[1]])])
