"""TensorFlow Lite's rounding in C, on the PC and by avr-gcc: ties of both roundings, shifts either way, sums and codes
at their ends, against exact whole numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from avr_machine import Call, Far, Machine
from c_arguments import pointer
from firmware_build import CORE_FLAGS, LIB, compile_c

SOURCE = LIB / "nn/nn_affine.c"
EXPONENTS = range(-31, 9)
ODD = (1518500249, 2063914753, 1207959551)
"""Multipliers all of whose bytes make carries."""
MULTIPLIERS = (0, 2**30, 2**30 + 1, 5 * 2**28, 2**30 + 2**20, 2**31 - 2**16, 2**31 - 1, *ODD)
RANGES = ((0, 0, 255), (0, 0, 63), (128, 0, 255), (255, 0, 255), (3, 3, 200), (3, 7, 255), (90, 7, 201), (250, 0, 200))
"""Zero code, low and high: the zero code at the low end, below it, above it, and above the high end."""
ON_AVR = {"ties": 300, "next to one": 1000, "any": 300}
BOTH_SIGNS_OF_BOTH = {(each, sign) for each in ("first", "second") for sign in (False, True)}
Case = tuple[int, int, int, tuple[int, int, int]]
"""Sum, multiplier, exponent, range."""


class Range(ctypes.Structure):
    """nn_affine_range."""

    _fields_ = tuple((name, ctypes.c_uint8) for name in ("zero", "low", "high"))


def roundings(case: Case) -> tuple[int, int]:
    """The product in parts of 2^31, and what the first rounding makes of it: the nearest, halves upwards."""
    total, multiplier, exponent, _ = case
    product = (total << max(exponent, 0)) * multiplier
    return product, (product + 2**30) >> 31


def expected(case: Case) -> int:
    """The second rounding: the nearest, halves away from 0; then the code."""
    _, once = roundings(case)
    _, _, exponent, (zero, low, high) = case
    divisor = 1 << max(-exponent, 0)
    twice = (2 * abs(once) + divisor) // (2 * divisor) * (1 if once >= 0 else -1)
    return min(max(zero + twice, low), high)


def ties(case: Case) -> set[tuple[str, bool]]:
    """Which roundings meet a half, and whether below 0."""
    product, once = roundings(case)
    found = {("first", product < 0)} if product % 2**31 == 2**30 else set()
    divisor = 1 << max(-case[2], 0)
    return found | ({("second", once < 0)} if divisor > 1 and once % divisor == divisor // 2 else set())


def cases() -> list[Case]:
    """Of each rule the sums at the ends, around 0, around every half that matters, and any."""
    random = np.random.default_rng(31)
    found: list[Case] = []
    for multiplier in MULTIPLIERS:
        for exponent in EXPONENTS:
            most = 2 ** (31 - max(exponent, 0)) - 1
            sums = {0, 1, -1, 2, -2, 3, -3, most, -most, most - 1, 1 - most}
            for half in (1, 3, 5, 127, 181, 255, 381, 507, 509, 511):
                middle = half * 2 ** (30 - exponent) // max(multiplier, 1)
                sums |= {sign * (middle + near) for near in (-1, 0, 1) for sign in (-1, 1)}
            unit = multiplier & -multiplier or 1
            odd = 2 ** max(30 - max(exponent, 0) - unit.bit_length() + 1, 0)  # whose odd multiples tie first
            sums |= {int(each) * odd for each in 2 * random.integers(-400, 400, 6) + 1}
            sums |= {int(sign * 2**size) for sign, size in zip((1, -1) * 4, random.uniform(0, 31, 8), strict=True)}
            for number, total in enumerate(sorted(each for each in sums if abs(each) <= most)):
                found.append((total, multiplier, exponent, RANGES[(number + exponent) % len(RANGES)]))
    return found


def next_to_ties() -> list[Case]:
    """Sums whose products lie next to where codes change: there a carry lost anywhere in the product shows
    in one."""
    random = np.random.default_rng(32)
    rules = [(int(each), exponent) for each in random.integers(2**30, 2**31, 80) | 1 for exponent in (-22, -9, -4)]
    rules += [(multiplier, exponent) for multiplier in ODD for exponent in range(-18, 1)]
    found: list[Case] = []
    for multiplier, exponent in rules:
        unit = 2 ** (31 - exponent)
        sums = np.unique(random.integers(0, 255 * unit // multiplier, 6_000))
        turn = unit // 2 - (2**30 if exponent else 0)  # from where the first rounding reaches a half of the second
        above = (sums * multiplier - turn) % unit
        for total in sums[np.argsort(above)[[0, 1, 2, -1]]].tolist():
            found += [(total, multiplier, exponent, (0, 0, 255)), (-total, multiplier, exponent, (255, 0, 255))]
    return found


NEAR = next_to_ties()
CASES = [*cases(), *NEAR]


def built(cc: str, source: Path, folder: Path) -> Callable[[Case], int]:
    library = folder / f"{source.stem}.so"
    compile_c([cc, "-O2", "-shared", "-fPIC", *CORE_FLAGS, source, "-o", library])
    return called(ctypes.CDLL(str(library)))


def called(library: ctypes.CDLL) -> Callable[[Case], int]:
    function = library.nn_affine_code
    function.restype = ctypes.c_uint8
    function.argtypes = (ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)

    def code(case: Case) -> int:
        total, multiplier, exponent, ends = case
        rule = np.frombuffer(rule_bytes(multiplier, exponent), np.uint8)
        return int(function(total, pointer(rule), ctypes.byref(Range(*ends))))

    return code


def rule_bytes(multiplier: int, exponent: int) -> bytes:
    return multiplier.to_bytes(4, "little") + exponent.to_bytes(1, "little", signed=True)


def test_the_cases_hold_what_they_should() -> None:
    assert len(CASES) > 10_000
    assert set().union(*map(ties, CASES)) == BOTH_SIGNS_OF_BOTH
    assert {(case[1], case[2]) for case in CASES} >= {(m, e) for m in MULTIPLIERS for e in EXPONENTS}


def spread(cases: list[Case], count: int) -> list[Case]:
    return [cases[at] for at in np.linspace(0, len(cases) - 1, count).astype(int)]


def test_the_pc_rounds_as_exact_numbers_do(core: ctypes.CDLL) -> None:
    code = called(core)
    wrong = [case for case in CASES if code(case) != expected(case)]
    assert wrong == []


def test_the_avr_rounds_as_exact_numbers_do(machine: Callable[..., Machine]) -> None:
    """The product is assembly there; the registers that C wants kept are looked at."""
    all_of = {"ties": [case for case in CASES if ties(case)], "next to one": NEAR, "any": CASES}
    chosen = [case for name, count in ON_AVR.items() for case in spread(all_of[name], count)]
    assert set().union(*map(ties, chosen)) == BOTH_SIGNS_OF_BOTH
    rules = sorted({case[1:3] for case in chosen})
    chip = machine(b"".join(rule_bytes(*rule) for rule in rules), sources=(SOURCE,), root="nn_affine_code")
    places = {rule: chip.blob + 5 * number for number, rule in enumerate(rules)}
    calls = [
        Call(
            "nn_affine_code",
            (Far(total & 0xFFFFFFFF), places[multiplier, exponent], chip.room),
            ((chip.room, bytes(ends)),),
        )
        for total, multiplier, exponent, ends in chosen
    ]
    answers = chip.run(calls)
    wrong = [case for case, answer in zip(chosen, answers, strict=True) if answer.value & 0xFF != expected(case)]
    assert wrong == []


MUTANTS = {
    "halves of the first rounding away from 0": ("is_negative ? 0x3FFFFFFFUL : 0x40000000UL", "0x40000000UL"),
    "the first rounding downwards": ("is_negative ? 0x3FFFFFFFUL : 0x40000000UL", "0"),
    "the second rounding downwards": ("return (size + 1) >> 1;", "return size >> 1;"),
    "a lost carry": ("        high++;", "        high += 0;"),
    "a shift to the left too few": ("left > 0; left--", "left > 1; left--"),
    "a clamp below, one up": ("held > zero ? 0 :", "held > zero ? 1 :"),
    "a clamp above, one down": ("held > above ? 255 :", "held > above ? 254 :"),
    "saturating at 254": ("size > 255 ? 255 :", "size > 254 ? 254 :"),
    "the low end, one up": ("code < range->low)\n        return range->low", "code < range->low)\n        return code"),
    "the high end, one down": ("code > range->high ? range->high", "code >= range->high ? (uint8_t)(range->high - 1)"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_mistake_is_seen(cc: str, tmp_path: Path, name: str) -> None:
    right, wrong = MUTANTS[name]
    text = SOURCE.read_text()
    assert text.count(right) == 1, f"nn_affine.c no longer has `{right}`: plant another mistake"
    (tmp_path / "mutant.c").write_text(text.replace(right, wrong))
    code = built(cc, tmp_path / "mutant.c", tmp_path)
    assert any(code(case) != expected(case) for case in CASES)
