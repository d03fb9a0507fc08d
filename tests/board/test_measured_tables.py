"""The measured costs: for each compiler all that some net exercises, and nothing else."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from programs import NETS, exports

from host.compile import company, firmware_size, measured
from host.compile.boards import BOARDS, COMPILERS
from host.compile.kernels.kernel import OneOp


def tables(compiler: str) -> measured.Tables:
    found: measured.Tables = json.loads(measured.file_of(compiler).read_text(encoding="utf-8"))
    return found


def exercised(compiler: str) -> dict[str, dict[str, set[str]]]:
    """The names that a table must have: those of what occurs on such chips at all."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, net in NETS.items():
        for board in (BOARDS[each].compiled_by(compiler) for each in net.boards):
            reach = "far" if board.chip.far_flash else "near"
            for program in (export.on(board) for export in exports(name, board)):
                occurs = {"cycles": [], "flash": [firmware_size.terms(program, board.chip)]}
                for step in program.steps:
                    occurs["cycles"].append(company.counts(step, program.steps))
                    if isinstance(step.kernel, OneOp):
                        occurs["cycles"].append(step.kernel.counts(step.ops[0], None))
                        occurs["flash"].append(step.kernel.calls(step.ops[0]))
                        occurs["flash"] += step.kernel.functions(step.ops[0], board.chip).values()
                for kind, counts in occurs.items():
                    found[kind][reach] |= {each for made_of in counts for each, count in made_of.items() if count}
    return found


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_table_has_what_some_net_exercises_and_nothing_else(compiler: str) -> None:
    """What no net exercises was never measured."""
    known = tables(compiler)
    assert {kind: {reach: set(names) for reach, names in of.items()} for kind, of in known.items()} == exercised(
        compiler
    )


def test_what_costs_nothing_anywhere_has_no_name() -> None:
    known = [of for compiler in COMPILERS for of in tables(compiler).values()]
    every = {name for of in known for names in of.values() for name in names}
    assert every == {name for of in known for names in of.values() for name, figure in names.items() if figure > 0}


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("board", "own", "other"), [("uno", "near", "far"), ("mega", "far", "near")])
def test_what_was_measured_on_one_sort_of_chip_alone_holds_for_both(
    compiler: str, board: str, own: str, other: str
) -> None:
    chip, known = BOARDS[board].compiled_by(compiler).chip, tables(compiler)["flash"]
    only_there = known[other].keys() - known[own].keys()
    assert only_there
    for name in only_there:
        assert measured.flash({name: 2}, chip) == 2 * known[other][name]
    for name, figure in known[own].items():
        assert measured.flash({name: 2}, chip) == 2 * figure
