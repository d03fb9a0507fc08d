"""The portable kernels compiled by avr-gcc and run in simavr answer like the PC's, bit for bit, floats included."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from firmware_build import CORE_FLAGS, CORE_SOURCES, compile_c
from needed import need
from nn_stages import random_float_rows, random_rows, rom_of
from patience import LIMIT_S

from host.quantise.ops import Dense, Rows
from host.quantise.requantisers import HalfUp

HERE = Path(__file__).parent
NN_SOURCES = [path for path in CORE_SOURCES if path.parent.name == "nn"]
LINE = re.compile(r"[fhiHFECPR0-9]*[0-9a-f]+\.")


def c_array(ctype: str, name: str, numbers: list[str]) -> str:
    return f"static const {ctype} {name}[] NN_ROM = {{{', '.join(numbers)}}};\n"


def literals(rows: Rows) -> list[str]:
    """The bytes of a layer's numbers."""
    return [str(byte) for byte in rom_of(Dense(rows.weights.shape[1:], rows))]


def vectors() -> str:
    random = np.random.default_rng(2026)
    hidden = replace(
        random_rows(random, (20, 64)), requantiser=HalfUp(random.integers(50, 200, 20).astype(np.uint16), 16)
    )
    layers = {
        "hidden_rows": hidden,
        "score_rows": random_rows(random, (10, 20), scores=True),
        "first_rows": random_float_rows(random, (3, 15), is_half=True, relu=False),
        "half_rows": random_float_rows(random, (10, 12), is_half=True, relu=False),
        "float_rows": random_float_rows(random, (10, 12), is_half=False, relu=False),
    }
    return "".join(c_array("uint8_t", name, literals(rows)) for name, rows in layers.items())


@pytest.mark.parametrize("optimisation", ["-Os", "-O2"])
def test_avr_and_pc_agree(cc: str, tmp_path: Path, optimisation: str) -> None:
    avr_gcc, simavr = need("avr-gcc", "gcc-avr avr-libc"), need("simavr", "simavr")
    (tmp_path / "vectors.h").write_text(vectors())
    sources = ["-ffunction-sections", "-Wl,--gc-sections", f"-I{tmp_path}", HERE / "avr_vectors.c", *NN_SOURCES]
    compile_c([cc, "-O2", *CORE_FLAGS, *sources, "-o", tmp_path / "pc"])
    compile_c([avr_gcc, optimisation, "-mmcu=atmega328p", *CORE_FLAGS, *sources, "-lm", "-o", tmp_path / "avr.elf"])
    on_pc = subprocess.run([tmp_path / "pc"], capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
    on_avr = subprocess.run(
        [simavr, "-m", "atmega328p", "-f", "16000000", tmp_path / "avr.elf"],
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    # simavr prints the line's text in colour, each line ended by a dot of its own.
    text = re.sub(r"\x1b\[[0-9;]*m", "", (on_avr.stdout + on_avr.stderr).decode("latin-1"))
    expected = on_pc.split()
    assert len(expected) > 300
    got = [word.rstrip(".") + "." for word in LINE.findall(text)]
    assert got == expected
