"""`cyclecount` and the instruction timing under it, against the AVR instruction set manual."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Count = Callable[..., "subprocess.CompletedProcess[str]"]

# Instructions and their cycles on ATmega328P and ATmega2560 (3-byte program counter); X points into SRAM, Z to 0.
TIMES: list[tuple[str, int, int]] = [
    ("", 0, 0),
    ("nop", 1, 1),
    ("ldi r18, 1", 1, 1),
    ("movw r18, r24", 1, 1),
    ("adiw r24, 1", 2, 2),
    ("sbiw r24, 1", 2, 2),
    ("mul r18, r19", 2, 2),
    ("muls r18, r19", 2, 2),
    ("mulsu r18, r19", 2, 2),
    ("fmul r18, r19", 2, 2),
    ("lpm r18, Z", 3, 3),
    ("lpm r18, Z+", 3, 3),
    ("lpm", 3, 3),
    ("ld r18, X", 2, 2),
    ("ld r18, X+", 2, 2),
    ("ld r18, -X", 2, 2),
    ("st X, r18", 2, 2),
    ("st X+, r18", 2, 2),
    ("st -X, r18", 2, 2),
    ("ldd r18, Y+3", 2, 2),
    ("std Y+3, r18", 2, 2),
    ("lds r18, 0x0300", 2, 2),
    ("sts 0x0300, r18", 2, 2),
    ("push r18\npop r18", 4, 4),
    ("in r18, 0x3d", 1, 1),
    ("sbi 0x05, 3", 2, 2),
    ("cbi 0x05, 3", 2, 2),
    ("sbis 0x3, 0\nnop", 2, 2),
    ("cpse r18, r18\nnop", 2, 2),
    ("cpse r18, r18\nlds r18, 0x0300", 3, 3),
    ("clt\nbrtc 1f\n1:", 3, 3),
    ("clt\nbrts 1f\n1:", 2, 2),
    ("rjmp 1f\n1:", 2, 2),
    ("jmp 1f\n1:", 3, 3),
    ("rcall 1f\nrjmp 2f\n1: ret\n2:", 3 + 4 + 2, 4 + 5 + 2),
    ("call 1f\nrjmp 2f\n1: ret\n2:", 4 + 4 + 2, 5 + 5 + 2),
    ("ldi r30, pm_lo8(1f)\nldi r31, pm_hi8(1f)\nijmp\n1:", 1 + 1 + 2, 1 + 1 + 2),
    ("ldi r30, pm_lo8(1f)\nldi r31, pm_hi8(1f)\nicall\nrjmp 2f\n1: ret\n2:", 1 + 1 + 3 + 4 + 2, 1 + 1 + 4 + 5 + 2),
]


def timing_program() -> str:
    regions = "".join(
        f'    asm volatile("ldi r26, 0\\n ldi r27, 3\\n clr r30\\n clr r31\\n ldi r20, {k}\\n out 0x1e, r20\\n"\n'
        f"        {json.dumps(code + chr(10))}\n"
        f'        "out 0x1e, r21" ::: "r0","r1","r18","r19","r20","r24","r25","r26","r27","r30","r31","memory");\n'
        for k, (code, _, _) in enumerate(TIMES, start=1)
    )
    return (
        "int main(void)\n{\n    volatile unsigned char room[8];\n    room[0] = 0;\n"
        f'    asm volatile("clr r21" ::: "r21");\n{regions}    asm volatile("clr r1");\n    return room[0];\n}}\n'
    )


@pytest.mark.parametrize(("mcu", "column"), [("atmega328p", 1), ("atmega2560", 2)])
def test_instructions_take_the_cycles_of_the_manual(
    count: Count, avr: Callable[..., Path], mcu: str, column: int
) -> None:
    result = count(avr(timing_program(), mcu), mcu=mcu)
    assert result.stderr == ""
    regions = json.loads(result.stdout)["regions"]
    found = {code: regions[str(k)]["min"] for k, (code, *_) in enumerate(TIMES, start=1)}
    assert found == {row[0]: row[column] for row in TIMES}


INTERRUPTED = """
#include <avr/interrupt.h>
#include <avr/io.h>
ISR(TIMER1_COMPA_vect, ISR_NAKED) { asm volatile("reti"); }
int main(void)
{
    OCR1A = 20;
    TIMSK1 = 1 << OCIE1A;
    sei();
    TCCR1B = 1 << CS10;
    GPIOR0 = 1;
    asm volatile(".rept 40\\n nop\\n .endr");
    GPIOR0 = 0;
    cli();
    return 0;
}
"""


@pytest.mark.parametrize(("mcu", "cycles"), [("atmega328p", 40 + 4 + 3 + 4), ("atmega2560", 40 + 5 + 3 + 5)])
def test_an_interrupt_costs_entry_jump_and_return(
    count: Count, avr: Callable[..., Path], mcu: str, cycles: int
) -> None:
    result = count(avr(INTERRUPTED, mcu), mcu=mcu)
    assert json.loads(result.stdout)["regions"]["1"]["max"] == cycles


PENDING = """
#include <avr/interrupt.h>
#include <avr/io.h>
static volatile unsigned char after;
ISR(TIMER1_COMPA_vect, ISR_NAKED) { asm volatile("out 0x2a, r16\\n reti"); }
int main(void)
{
    OCR1A = 5;
    TIMSK1 = 1 << OCIE1A;
    TCCR1B = 1 << CS10;
    asm volatile("clr r16\\n .rept 20\\n nop\\n .endr\\n sei\\n inc r16\\n inc r16\\n inc r16\\n cli" ::: "r16");
    return 0;
}
"""


def test_one_instruction_runs_between_sei_and_a_pending_interrupt(
    count: Count, avr: Callable[..., Path], tmp_path: Path
) -> None:
    assert count(avr(PENDING), "--out", tmp_path / "out").returncode == 0
    assert (tmp_path / "out").read_bytes() == b"\x01"


REGIONS = """
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
static void __attribute__((noinline)) deep(unsigned char bytes)
{
    volatile unsigned char room[bytes];
    (void)room[0];
}
int main(void)
{
    while (GPIOR2 & 1)
    {
        unsigned char byte = GPIOR1;
        GPIOR0 = 7;
        asm volatile("mov r18, %0\\n 1: nop\\n dec r18\\n brne 1b" ::"r"(byte) : "r18");
        GPIOR0 = 9;
        deep(byte);
        GPIOR0 = 0;
        GPIOR1 = (unsigned char)~byte;
    }
    cli();
    sleep_mode();
    return 0;
}
"""


def test_regions_inputs_outputs_and_stack(count: Count, avr: Callable[..., Path], tmp_path: Path) -> None:
    given, taken = tmp_path / "in", tmp_path / "out"
    given.write_bytes(bytes([10, 20, 90]))
    result = count(avr(REGIONS), "--in", given, "--out", taken)
    answer = json.loads(result.stdout)
    loop, call = answer["regions"]["7"], answer["regions"]["9"]
    assert taken.read_bytes() == bytes([245, 235, 165])
    assert answer["bytes_out"] == 3
    assert (loop["count"], loop["max"] - loop["min"], loop["stack"]) == (3, 80 * 4, 0)
    assert 90 < call["stack"] < 120
    assert answer["stack_max"] >= call["stack"]


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("for (;;) GPIOR1 = 1;", "without an end, need at most 100000"),
        ("GPIOR0 = 3;", "region 3: found no end"),
        ("*(volatile char *)0xF000 = 1;", "crashed at pc"),
    ],
)
def test_a_bad_end_is_one_line_and_code_3(count: Count, avr: Callable[..., Path], body: str, complaint: str) -> None:
    program = f"#include <avr/io.h>\nint main(void)\n{{ {body} return 0; }}\n"
    result = count(avr(program), "--max-cycles", "100000")
    assert result.returncode == 3
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
