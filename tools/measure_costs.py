"""Measures what the host foretells of a program, fits the coefficients anew and writes them into host/compile/measured.

Builds every program of tests/board/programs.py plainly and for profiling, and runs the latter on the simulated board.
Cycles are fitted to the marks of the profiling builds, bytes to the sizes of the plain ones, by least squares in which
every program counts by its own size. `tests/board/test_matrix.py` then holds them. DIGITDUINO_AVR_GCC says which
compiler is measured, and so which file is written.

    python tools/measure_costs.py                measure, print how far each prediction is off
    python tools/measure_costs.py --update       and write the coefficients
    python tools/measure_costs.py --keep FILE    keep what was measured, or go on from there, where the firmware is as
                                                 it was
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile
from scipy.optimize import nnls

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / part) for part in ("host", "firmware", "board"))]

from programs import NETS, exports, graph_of, label  # noqa: E402
from workbench import Workbench  # noqa: E402

from host.compile import company, firmware_size, measured  # noqa: E402
from host.compile.boards import BOARDS, COMPILERS, Board  # noqa: E402
from host.compile.budget import predict  # noqa: E402
from host.compile.export import Export  # noqa: E402
from host.compile.kernels.kernel import OneOp  # noqa: E402
from host.compile.program import Program, alive_behind  # noqa: E402
from host.compile.step import Step  # noqa: E402
from host.errors import DeviceError  # noqa: E402
from host.link import avr_gcc  # noqa: E402
from host.link.build import build_firmware  # noqa: E402
from host.link.target import target_board  # noqa: E402


@dataclass(frozen=True)
class Record:
    """One program, by its compiler's version: bytes of flash and of RAM, mean cycles of the whole, and of each mark,
    none where a profiling build has no room for its stack; bytes of each function of ours that is still one."""

    compiler: str
    net: str
    board: str
    kernels: str
    flash: int
    ram: int
    cycles: float
    parts: tuple[float, ...]
    symbols: dict[str, int]


_TRUST, _LITTLE = 1e-2, 1e-6
"""How much a coefficient's distance from its prior counts beside an error of the whole figure: where it is known from
elsewhere, and where it is 0."""
_ROUNDS, _DOUBLE = 12, 0.01
"""Fits of which each knows the last one's errors, and the error that counts twice."""
Row = tuple[dict[str, float], float]
"""What a figure is made of, by the names of the tables, and the figure."""


def programs() -> Iterator[tuple[str, Board, Export, str]]:
    for name, net in NETS.items():
        for board in map(target_board, net.boards):
            for export in exports(name, board):
                program = export.on(board)
                yield name, board, export, f"{label(program)}, {program.memory}, {program.layout.pair}"


def measure(keep: Path | None, boards: set[str]) -> dict[tuple[str, str, str], Record]:
    """All on these boards, one after the other; what `keep` has already is not measured again."""
    version = avr_gcc.builder_version()
    lines = keep.read_text().splitlines() if keep is not None and keep.exists() else []
    known = [Record(**json.loads(line)) for line in lines]
    if others := {record.compiler for record in known} - {version}:
        sys.exit(f"--keep: found programs of avr-gcc {', '.join(sorted(others))}, need {version}'s; name another file")
    found = {(record.net, record.board, record.kernels): record for record in known}
    bench = Workbench()
    for name, board, export, kernels in programs():
        key = (name, board.name, kernels)
        if board.name not in boards or key in found:
            continue
        images = graph_of(name)[1]
        has_room = predict(export.on(board), board, profile=True).fits(board)
        try:
            plain = bench.measure(export, board, images)
            parts = bench.measure(export, board, images, "-DMODEL_PROFILE").parts if has_room else ()
        except DeviceError as error:  # with another compiler the stack may be deeper than foretold
            print(f"     {name} on {board.name}: {kernels}: {error}", flush=True)
            continue
        symbols = symbol_sizes(export, board)
        found[key] = Record(version, *key, plain.flash, plain.ram_static, plain.cycles, parts, symbols)
        print(f"{len(found):4} {name} on {board.name}: {kernels}", flush=True)
        if keep is not None:
            with keep.open("a") as file:
                file.write(json.dumps(asdict(found[key])) + "\n")
    return found


def symbol_sizes(export: Export, board: Board) -> dict[str, int]:
    """Of the functions that the linker's optimiser did not put into others, named as in the source."""
    with build_firmware(export, board).program.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        ours = [(one.name.partition(".")[0], one["st_size"]) for one in symbols if one.name.startswith("nn_")]
        return {name: size for name, size in ours if size}


def cycle_rows(program: Program, record: Record) -> Iterator[tuple[Row, float]]:
    """Of each mark what is left when all that is counted has been taken off, and the whole; of a program without
    marks all of it, where nothing in it is code that counts itself."""
    whole = record.parts or (record.cycles,)
    parts: dict[int, tuple[dict[str, float], float]] = {}
    if not record.parts and any(not isinstance(step.kernel, OneOp) for step in program.steps):
        return
    for step in program.steps:
        mark = program.steps[step.index + 1].mark if step.mark is None else step.mark
        assert mark is not None
        mark = mark if record.parts else 0
        terms, rest = parts.setdefault(mark, ({}, whole[mark]))
        if not isinstance(step.kernel, OneOp):
            continue
        found, counted = _terms(step, program)
        for name, count in found.items():
            terms[name] = terms.get(name, 0.0) + count
        parts[mark] = (terms, rest - counted)
    yield from ((row, whole[mark]) for mark, row in parts.items() if row[0])


def _terms(step: Step, program: Program) -> tuple[dict[str, float], float]:
    alive = alive_behind(program.graph, step.ops)
    kernel, op = step.kernel, step.ops[0]
    assert isinstance(kernel, OneOp)
    counts = dict(kernel.counts(op, alive)) | company.counts(step, program.steps)
    return counts, kernel.counted(op, program.chip, alive)


def flash_rows(program: Program, record: Record) -> Iterator[tuple[Row, float]]:
    """Of the sketch, with the error that weighs as much as another; and of the functions whose sizes are known."""
    functions: dict[str, dict[str, float]] = {}  # which several steps may call
    base = firmware_size.terms(program, program.chip)
    terms: dict[str, float] = defaultdict(float, base)
    for step in program.steps:
        if isinstance(step.kernel, OneOp):
            own = step.kernel.functions(step.ops[0], program.chip)
            functions |= {name: dict(made_of) for name, made_of in own.items()}
            for name, count in step.kernel.calls(step.ops[0]).items():
                terms[name] += count
    is_alone = "a walk shared" not in base and program.layout.pair is None
    for name, made_of in functions.items():
        if name in record.symbols and (is_alone or name.startswith("nn_avr_")):
            yield (made_of, record.symbols[name]), record.flash
        for each, count in made_of.items():
            terms[each] += count
    yield (dict(terms), record.flash - len(program.rom)), record.flash


def fitted(rows: list[Row], weights: list[float], elsewhere: Mapping[str, float]) -> dict[str, float]:
    """The coefficients of least squared error, each row's error as a share of its weight, and the larger it is the more
    so: what a compiler makes otherwise in one program alone is met halfway. None below 0. What the rows leave open is
    as it is `elsewhere`."""
    names = sorted({name for terms, _ in rows for name, count in terms.items() if count})
    index = {name: place for place, name in enumerate(names)}
    matrix, wanted = np.zeros((len(rows), len(names))), np.array([figure for _, figure in rows])
    for row, (terms, _) in enumerate(rows):
        for name in index.keys() & terms.keys():
            matrix[row, index[name]] = terms[name]
    scale = 1 / np.array(weights)
    prior = np.array([elsewhere.get(name, 0.0) for name in names])
    emphasis = np.ones_like(scale)
    for _ in range(_ROUNDS):
        found = _not_negative(matrix * (emphasis * scale)[:, None], wanted * emphasis * scale, prior)
        emphasis = (emphasis + 1 + np.abs(matrix @ found - wanted) * scale / _DOUBLE) / 2
    return {name: round(float(value), 2) for name, value in zip(names, found, strict=True)}


def _not_negative(matrix: np.ndarray, wanted: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Least squares with every coefficient at 0 or above.

    A little is asked of each to stay near its `prior`, so that what no program tells apart follows that, or is shared
    evenly where it is 0."""
    size = np.abs(matrix).max(axis=0)
    ridge = np.where(prior > 0, _TRUST, _LITTLE)
    aims = ridge * prior * size
    found: np.ndarray = nnls(np.vstack([matrix / size, np.diag(ridge)]), np.append(wanted, aims))[0]
    return found / size


def fit(records: dict[tuple[str, str, str], Record]) -> measured.Tables:
    """The coefficients, as a file of host/compile/measured has them."""
    rows: dict[tuple[str, str], tuple[list[Row], list[float]]] = defaultdict(lambda: ([], []))
    for name, board, export, kernels in programs():
        if (record := records.get((name, board.name, kernels))) is None:
            continue
        program, reach = export.on(board), "far" if board.chip.far_flash else "near"
        for row, whole in cycle_rows(program, record):
            rows["cycles", reach][0].append(row)
            rows["cycles", reach][1].append(max(whole, 1000.0))
        for row, whole in flash_rows(program, record):
            rows["flash", reach][0].append(row)
            rows["flash", reach][1].append(whole)
    found: measured.Tables = defaultdict(dict)
    for (kind, reach), (figures, weights) in sorted(rows.items()):  # far first: more programs fit those boards
        found[kind][reach] = fitted(figures, weights, found[kind].get("far", {}))
    return found


def compare(records: dict[tuple[str, str, str], Record]) -> None:
    """Print by how much predictions are off."""
    worst: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for name, board, export, kernels in programs():
        if (record := records.get((name, board.name, kernels))) is None:
            continue
        program = export.on(board)
        budget = predict(program, board)
        where = f"{name} on {board.name}: {label(program)}"
        worst["flash"].append((budget.flash / record.flash - 1, f"{where}: {budget.flash:,} of {record.flash:,}"))
        worst["RAM"].append((budget.ram_static / record.ram - 1, where))
        worst["cycles"].append((budget.cycles / record.cycles - 1, where))
        if not record.parts:
            continue
        ends = [step for step in program.steps if step.mark is not None]
        for step, (part, predicted), cycles in zip(ends, budget.parts, record.parts, strict=True):
            off = (where, f"{part}: {predicted:,} of {cycles:,.0f}")
            worst[f"cycles of {step.kernel.name}"].append((predicted / cycles - 1, ": ".join(off)))
    for figure, errors in worst.items():
        errors.sort(key=lambda each: -abs(each[0]))
        print(f"{figure}: {len(errors)} figures")
        for share, where in errors[:4]:
            print(f"  {100 * share:+6.1f} % {where}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the coefficients into host/compile/measured")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="what was measured, a line for each program")
    parser.add_argument("--boards", default=",".join(BOARDS), help="where to measure; none: nothing that is not kept")
    chosen = parser.parse_args()
    records = measure(chosen.keep, set(chosen.boards.split(",")))
    if chosen.update:
        version, count = avr_gcc.builder_version(), sum(1 for _ in programs())
        if version not in COMPILERS:
            sys.exit(f"--update: found avr-gcc {version}, need one of {', '.join(COMPILERS)}; see DIGITDUINO_AVR_GCC")
        if len(records) != count:
            sys.exit(f"--update: found {len(records)} programs measured, need all {count}; leave --boards out")
        file = measured.file_of(version)
        file.write_text(json.dumps(fit(records), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"wrote {file}; run again without --update to see how far it is off")
        return 0
    compare(records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
