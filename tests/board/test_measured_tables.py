"""The tables of measured costs: every name in them is exercised by some net, and the tool writes into them alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from programs import NETS, exports

from host.compile import company, firmware_size
from host.compile.boards import BOARDS
from host.compile.kernels import avr_conv, avr_dense, avr_long, avr_patch, avr_sums, floats, pools, portable, preconv
from host.compile.kernels.kernel import OneOp
from tools.measured_tables import unlisted, write_tables

MODULES = (avr_conv, avr_dense, avr_long, avr_patch, avr_sums, floats, pools, portable, preconv, firmware_size, company)


def used_names() -> set[str]:
    found: set[str] = set()
    for name, net in NETS.items():
        for board in map(BOARDS.__getitem__, net.boards):
            for program in (export.on(board) for export in exports(name, board)):
                found |= firmware_size.terms(program, board.chip).keys()
                found |= {each for step in program.steps for each in company.counts(step, program.steps)}
                for kernel, op in ((step.kernel, step.ops[0]) for step in program.steps):
                    if isinstance(kernel, OneOp):
                        found |= kernel.counts(op, None).keys() | kernel.calls(op).keys()
                        found |= {each for terms in kernel.functions(op, program.chip).values() for each in terms}
    return found


def test_every_name_in_a_table_is_one_that_some_net_exercises() -> None:
    """What no net exercises was never measured."""
    tables = [table for module in MODULES for name, table in vars(module).items() if name.endswith(("CYCLES", "FLASH"))]
    assert {name for table in tables for name in (*table.near, *table.far)} == used_names()


def test_the_tool_writes_the_numbers_and_nothing_else(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "compile"
    shutil.copytree(repository / "host/compile", folder)
    before = {path: path.read_text() for path in folder.rglob("*.py")}
    write_tables(folder, {"cycles": {}, "flash": {}})
    assert {path: path.read_text() for path in folder.rglob("*.py")} == before
    near = preconv._FLASH.near["nn_preconv"]
    write_tables(folder, {"cycles": {}, "flash": {"near": {"nn_preconv": near + 1}}})
    changed = [path for path, text in before.items() if path.read_text() != text]
    assert [path.name for path in changed] == ["preconv.py"]
    pairs = zip(before[changed[0]].splitlines(), changed[0].read_text().splitlines(), strict=True)
    assert [(old, new) for old, new in pairs if old != new] == [
        (f'        "nn_preconv": {near:g},', f'        "nn_preconv": {near + 1:g},')
    ]


@pytest.mark.parametrize(("name", "expected"), [("nn_preconv", set()), ("nn_preconw", {"nn_preconw"})])
def test_a_name_that_stands_nowhere_is_told(repository: Path, name: str, expected: set[str]) -> None:
    assert unlisted(repository / "host/compile", {"cycles": {"near": {name: 1.0}}}) == expected
