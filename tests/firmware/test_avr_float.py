"""Float layers on an ATmega2560, their numbers across its banks of flash, against their definition in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avr_machine import Answer, Call, Machine
from firmware_build import LIB
from float_definition import FloatConv, FloatDense, random_floats
from numpy.typing import NDArray

Make = Callable[..., Machine]
IN_FRONT = b"\x7f" * 5
SOURCES = tuple(LIB / f"nn/{name}.c" for name in ("nn_conv_float", "nn_dense_float", "nn_half"))
CYCLES = {"conv": 480, "dense": 450}
"""Of a product whose input is not zero, at most; docs/avr-kernels.md. A byte and a float32 of weights take less."""
PROGRAM = """
#include "nn.h"

extern const uint8_t blob[];
static const nn_{layer}_float stage NN_ROM = {{ {fields} }};
void layer(const void *in, float *out)
{{
    nn_{layer}_{types}(&stage, pgm_get_far_address(blob), in, out);
}}
"""


def run(make: Make, folder: Path, layer: FloatConv | FloatDense, values: NDArray[Any]) -> Answer:
    name = "conv" if isinstance(layer, FloatConv) else "dense"
    if isinstance(layer, FloatConv):
        fields = layer.fields(len(IN_FRONT))
    else:
        outputs, inputs = layer.weights.shape
        fields = {"rows": len(IN_FRONT), "inputs": inputs, "outputs": outputs, "relu": int(layer.relu)}
    types = f"{'f16' if layer.weights.dtype == np.float16 else 'f32'}_{'u8' if values.dtype == np.uint8 else 'f32'}"
    source = folder / "layer.c"
    text = ", ".join(f".{field} = {value}" for field, value in fields.items())
    source.write_text(PROGRAM.format(layer=name, types=types, fields=text))
    rom = IN_FRONT + layer.row_bytes
    options = {"mcu": "atmega2560", "blob_at": 0x10000 - len(rom) // 2, "room_bytes": 5000, "root": "layer"}
    chip = make(rom, sources=(*SOURCES, source), **options)
    expected = layer.run(values)
    out_at = chip.room + values.nbytes
    call = Call("layer", (chip.room, out_at), ((chip.room, values.tobytes()),), ((out_at, expected.nbytes),))
    answer = chip.run([call])[0]
    assert answer.memory[0].view("<u4").tolist() == expected.view(np.uint32).ravel().tolist()
    return answer


def met(layer: FloatConv, values: NDArray[Any]) -> int:
    """How often an output meets an input that is not zero."""
    padded = np.pad(values != 0, ((layer.padding[0], layer.padding[2]), (layer.padding[1], layer.padding[3]), (0, 0)))
    _, rows, columns, _ = layer.weights.shape
    height, width = layer.convolved
    return sum(int(padded[y : y + rows, x : x + columns].sum()) for y in range(height) for x in range(width))


@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("is_u8", [False, True])
def test_layers_across_the_banks_of_far_flash(machine: Make, tmp_path: Path, is_half: bool, is_u8: bool) -> None:
    random, kind = np.random.default_rng(1), np.float16 if is_half else np.float32
    weights = random.normal(0, 0.2, (6, 3, 3, 4)).astype(kind)
    bias = random.normal(0, 3, 6).astype(np.float32)
    conv = FloatConv((7, 6, 4), weights, bias, True, (1, 1), (1, 1, 0, 1), (2, 1))
    values = random_floats(random, conv.shape, is_u8)
    products = 6 * met(conv, values)
    cycles = run(machine, tmp_path, conv, values).cycles
    assert cycles < CYCLES["conv"] * products
    dense = FloatDense(random.normal(0, 0.2, (10, 200)).astype(kind), random.normal(0, 3, 10).astype(np.float32), False)
    values = random_floats(random, (200,), is_u8)
    cycles = run(machine, tmp_path, dense, values).cycles
    assert cycles < CYCLES["dense"] * 10 * np.count_nonzero(values)
