"""Float layers on an ATmega2560, their numbers across its banks of flash, against their definition in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avr_machine import Answer, Call, Machine
from definition import run_op
from firmware_build import LIB
from nn_stages import (
    IN_FRONT,
    conv_fields,
    dense_fields,
    from_memory,
    in_memory,
    numbers_of,
    random_float_rows,
    random_floats,
    random_map,
)
from numpy.typing import NDArray

from host.quantise.ops import Codes, Conv, Dense

Make = Callable[..., Machine]
SOURCES = tuple(LIB / f"nn/{name}.c" for name in ("nn_conv_float", "nn_dense_float", "nn_half"))
CYCLES = {"conv": 515, "dense": 450}
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


def run(make: Make, folder: Path, layer: Conv | Dense, values: NDArray[Any]) -> Answer:
    is_conv = isinstance(layer, Conv)
    fields = (conv_fields if is_conv else dense_fields)(layer, len(IN_FRONT))
    types = f"f{layer.rows.format.bits}_{'u8' if values.dtype == np.uint8 else 'f32'}"
    source = folder / "layer.c"
    text = ", ".join(f".{field} = {value}" for field, value in fields.items())
    source.write_text(PROGRAM.format(layer="conv" if is_conv else "dense", types=types, fields=text))
    rom = numbers_of(layer)[0].tobytes()
    options = {"mcu": "atmega2560", "blob_at": 0x10000 - len(rom) // 2, "room_bytes": 5000, "root": "layer"}
    chip = make(rom, sources=(*SOURCES, source), **options)
    given, expected = in_memory(values) if is_conv else values, run_op(layer, values)
    out_at = chip.room + values.nbytes
    call = Call("layer", (chip.room, out_at), ((chip.room, given.tobytes()),), ((out_at, expected.nbytes),))
    answer = chip.run([call])[0]
    found = answer.memory[0].view("<u4")
    found = from_memory(found, expected.shape) if is_conv else found
    assert np.array_equal(found, expected.view(np.uint32))
    return answer


def met(layer: Conv, values: NDArray[Any]) -> int:
    """How often an output meets an input that is not zero."""
    top, left, bottom, right = layer.pads
    padded = np.pad(values != 0, ((0, 0), (top, bottom), (left, right)))
    (rows, columns), (height, width) = layer.kernel, layer.convolved
    return sum(int(padded[:, y : y + rows, x : x + columns].sum()) for y in range(height) for x in range(width))


@pytest.mark.parametrize("is_half", [False, True])
@pytest.mark.parametrize("is_u8", [False, True])
def test_layers_across_the_banks_of_far_flash(machine: Make, tmp_path: Path, is_half: bool, is_u8: bool) -> None:
    random, draw = np.random.default_rng(1), random_map if is_u8 else random_floats
    source = Codes(is_float=not is_u8)
    conv_rows = random_float_rows(random, (6, 4, 3, 3), is_half, relu=True)
    conv = Conv((4, 7, 6), conv_rows, source, pads=(1, 1, 0, 1), pool=(2, 1))
    values = draw(random, conv.input_shape)
    assert run(machine, tmp_path, conv, values).cycles < CYCLES["conv"] * 6 * met(conv, values)
    dense = Dense((200,), random_float_rows(random, (10, 200), is_half, relu=False), source)
    values = draw(random, (200,))
    assert run(machine, tmp_path, dense, values).cycles < CYCLES["dense"] * 10 * np.count_nonzero(values)
