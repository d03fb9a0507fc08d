"""A Graph laid out for one chip: which kernel runs which ops, where each map lies, which bytes stand in flash."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np

from host.compile import company
from host.compile.boards import Chip
from host.compile.description import Description
from host.compile.kernels.kernel import Cost, Kernel, Ops, Packed
from host.compile.kernels.kinds import CODE, KINDS
from host.compile.memory import Layout, Pair, RowUse, lay_out, row_use
from host.compile.step import Step
from host.quantise.graph import Graph
from host.quantise.ops import Conv, Dense, Preconv, computes_floats, elements, op_name

Tile = tuple[Kernel, Ops]
"""A kernel and the ops that one step of it runs."""


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in order of execution; `kind` is the most special of their kernels'."""

    graph: Graph
    chip: Chip
    steps: tuple[Step, ...]
    layout: Layout

    @property
    def kind(self) -> str:
        return max((step.kernel.kind for step in self.steps), key=KINDS.index)

    @cached_property
    def rom(self) -> bytes:
        """All steps' numbers as they lie in flash, without holes."""
        return b"".join(bytes(step.padding) + step.packed.rom for step in self._in_flash)

    @property
    def _in_flash(self) -> list[Step]:
        """The steps as their bytes follow each other."""
        return sorted(self.steps, key=lambda step: step.rom)

    @property
    def rom_parts(self) -> list[tuple[bytes, object]]:
        """`rom` as it is written down: runs of data, and routines."""
        parts: list[tuple[bytes, object]] = []
        for code, steps in groupby(self._in_flash, key=lambda step: step.packed.fields.get("code")):
            data = b"".join(bytes(step.padding) + (b"" if code else step.packed.rom) for step in steps)
            parts.append((data, code))
        return parts

    @property
    def reads_far(self) -> bool:
        """Whether any step's numbers are found by `numbers`."""
        return any(step.packed.rom and not step.packed.is_near for step in self.steps if step.kernel.kind != CODE)

    @property
    def memory(self) -> tuple[int, int | None]:
        """What a header says of it."""
        return self.arena_bytes, self.image_at

    @property
    def described(self) -> tuple[tuple[int, Description], ...]:
        """(number of the step, its description) in order of execution, of the steps that have one."""
        return tuple((step.index, step.description) for step in self.steps if step.description is not None)

    @cached_property
    def crc(self) -> int:
        """What READY answers: the CRC-32 of `rom`, and behind it the bytes of each description."""
        return zlib.crc32(b"".join(description.bytes for _, description in self.described), self.rom_crc)

    @cached_property
    def rom_crc(self) -> int:
        """Of `rom` alone: what boards answer that were flashed before descriptions counted."""
        return zlib.crc32(self.rom)

    @property
    def near_bytes(self) -> int:
        """How far into `rom` pointers of 16 bits must reach."""
        return max((step.rom + len(step.packed.rom) for step in self.steps if step.packed.is_near), default=0)

    @property
    def image_at(self) -> int | None:
        """Where in the arena the image lies, and is overwritten; None where it has a slot of its own."""
        return self.layout.image

    @property
    def arena_bytes(self) -> int:
        return self.layout.arena_bytes

    @property
    def image_bytes(self) -> int:
        return elements(self.graph.input_shape)

    @property
    def marks(self) -> tuple[str, ...]:
        """What a profiling build measures, in order."""
        return tuple(
            f"{step.ends_pair.name} with {step.name}" if step.ends_pair else step.name
            for step in self.steps
            if step.mark is not None
        )

    @property
    def outputs(self) -> dict[int, int]:
        """What a build that traces sends: bytes by mark; the last step's are the scores."""
        return {step.mark: step.output_bytes for step in self.steps[:-1] if step.mark is not None}

    @cached_property
    def costs(self) -> tuple[Cost, ...]:
        """Of each step."""
        return tuple(map(self._cost, self.steps))

    def _cost(self, step: Step) -> Cost:
        cost = step.kernel.cost(step.ops, self.chip, alive_behind(self.graph, step.ops))
        cycles = cost.cycles + company.cycles(step, self.steps, self.chip)
        return replace(cost, cycles=cycles, stack=cost.stack + (company.TURNS_STACK if step.ends_pair else 0))

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Predicted mean cycles by mark."""
        cycles = [0.0] * len(self.marks)
        for step, cost in zip(self.steps, self.costs, strict=True):
            mark = self.steps[step.index + 1].mark if step.mark is None else step.mark
            assert mark is not None
            cycles[mark] += cost.cycles
        return tuple(zip(self.marks, map(round, cycles), strict=True))


def alive_behind(graph: Graph, ops: Ops) -> float | None:
    """How many outputs of `ops` are not zero on average, None where they are scores or nobody knows."""
    following = graph.ops.index(ops[-1]) + 1
    op = graph.ops[following] if following < len(graph.ops) else None
    if op is None or isinstance(op, Preconv) or op.density is None:
        return None
    return float(np.mean(op.density)) * elements(op.input_shape)


def title(graph: Graph) -> str:
    """The ops for people, such as `conv 5x5 8, pool 2; dense 1152-10`, dense ones in a row as one."""
    names = []
    for is_dense, ops in groupby(graph.ops, key=lambda op: isinstance(op, Dense)):
        run = list(ops)
        if is_dense:
            sizes = [elements(run[0].input_shape), *(elements(op.output_shape) for op in run)]
            names.append(f"dense {'-'.join(map(str, sizes))}")
        else:
            names += map(op_name, run)
    return "; ".join(names)


def make_program(graph: Graph, chip: Chip, tiles: Sequence[Tile], *, keep_image: bool, pair: int | None) -> Program:
    """Lay out tiles that cover the graph; without `keep_image` the image is overwritten as it is used up. The step
    `pair` runs row by row in turns with the next one."""
    layout = lay_out(row_uses(tiles), keep_image, as_pair(tiles, pair))
    packed = [kernel.pack(ops, place) for (kernel, ops), place in zip(tiles, layout.places, strict=True)]
    starts = _rom_starts(packed)
    steps: list[Step] = []
    mark = 0
    for index, ((kernel, ops), place) in enumerate(zip(tiles, layout.places, strict=True)):
        begins_pair = index == layout.pair
        first = steps[-1] if steps and layout.pair == index - 1 else None
        ends = None if begins_pair else mark
        steps.append(Step(index, kernel, ops, place, packed[index], *starts[index], ends, first))
        mark += not begins_pair
    return Program(graph, chip, tuple(steps), layout)


def _rom_starts(packed: Sequence[Packed]) -> list[tuple[int, int]]:
    """(where each step's bytes begin, the padding before): what pointers of 16 bits read comes first, where they
    reach it."""
    starts = [(0, 0)] * len(packed)
    at = 0
    for index in sorted(range(len(packed)), key=lambda index: not packed[index].is_near):
        padding = -at % packed[index].align
        starts[index] = (at + padding, padding)
        at += padding + len(packed[index].rom)
    return starts


def row_uses(tiles: Sequence[Tile]) -> list[RowUse]:
    """What each tile needs of the arena."""
    uses = []
    for kernel, ops in tiles:
        room = kernel.room(ops)
        uses.append(row_use(ops, room.scratch, room.stays_near))
    return uses


def as_pair(tiles: Sequence[Tile], pair: int | None) -> Pair | None:
    """The two convolutions of `pair`."""
    if pair is None:
        return None
    second = tiles[pair + 1][1][0]
    assert isinstance(second, Conv)
    return Pair(pair, second)


def possible_pairs(tiles: Sequence[Tile]) -> list[int]:
    """The steps that could run in turns with the next one: both convolutions of codes, and both described alike."""
    convs = [isinstance(ops[0], Conv) and not computes_floats(ops[0]) for _, ops in tiles]
    kinds = [kernel.template for kernel, _ in tiles]
    return [
        index
        for index in range(len(tiles) - 1)
        if convs[index] and convs[index + 1] and kinds[index] == kinds[index + 1]
    ]
