"""Every kernel of the catalogue on every net that it does not refuse: the reference's bits, and the cost foretold."""

from __future__ import annotations

import os

import numpy as np
import pytest
from programs import NETS, choices, exports, graph_of, label
from workbench import Measured, Workbench

from host.compile.boards import BOARDS, Board
from host.compile.budget import predict
from host.compile.kernels.catalogue import CATALOGUE
from host.compile.program import Program
from host.compile.select import plain
from host.link.target import target_board

FLASH, CYCLES = 0.01, 0.03
"""Shares by which a prediction may miss. RAM is exact."""
FEW_CYCLES = 30
"""So many may a part of less than 1,000 miss by: in which order scores rise shows there."""
PROFILE_EVERY = int(os.environ.get("DIGITDUINO_PROFILE_EVERY", "3"))
"""Of so many programs one is built for profiling too, and each of its parts held to what was foretold."""
ON_BOARDS = [
    pytest.param(name, board, marks=pytest.mark.xdist_group(f"{name} on {board}"))
    for name, net in NETS.items()
    for board in net.boards
]


def missed(what: str, predicted: float, measured: float, share: float, few: float = 0) -> list[str]:
    if abs(predicted - measured) <= max(share * measured, few):
        return []
    return [f"{what}: predicted {predicted:,.0f}, measured {measured:,.0f}, {100 * (predicted / measured - 1):+.1f} %"]


def misses(program: Program, board: Board, plain: Measured, profiled: Measured | None) -> list[str]:
    """In what the prediction is wrong, a line each."""
    budget = predict(program, board)
    found = missed("flash", budget.flash, plain.flash, FLASH)
    found += missed("RAM", budget.ram_static, plain.ram_static, 0)
    found += missed("cycles", budget.cycles, plain.cycles, CYCLES)
    found += [] if plain.stack <= budget.stack else [f"stack: predicted {budget.stack}, used {plain.stack}"]
    if profiled is None:
        return found
    ram = predict(program, board, profile=True).ram_static
    found += missed("RAM of a profiling build", ram, profiled.ram_static, 0)
    found += missed("cycles of a profiling build", plain.cycles, profiled.cycles, 0.002)
    for (part, predicted), cycles in zip(budget.parts, profiled.parts, strict=True):
        found += missed(part, predicted, cycles, CYCLES, FEW_CYCLES)
    return found


def is_profiled(name: str, at: int, program: Program, board: Board) -> bool:
    """Whether a net's program number `at` is built for profiling, for which it may have no room."""
    return (list(NETS).index(name) + at) % PROFILE_EVERY == 0 and predict(program, board, profile=True).fits(board)


@pytest.mark.parametrize(("name", "board"), ON_BOARDS)
def test_on_an_avr(workbench: Workbench, name: str, board: str) -> None:
    """Costs are those of the very images that are streamed, so that the formulas are judged and not a sample."""
    target, (_, images) = target_board(board), graph_of(name)
    wrong, programs = {}, exports(name, target)
    assert programs, "a net that fits no such board tries nothing"
    for at, export in enumerate(programs):
        program = export.on(target)
        # Every class and score is compared here.
        measured = workbench.measure(export, target, images)
        wanted = is_profiled(name, at, program, target)
        profiled = workbench.measure(export, target, images, "-DMODEL_PROFILE") if wanted else None
        found = misses(program, target, measured, profiled)
        wrong |= {label(program): found} if found else {}
    assert not wrong, "\n".join(f"{kernels}:\n  " + "\n  ".join(lines) for kernels, lines in wrong.items())


@pytest.mark.parametrize("name", NETS)
def test_in_c(workbench: Workbench, name: str) -> None:
    graph, images = graph_of(name)
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (60, *images.shape[1:])).astype(np.uint8)
    workbench.check(plain(graph), BOARDS["native"], np.concatenate([images, noise]))


@pytest.mark.parametrize("board", ["uno", "mega"])
def test_no_kernel_is_left_out(board: str) -> None:
    """A kernel that no net of the set exercises would never have been run, and one in no profile never timed."""
    target = target_board(board)
    run, timed = set(), set()
    for name in (name for name, net in NETS.items() if board in net.boards):
        for at, export in enumerate(exports(name, target)):
            program = export.on(target)
            kernels = {step.kernel.name for step in program.steps}
            run |= kernels
            timed |= kernels if is_profiled(name, at, program, target) else set()
    assert run == timed == {kernel.name for kernel in CATALOGUE}


def test_a_program_runs_each_op_by_each_kernel_that_does_not_refuse_it() -> None:
    target = target_board("mega")
    graph, _ = graph_of("depthwise")
    ran = {
        (step.kernel.name, graph.ops.index(step.ops[0]))
        for export in exports("depthwise", target)
        for step in export.on(target).steps
    }
    assert ran == {(kernel.name, at) for at, tiles in enumerate(choices(graph, target)) for kernel, _ in tiles}
