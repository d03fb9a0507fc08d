"""One step of a program: a kernel at work on some ops, its place in memory and its bytes in flash."""

from __future__ import annotations

from dataclasses import dataclass

from host.compile.description import Description
from host.compile.kernels.kernel import Kernel, Ops, Packed
from host.compile.kernels.kinds import CODE
from host.compile.memory import Place
from host.quantise.ops import elements, op_name


@dataclass(frozen=True, eq=False)
class Step:
    """`rom` is where its bytes begin in the program's, behind `padding`. `mark` is the profiling build's that ends it;
    None in the first of a pair. `ends_pair` is that first step, in the second."""

    index: int
    kernel: Kernel
    ops: Ops
    place: Place
    packed: Packed
    rom: int
    padding: int
    mark: int | None
    ends_pair: Step | None = None

    @property
    def output_bytes(self) -> int:
        """What it leaves in the arena, or as scores."""
        last = self.ops[-1]
        return last.codes.item * elements(last.output_shape)

    @property
    def template(self) -> str:
        return self.kernel.template

    @property
    def description(self) -> Description | None:
        """What its kernel reads of it in flash, None where it reads none."""
        described = self.packed.description
        return None if described is None else described.at(self.rom)

    @property
    def name(self) -> str:
        """For people, such as `conv 5x5 8, pool 2`."""
        return "dense layers as code" if self.kernel.kind == CODE else op_name(self.ops[0])
