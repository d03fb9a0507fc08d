"""The host's machine code of compiled weights against what avr-gcc assembles and links."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from graphs import REQUANTISERS, dense_graph
from needed import need
from unrolled_chains import LARGEST, assembly, chain

from host.compile.boards import ATMEGA328P
from host.compile.export import Export
from host.compile.kernels.code import DenseCode
from host.compile.kernels.kinds import ASSEMBLY
from host.compile.kernels.unrolled import encode as avr_encode
from host.compile.kernels.unrolled.avr_ops import Op, words
from host.compile.kernels.unrolled.compiler import unroll
from host.compile.kernels.unrolled.encode import machine_code
from host.compile.program import make_program
from host.compile.render import render
from host.compile.select import plain, tile
from host.modelfile import file as model_file
from host.nn.formats import NARROW_TOP
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.quantise.ops import Dense

Assemble = Callable[[str], bytes]

FORMS = {
    # Instruction → the operands it is tried with.
    **dict.fromkeys(avr_encode._TWO_REGISTERS, [f"r{a}, r{b}" for a in (0, 7, 16, 31) for b in range(32)]),
    **dict.fromkeys([*avr_encode._ALIASES, *avr_encode._ONE_REGISTER], [f"r{a}" for a in range(32)]),
    **dict.fromkeys(
        avr_encode._IMMEDIATE, [f"r{a}, {k}" for a in range(16, 32) for k in (0, 1, 15, 16, 127, 128, 255)]
    ),
    **dict.fromkeys(avr_encode._PAIR_IMMEDIATE, [f"r{a}, {k}" for a in (24, 26, 28, 30) for k in range(64)]),
    **dict.fromkeys(avr_encode._BRANCHES, [".+0", ".+2", ".+4", ".+126"]),
    "movw": [f"r{a}, r{b}" for a in range(0, 32, 2) for b in range(0, 32, 2)],
    "sbrc": [f"r{a}, {k}" for a in range(32) for k in range(8)],
    "ldd": [f"r{a}, Z+{k}" for a in (0, 15, 16, 31) for k in range(64)],
    "std": [f"Z+{k}, r{a}" for a in (0, 15, 16, 31) for k in range(64)],
    "st": [f"Z+, r{a}" for a in range(32)],
    "ret": [""],
}


@pytest.fixture
def assemble(tmp_path: Path) -> Assemble:
    """`assemble(text)` is the code that avr-gcc makes and links of assembly that defines model_dense."""
    compiler, objcopy = need("avr-gcc", "gcc-avr"), need("avr-objcopy", "binutils-avr")

    def run(text: str) -> bytes:
        source, elf, raw = tmp_path / "code.S", tmp_path / "code.elf", tmp_path / "code.bin"
        source.write_text(text)
        link = ["-nostdlib", "-Wl,-e,model_dense", "-Wl,-u,model_dense"]
        for command in (
            [compiler, "-mmcu=atmega328p", *link, source, "-o", elf],
            [objcopy, "-O", "binary", "-j", ".text", elf, raw],
        ):
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            assert result.returncode == 0, result.stderr
        return raw.read_bytes()

    return run


def check(assemble: Assemble, graph: Graph) -> set[str]:
    """Compares the code of all dense ops; the instructions that the routine uses."""
    first = next(at for at, op in enumerate(graph.ops) if isinstance(op, Dense))
    before = tile(graph, ATMEGA328P, (ASSEMBLY,))[:first]
    program = make_program(
        graph, ATMEGA328P, [*before, (DenseCode(), graph.ops[first:])], keep_image=bool(before), pair=None
    )
    unrolled = program.steps[-1].packed.fields["code"]
    text = render(Export(plain(graph).portable, program))["model_code.S"]
    assert assemble(text) == unrolled.machine_code == program.rom
    assert len(unrolled.machine_code) == 2 * sum(words(part.ops) for part in unrolled.parts)
    return {op.text.split()[0] for part in unrolled.parts for op in part.ops if not op.text.endswith(":")}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_with_every_operand_that_matters(assemble: Assemble, name: str) -> None:
    lines = [f"{name} {operands}".strip() for operands in FORMS[name]]
    text = "\n".join([".section .text.model_dense", ".global model_dense", "model_dense:", *lines, ""])
    assert assemble(text) == machine_code(Op(line) for line in lines)


@pytest.mark.parametrize("distance", [-64, -2, -1, 0, 1, 63])
def test_branches_to_labels_either_way(assemble: Assemble, distance: int) -> None:
    for name in avr_encode._BRANCHES:
        ops = [Op("movw r26, r24")] * 140
        ops[70] = Op(f"{name} .Ltarget")
        ops.insert(71 + distance, Op(".Ltarget:", 0, 0))
        lines = [op.text for op in ops]
        text = "\n".join([".section .text.model_dense", ".global model_dense", "model_dense:", *lines, ""])
        assert assemble(text) == machine_code(ops)


def test_half_words_of_either_sign(assemble: Assemble) -> None:
    ops = [
        Op(f"{name} r{to}, {half}({value})")
        for value in (0, 1, 255, 256, 32767, 65535, -1, -64, -300, "--64", "--300")
        for name, to, half in (("ldi", 27, "lo8"), ("ldi", 16, "hi8"), ("subi", 30, "lo8"), ("sbci", 31, "hi8"))
    ]
    lines = [op.text for op in ops]
    text = "\n".join([".section .text.model_dense", ".global model_dense", "model_dense:", *lines, ""])
    assert assemble(text) == machine_code(ops)


def test_nets_of_many_kinds_and_together_every_instruction(assemble: Assemble) -> None:
    used: set[str] = set()
    for number, (style, way, sizes, top) in enumerate(
        [
            ("dense", "narrow", (40, 26, 10), 63),
            ("sparse", "wide", (196, 24, 10), 63),
            ("few", "moved", (30, 13, 5), 63),
            ("dense", "shifted", (17, 12, 12), 63),
            ("few", "rotated", (12, 9, 3), 63),
            ("dense", "rounding to zero", (20, 15, 10), 255),
            ("few", "narrow", (16, 25, 14, 12, 9), 63),
            ("dense", "narrow", (1, 1, 1), 63),
        ]
    ):
        random = np.random.default_rng(number)
        most = 8000 if way == "rotated" else 32767
        used |= check(assemble, dense_graph(random, sizes, style=style, way=way, top=top, most=most))
    known = {*avr_encode._TWO_REGISTERS, *avr_encode._ALIASES, *avr_encode._ONE_REGISTER, *FORMS}
    # Two appear under their other names, two hold wide activations at 255: the next test has them.
    assert known - used == {"eor", "and", "or", "cpse"}


@pytest.mark.parametrize("way", REQUANTISERS)
def test_every_way_of_requantising(assemble: Assemble, way: str) -> None:
    check(assemble, dense_graph(np.random.default_rng(3), (20, 14, 10), way=way, style="few", most=2000))


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("shift", [16, 24])
def test_layers_with_a_multiplier_for_each_row_and_classes_in_several_blocks(
    assemble: Assemble, shift: int, bits: int
) -> None:
    used: set[str] = set()
    for fmt in LARGEST:
        random = np.random.default_rng(shift)
        unrolled = unroll(chain(random, (90, 21, 26), fmt, shift=shift, share=0.9, sum_bits=bits), bits)
        assert assemble(assembly(unrolled)) == unrolled.machine_code
        used |= {op.text.split()[0] for part in unrolled.parts for op in part.ops}
    # A sum of 16 bits cannot pass 128 at a shift of 24.
    assert ("cpse" in used) == (bits == 24 or shift == 16) and ("or" in used) == (bits == 24 and shift == 16)


def test_a_trained_net(assemble: Assemble, trained: Callable[[str], Path]) -> None:
    check(assemble, lower(model_file.load(trained("preconv-seed")), top=NARROW_TOP))


def test_an_instruction_that_it_does_not_know() -> None:
    with pytest.raises(AssertionError, match="unknown instruction 'sleep'"):
        machine_code([Op("sleep")])
