"""The portable kernels compiled by avr-gcc and run in simavr answer like the PC's, bit for bit, floats included."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from firmware_build import CORE_FLAGS, CORE_SOURCES, compile_c, need
from float_definition import row_bytes
from patience import LIMIT_S

HERE = Path(__file__).parent
NN_SOURCES = [path for path in CORE_SOURCES if path.parent.name == "nn"]
LINE = re.compile(r"[fhiHFECPR0-9]*[0-9a-f]+\.")


def c_array(ctype: str, name: str, numbers: list[str]) -> str:
    return f"static const {ctype} {name}[] NN_ROM = {{{', '.join(numbers)}}};\n"


def row_literals(random: np.random.Generator, rows: int, inputs: int, kind: type) -> list[str]:
    """The bytes of a float layer's numbers."""
    weights, bias = random.normal(0, 0.2, (rows, inputs)), random.normal(0, 3, rows)
    return [str(byte) for byte in row_bytes(weights.astype(kind), bias.astype(np.float32))]


def dense_literals(random: np.random.Generator, rows: int, inputs: int, *, scores: bool) -> list[str]:
    """The bytes of an integer layer's numbers."""
    head = [("bias", "<i4")] + ([] if scores else [("multiplier", "<u2")])
    numbers = np.zeros(rows, np.dtype([*head, ("weights", "i1", inputs)]))
    numbers["bias"] = random.integers(-9000, 9000, rows)
    if not scores:
        numbers["multiplier"] = random.integers(50, 200, rows)
    numbers["weights"] = random.integers(-127, 128, (rows, inputs))
    return [str(byte) for byte in numbers.tobytes()]


def vectors() -> str:
    random = np.random.default_rng(2026)
    return "".join(
        [
            c_array("uint8_t", "hidden_rows", dense_literals(random, 20, 64, scores=False)),
            c_array("uint8_t", "score_rows", dense_literals(random, 10, 20, scores=True)),
            c_array("uint8_t", "first_rows", row_literals(random, 3, 15, np.float16)),
            c_array("uint8_t", "half_rows", row_literals(random, 10, 12, np.float16)),
            c_array("uint8_t", "float_rows", row_literals(random, 10, 12, np.float32)),
        ]
    )


@pytest.mark.parametrize("optimisation", ["-Os", "-O2"])
def test_avr_and_pc_agree(cc: str, tmp_path: Path, optimisation: str) -> None:
    avr_gcc, simavr = need("avr-gcc", "gcc-avr avr-libc"), need("simavr", "simavr")
    (tmp_path / "vectors.h").write_text(vectors())
    sources = ["-ffunction-sections", "-Wl,--gc-sections", f"-I{tmp_path}", HERE / "avr_twin.c", *NN_SOURCES]
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
