"""From a Graph to the programs that a board gets: the quickest kernels that fit, and the arena that does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from host.compile.boards import ATMEGA328P, BOARDS, COMPILERS, HOST, Board, Chip, Family
from host.compile.budget import predict
from host.compile.export import Export
from host.compile.kernels.avr_dense import MAX_NEAR_BYTES
from host.compile.kernels.catalogue import CATALOGUE
from host.compile.kernels.kernel import Kernel, Ops
from host.compile.kernels.kinds import ASSEMBLY, AUTO, CHOICES, CODE, PORTABLE
from host.compile.memory import lay_out
from host.compile.program import Program, Tile, alive_behind, as_pair, make_program, possible_pairs, row_uses, title
from host.errors import InputError, near
from host.quantise.graph import Graph
from host.quantise.ops import Dense, op_name, scores_as_codes
from host.quantise.requantisers import DoubleRounding

_ALLOWED = {
    CODE: (CODE, ASSEMBLY, PORTABLE),
    ASSEMBLY: (ASSEMBLY, PORTABLE),
    PORTABLE: (PORTABLE,),
}
"""By what --kernel names: which kinds may run beside each other."""
_LEAST_GAIN = 0.98
"""Weights as code take several times the flash: for less than two cycles in a hundred they stay data."""


def choose(graph: Graph, board: Board, kernel: str = AUTO, *, profile: bool = False) -> Export:
    """The export for `board`. `kernel` auto is the quickest that fits; the image is left as it is, and each step done
    before the next, where there is room for that. It may still not fit: see advice.check_fit. Raise InputError for an
    op that no kernel runs, or where `kernel` runs none of the ops. With `profile` a build that times each fits."""
    if kernel not in CHOICES:
        word = f"{kernel!r}{near(kernel, CHOICES)}"
        raise InputError(f"kernel: found {word}, need {', '.join(CHOICES)}; leave --kernel out for the best")
    if board.chip.family is not Family.AVR:
        portable = _portable(graph, keep_image=True, pair=None)
        return Export(portable, None if kernel in (AUTO, PORTABLE) else _asked_for(graph, kernel, ATMEGA328P))
    found = _first_that_fits(graph, board, kernel, profile)
    portable = _portable(graph, found.layout.image is None, found.layout.pair)
    return Export(portable, None if found.kind == PORTABLE else found)


def plain(graph: Graph) -> Export:
    """The portable program alone."""
    return Export(_portable(graph, keep_image=True, pair=None))


def all_exports(graph: Graph) -> list[Export]:
    """Every export of `graph` whose bytes in flash differ: a board may carry any of them."""
    found = {program.crc: Export(program) for program in reversed(_portable_layouts(graph))}
    portable = plain(graph).portable
    chips = dict.fromkeys(board.chip for board in BOARDS.values() if board.chip.family is Family.AVR)
    for chip, kind in itertools.product(chips, (CODE, ASSEMBLY)):
        for program in _layouts(graph, chip, _tiles(graph, chip, kind)):
            found.setdefault(program.crc, Export(portable, program))
    return list(found.values())


def _first_that_fits(graph: Graph, board: Board, kernel: str, profile: bool) -> Program:
    """The first program that fits, or the last one tried."""
    found: Program | None = None
    for tiles in _tilings(graph, board.chip, kernel):
        for found in _layouts(graph, board.chip, tiles):
            budget = predict(found, board, profile=profile)
            if budget.fits(board):
                return found
            if board.flash is not None and budget.flash > board.flash:
                break  # no other arena makes it smaller
    assert found is not None
    return found


def _tilings(graph: Graph, chip: Chip, kernel: str) -> list[list[Tile]]:
    """What to try, the best first. Raise InputError where `kernel` runs none of the ops."""
    # By one compiler's figures, whichever builds: the programs of a net are those that all_exports knows.
    chip = replace(chip, compiler=COMPILERS[0])
    found: dict[str, list[Tile]] = {}
    for kind in (CODE, ASSEMBLY, PORTABLE) if kernel == AUTO else (kernel,):
        tiles = _tiles(graph, chip, kind)
        if any(each.kind == kind for each, _ in tiles):
            found[kind] = tiles
        elif kernel != AUTO:
            raise _refusal(graph, chip, kind)
    if CODE in found and ASSEMBLY in found:
        code, assembly = (_cycles(graph, chip, found[kind]) for kind in (CODE, ASSEMBLY))
        if code > _LEAST_GAIN * assembly:
            del found[CODE]
    return list(found.values())


def _tiles(graph: Graph, chip: Chip, kind: str) -> list[Tile]:
    """The quickest tiles of a kind. Where all that reads with pointers of 16 bits is more than they reach together,
    assembly that reads so gives way to what reads anywhere."""
    tiles = tile(graph, chip, _ALLOWED[kind])
    if not chip.far_flash:
        return tiles
    program = make_program(graph, chip, tiles, keep_image=_image_places(tiles)[0], pair=None)
    if program.near_bytes <= MAX_NEAR_BYTES:
        return tiles
    near = {step.kernel.name for step in program.steps if step.packed.is_near and step.kernel.kind != PORTABLE}
    return tile(graph, chip, _ALLOWED[kind], [kernel for kernel in CATALOGUE if kernel.name not in near])


def _cycles(graph: Graph, chip: Chip, tiles: Sequence[Tile]) -> float:
    return sum(kernel.cost(ops, chip, alive_behind(graph, ops)).cycles for kernel, ops in tiles)


def _layouts(graph: Graph, chip: Chip, tiles: Sequence[Tile]) -> Iterator[Program]:
    for pairs in (False, True) if possible_pairs(tiles) else (False,):
        for keep_image in _image_places(tiles):
            yield make_program(graph, chip, tiles, keep_image=keep_image, pair=_best_pair(tiles, keep_image, pairs))


def _image_places(tiles: Sequence[Tile]) -> tuple[bool, ...]:
    """Whether the image may be kept, the better first."""
    kernel, ops = tiles[0]
    return (False,) if kernel.room(ops).in_arena else (True, False)


def _asked_for(graph: Graph, kernel: str, chip: Chip) -> Program:
    return next(_layouts(graph, chip, _tilings(graph, chip, kernel)[0]))


def _portable(graph: Graph, keep_image: bool, pair: int | None) -> Program:
    return make_program(graph, HOST, tile(graph, HOST, (PORTABLE,)), keep_image=keep_image, pair=pair)


def _portable_layouts(graph: Graph) -> list[Program]:
    """The portable program beside whatever assembly was chosen, the plain one first."""
    pairs = (None, *possible_pairs(tile(graph, HOST, (PORTABLE,))))
    return [_portable(graph, keep_image, pair) for pair in pairs for keep_image in (True, False)]


def _best_pair(tiles: Sequence[Tile], keep_image: bool, pairs: bool) -> int | None:
    """The pair that makes the arena smallest, None where none does."""
    uses = row_uses(tiles)
    candidates: list[int | None] = [None, *(possible_pairs(tiles) if pairs else ())]
    return min(candidates, key=lambda pair: lay_out(uses, keep_image, as_pair(tiles, pair)).arena_bytes)


def tile(graph: Graph, chip: Chip, kinds: Sequence[str], catalogue: Sequence[Kernel] = CATALOGUE) -> list[Tile]:
    """The chain of ops as the kernels of least cycles that may run it, in one pass from its end. Raise InputError,
    naming the op, where none runs one."""
    ops = graph.ops
    last = ops[-1]
    if scores_as_codes(last) and not (isinstance(last, Dense) and isinstance(last.rows.requantiser, DoubleRounding)):
        need = "need sums; leave the rounding behind the last op out"
        raise InputError(f"{graph.format.label}: {op_name(ops[-1])}: found scores that are codes, {need}")
    best: list[tuple[float, list[Tile]]] = [(0.0, [])] * (len(ops) + 1)
    for at in range(len(ops) - 1, -1, -1):
        found: list[tuple[float, list[Tile]]] = []
        refusals = []
        for kernel in catalogue:
            taken = ops[at : at + kernel.takes(ops[at:])] if kernel.kind in kinds else ()
            if not taken:
                continue
            if refusal := kernel.refuses(taken, chip):
                refusals.append(refusal)
                continue
            cycles, others = best[at + len(taken)]
            cycles += kernel.cost(taken, chip, alive_behind(graph, taken)).cycles
            found.append((cycles, [(kernel, taken), *others]))
        if not found:
            raise InputError(f"{graph.format.label}: {op_name(ops[at])}: {refusals[-1]}; train another architecture")
        best[at] = min(found, key=lambda each: each[0])
    return best[0][1]


def _refusal(graph: Graph, chip: Chip, kind: str) -> InputError:
    """Why no kernel of a kind runs any of the ops: what the first of them says of the last op that it would take."""
    if not graph.format.is_integer:
        found = f"{op_name(graph.ops[-1])}: found {graph.format.label} weights, need an integer format"
        return InputError(f"{kind}: {found}; leave --kernel out for the best")
    for at in range(len(graph.ops) - 1, -1, -1):
        for kernel in CATALOGUE:
            taken: Ops = graph.ops[at : at + kernel.takes(graph.ops[at:])]
            refusal = kernel.refuses(taken, chip) if taken and kernel.kind == kind else None
            if refusal:
                return InputError(f"{kind}: {op_name(taken[0])}: {refusal}; leave --kernel out for the best")
    return InputError(f"{kind}: found {title(graph)}, need an op that it runs; leave --kernel out for the best")
