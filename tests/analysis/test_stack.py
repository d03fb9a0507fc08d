"""The deepest stack that the firmware can need, bounded from its disassembly, held against the compiler's own figures
and against what a simulated board has really used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from firmware_build import LIB, ROOT
from needed import need
from programs import NETS, graph_of

from host.compile.boards import BOARDS, Board
from host.compile.budget import predict
from host.compile.kernels.catalogue import CATALOGUE
from host.compile.select import choose
from host.link.boards import connect_board
from host.link.build import build_firmware
from host.link.run import identity, stream
from tools import avr_stack

STACK_SLACK = 20
"""What the bound may be above the prediction: it takes every path for one that can be taken."""
PROGRAMS = [
    ("front end, 6 bits", "portable"),
    ("front end, 6 bits", "unrolled"),
    ("front end, int4", "asm"),
    ("lean, int4", "asm"),
    ("padded, int4", "portable"),
    ("overlapping", "asm"),
    ("pools, float16", "portable"),
    ("strided depthwise", "asm"),
    ("in turns, depthwise", "asm"),
    ("in turns, depthwise", "portable"),
    ("far", "asm"),
    ("given, depthwise", "auto"),
    ("given, padded", "portable"),
]
"""Nets of programs.py, of each the board that it names first, and how they are to run."""


def board_of(net: str) -> Board:
    return BOARDS[NETS[net].boards[0]]


def test_each_kind_of_kernel_is_among_the_programs() -> None:
    exports = [(choose(graph_of(net)[0], board_of(net), kernel), board_of(net)) for net, kernel in PROGRAMS]
    assert {step.kernel.name for export, board in exports for step in export.on(board).steps} == {
        kernel.name for kernel in CATALOGUE
    }


def misjudged_skips(program: avr_stack.Program) -> list[str]:
    """Where libsimavr 1.6 would skip two words instead of one: it takes an ADIW or SBIW of 12 to 15 modulo 16 for a JMP
    or CALL. A real chip does not, so the simulated one would no longer be its equal."""
    functions = {program.name_at(at) for at in program.own}
    return [
        program.name_at(at)
        for at, one in program.code.items()
        if one.name in avr_stack.SKIPS and program.name_at(at) in functions
        if (skipped := program.code.get(one.next)) and skipped.name in ("adiw", "sbiw")
        if int(skipped.operands[1], 16) % 16 >= 12
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("net", "kernel"), PROGRAMS)
def test_the_stack_always_fits(net: str, kernel: str) -> None:
    need("avr-gcc", "gcc-avr avr-libc")
    (graph, images), board = graph_of(net), board_of(net)
    export = choose(graph, board, kernel)
    built = build_firmware(export, board)
    assert built.ram_static is not None and board.ram is not None
    program = avr_stack.disassemble(built.program)
    bound = avr_stack.depths(program).total
    assert misjudged_skips(program) == []
    with connect_board(board, built) as line:
        outcome = stream(line.transport, [image.tobytes() for image in images], [identity(export)])
    used = board.ram - built.ram_static - outcome.stats.stack_free
    predicted = predict(export.on(board), board).stack
    assert used <= bound <= predicted + STACK_SLACK and used <= predicted
    assert built.ram_static + bound <= board.ram


def compiled(folder: Path, sources: list[Path]) -> Path:
    """A linked program, with the compiler's word on each function's stack beside its objects."""
    need("avr-gcc", "gcc-avr avr-libc")
    flags = ["-mmcu=atmega328p", "-Os", "-DARDUINO=10812", "-DF_CPU=16000000L", "-ffunction-sections", "-fstack-usage"]
    flags += [f"-I{LIB / name}" for name in ("nn", "wire", "app", "nn/avr")] + [f"-I{ROOT / 'firmware/model'}"]
    objects = [folder / f"{number}.o" for number in range(len(sources))]
    for source, made in zip(sources, objects, strict=True):
        dialect = ["-std=gnu99"] if source.suffix == ".c" else []
        subprocess.run(["avr-gcc", *flags, *dialect, "-c", source, "-o", made], check=True)
    subprocess.run(["avr-gcc", *flags[:1], "-Wl,--gc-sections", *objects, "-o", folder / "x.elf"], check=True)
    return folder / "x.elf"


def words_of_the_compiler(folder: Path) -> dict[str, int]:
    """Function → bytes, its return address included."""
    lines = [line.split("\t") for path in folder.glob("*.su") for line in path.read_text().splitlines()]
    assert {kind for *_, kind in lines} <= {"static"}
    return {place.rpartition(":")[2].partition(".")[0]: int(size) for place, size, _ in lines}


def test_frames_are_those_that_the_compiler_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [path for suffix in "cS" for path in sorted(LIB.rglob(f"*.{suffix}"))]
    sources += sorted((ROOT / "firmware/src").glob("*_avr.c"))
    program = avr_stack.disassemble(compiled(tmp_path, sources))
    monkeypatch.setattr(avr_stack.Program, "_indirect", lambda *_: [])  # not linked as one, it calls its port so
    avr_stack.depths(program)
    told = words_of_the_compiler(tmp_path)
    found = {program.name_at(at): own + program.return_bytes for at, own in program.own.items()}
    both = sorted(set(told) & set(found))
    assert len(both) >= 20
    # A function that ends in a jump to another one has that one's frame too.
    assert [name for name in both if found[name] < told[name]] == []
    assert sum(found[name] == told[name] for name in both) >= len(both) - 4


def bound_of(tmp_path: Path, text: str) -> avr_stack.Depths:
    source = tmp_path / "x.c"
    source.write_text("#include <avr/io.h>\n#include <stdint.h>\n" + text)
    return avr_stack.depths(avr_stack.disassemble(compiled(tmp_path, [source])))


FRAME = "__attribute__((noinline)) void f(void) { volatile uint8_t a[%d]; a[0] = 1; %s }\n"


def test_a_frame_and_an_interrupt_are_counted(tmp_path: Path) -> None:
    interrupt = "void __attribute__((signal, used)) __vector_13(void) { PORTB = 1; }\n"
    small = bound_of(tmp_path, FRAME % (20, "") + "int main(void) { f(); for (;;); }")
    middle = bound_of(tmp_path, FRAME % (100, "") + "int main(void) { f(); for (;;); }")
    large = bound_of(tmp_path, FRAME % (320, "") + interrupt + "int main(void) { f(); for (;;); }")
    assert small.interrupt == 0 and small.main == 2 + 2 + 2 + 20  # main's and f's return address, Y, the array
    assert middle.main == small.main + 80
    assert large.main == small.main + 300 and large.interrupt == 2 + 4  # r0, r1, SREG and one register


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (FRAME % (8, "if (PINB) f(); PORTB = 1;") + "int main(void) { f(); for (;;); }", "calls itself"),
        ("int main(void) { void (*volatile f)(void) = 0; f(); for (;;); }", "INDIRECT"),
        ('int main(void) { for (;;) __asm__ volatile("push r0"); }', "grows in a loop"),
        ("int main(void) { SP = 0x300; for (;;); }", "stack pointer"),
    ],
)
def test_what_has_no_bound_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(avr_stack.CannotFollow, match=why):
        bound_of(tmp_path, text)
