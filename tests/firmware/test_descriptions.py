"""What READY's CRC is over lies in flash as the host says: each description's fields, in either compiler's struct."""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from firmware_build import CORE_FLAGS, LIB, compile_c
from given_networks import GIVEN, given_network
from graphs import dense_graph
from needed import need
from networks import LAYERS, network_of

from host.compile.boards import BOARDS
from host.compile.export import Export
from host.compile.render import write_headers
from host.compile.select import choose
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.quantise.lower import lower

INT8, TERNARY, FLOAT32 = WeightFormat.INT8, WeightFormat.TERNARY, WeightFormat.FLOAT32
SAYING = """
#include "app_net.c"
#include <stdio.h>

int main(void)
{
    for (int i = 0; i < MODEL_DESCRIPTIONS; i++) {
        for (int at = 0; at < model_descriptions[i].bytes; at++)
            printf("%02x", ((const uint8_t *)model_descriptions[i].at)[at]);
        printf(" ");
    }
    printf("%08lx", (unsigned long)app_net_weights_crc());
    return 0;
}
"""


NETS = {
    "dense": ((Flatten(), Dense(20), ReLU()), INT8),
    "front end": ((*preconv_layers(63), Conv2d(4, 3), ReLU(), MaxPool2d(), Flatten(), Dense(12), ReLU()), INT8),
    "front end, ternary": ((*preconv_layers(63), Conv2d(4, 3), ReLU(), Flatten(), Dense(12), ReLU()), TERNARY),
    "front end, floats": ((*preconv_layers(63), Conv2d(4, 3), ReLU(), Flatten(), Dense(12), ReLU()), FLOAT32),
    "separable": (LAYERS["separable"], INT8),
    "pools": (LAYERS["pools"], INT8),
    "pools, ternary": (LAYERS["pools"], TERNARY),
    "pools, floats": (LAYERS["pools"], FLOAT32),
    "wide, ternary": ((Conv2d(16, 3, padding=1), ReLU(), MaxPool2d(), Flatten(), Dense(12), ReLU()), TERNARY),
    "in turns": (
        (*(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(24, 3), ReLU(), MaxPool2d(), Flatten()),),
        INT8,
    ),
}
WHOLE = [*(name for name in NETS if "floats" not in name), *GIVEN]
PORTABLE_TYPES = {
    *("nn_front_end", "nn_conv_i8", "nn_dense", "nn_pool", "nn_conv_float", "nn_dense_float"),
    *("nn_conv_affine", "nn_dense_affine"),
}
AVR_TYPES = {
    *("nn_avr_front_end", "nn_avr_called", "nn_avr_conv", "nn_avr_dense", "nn_avr_long"),
    *("nn_avr_affine_conv", "nn_avr_affine_dense"),
}


def export_of(name: str, kernel: str) -> Export:
    if name in GIVEN:
        return choose(lower(given_network(GIVEN[name])), BOARDS["uno"], kernel)
    layers, fmt = NETS[name]
    network = network_of(layers, side=28 if name == "in turns" else 16)
    return choose(lower(network, fmt, top=63 if "front end" in name else 255), BOARDS["uno"], kernel)


def long_export() -> Export:
    """A layer whose sums pass 24 bits."""
    graph = dense_graph(np.random.default_rng(4), (100, 6, 3), top=255)
    graph.ops[0].rows.bias[2] = -(2**29)
    return choose(graph, BOARDS["uno"], "asm")


def types(exports: list[Export]) -> set[str]:
    return {each.ctype for export in exports for program in export.programs for _, each in program.described}


@pytest.mark.parametrize("name", [*NETS, *GIVEN])
def test_on_this_machine(cc: str, tmp_path: Path, name: str) -> None:
    export = export_of(name, "portable")
    write_headers(export, tmp_path)
    source, program = tmp_path / "say.c", tmp_path / "say"
    source.write_text(SAYING)
    sources = [source, LIB / "wire/wire_crc.c", *(LIB / "nn").glob("*.c")]
    compile_c([cc, *CORE_FLAGS, f"-I{tmp_path}", *sources, "-o", program])
    *found, crc = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    expected = [description.bytes for _, description in export.portable.described]
    assert [bytes.fromhex(text) for text in found] == expected and len(expected) > 1
    assert int(crc, 16) == export.portable.crc == zlib.crc32(b"".join(expected), zlib.crc32(export.portable.rom))


@pytest.mark.parametrize("name", [*WHOLE, "long"])
def test_on_an_avr(tmp_path: Path, name: str) -> None:
    export = long_export() if name == "long" else export_of(name, "asm")
    assert export.avr is not None
    write_headers(export, tmp_path)
    found = in_flash(tmp_path)
    listed = found.pop("model_descriptions")
    sizes = [len(description.bytes) for _, description in export.avr.described]
    assert list(listed[2::3]) == sizes  # behind each address of 16 bits
    assert len(found) == len(sizes)
    for index, description in export.avr.described:
        in_struct = found[f"model_stage{index}"]
        assert in_struct.startswith(description.bytes)
        # What is left are the addresses of routines, which the linker fills in.
        assert in_struct[len(description.bytes) :] == bytes(2 * len(description.routines))


def in_flash(folder: Path) -> dict[str, bytes]:
    """The stages' objects in flash by name, as the compiler lays them out."""
    compiler, into = need("avr-gcc", "gcc-avr"), folder / "app_net.o"
    includes = [f"-I{folder}", f"-I{LIB / 'nn'}", f"-I{LIB / 'wire'}"]
    compile_c([compiler, "-mmcu=atmega328p", "-Os", *includes, "-c", LIB / "app/app_net.c", "-o", into])
    with into.open("rb") as file:
        elf = ELFFile(file)
        found = {}
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            if symbol.name.startswith(("model_stage", "model_descriptions")):
                section = elf.get_section(symbol["st_shndx"])
                assert section.name.startswith(".progmem"), symbol.name
                found[symbol.name] = section.data()[symbol["st_value"] :][: symbol["st_size"]]
        return found


def test_every_type_of_description_is_among_them() -> None:
    portable = [export_of(name, "portable") for name in (*NETS, *GIVEN)]
    assert types(portable) == PORTABLE_TYPES
    found = types([*(export_of(name, "asm") for name in WHOLE), long_export()])
    assert found >= AVR_TYPES
