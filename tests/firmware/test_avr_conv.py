"""Convolutions over the assembly kernels, drivers and all, against their slow definition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avr_machine import AVR, Answer, Call, Machine
from conv_definition import Conv, block_bytes, random_conv, random_map
from dense_layout import PATCH_KERNELS, blocks_text
from firmware_build import LIB

Make = Callable[..., Machine]
IN_FRONT = b"\x7f" * 5
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
    fields = ", ".join(f".{name} = {value}" for name, value in layer.fields(rows, **options).items())
    kernel = "nn_avr_depth24" if layer.groups > 1 else PATCH_KERNELS[layer.bits]
    return f"{{ .layer = {{ {fields} }}, .blocks = {blocks_text(len(layer.bias), layer.bits, kernel)} }},"


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
    values = random_map(np.random.default_rng(1), layers[0].shape)
    expected = values
    for layer in layers:
        expected = layer.run(expected)
    rows = layers[1].weights.shape[1] * int(np.prod(layers[1].shape[1:])) if len(layers) == 2 else 0
    between_at = chip.room + values.size
    out_at = between_at + rows
    memory = ((chip.room, values.tobytes()), (out_at, b"\xa5" * (expected.size + 2)))
    wanted = ((out_at, expected.size), (out_at + expected.size, 2))
    answer = chip.run([Call("layer", (chip.room, between_at, out_at), memory, wanted)])[0]
    assert np.array_equal(answer.memory[0].reshape(expected.shape), expected)
    assert answer.memory[1].tolist() == [0xA5, 0xA5], "wrote past its outputs"
    assert answer.stack <= STACK_BYTES
    return answer


SHAPES: dict[str, dict[str, Any]] = {
    "square": {"kernel": (3, 3), "padding": (1, 1, 1, 1), "pool": (2, 2)},
    "wide": {"kernel": (2, 5), "padding": (1, 4, 0, 2), "stride": (1, 2)},
    "tall": {"kernel": (4, 1), "padding": (0, 0, 3, 0), "stride": (2, 1), "pool": (1, 3)},
    "one row": {"kernel": (1, 4), "pool": (3, 1), "padding": (0, 2, 0, 0)},
}


@pytest.mark.parametrize("bits", PATCH_KERNELS)
@pytest.mark.parametrize("kind", SHAPES)
def test_any_shape_and_width_of_weights(machine: Make, tmp_path: Path, kind: str, bits: int) -> None:
    random = np.random.default_rng(bits)
    top = int(random.choice([255, 63, 15]))
    run(machine, tmp_path, [random_conv(random, (9, 8, 3), 10, bits=bits, top=top, **SHAPES[kind])])


def test_what_a_square_layer_leaves_out(machine: Make, tmp_path: Path) -> None:
    layer = random_conv(np.random.default_rng(3), (9, 8, 1), 8, **SHAPES["square"])
    run(machine, tmp_path, [layer], is_terse=True)


def test_from_the_last_row_on(machine: Make, tmp_path: Path) -> None:
    run(machine, tmp_path, [random_conv(np.random.default_rng(4), (9, 8, 2), 7, **SHAPES["wide"])], backward=1)


@pytest.mark.parametrize("kind", SHAPES)
def test_depthwise(machine: Make, tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(5)
    run(machine, tmp_path, [random_conv(random, (9, 8, 7), 7, groups=7, top=31, **SHAPES[kind])])


@pytest.mark.parametrize("kinds", [("square", "wide"), ("wide", "square"), ("tall", "one row")], ids=str)
@pytest.mark.parametrize("is_depthwise", [False, True])
def test_two_in_turns(machine: Make, tmp_path: Path, kinds: tuple[str, str], is_depthwise: bool) -> None:
    random = np.random.default_rng(6)
    first = random_conv(random, (12, 11, 2), 5, **SHAPES[kinds[0]])
    groups = 5 if is_depthwise else 1
    run(machine, tmp_path, [first, random_conv(random, first.out_shape, 5, groups=groups, **SHAPES[kinds[1]])])
