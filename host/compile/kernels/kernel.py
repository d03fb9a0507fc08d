"""What a kernel is: one way to run one or several ops on a chip. A kernel is given ops and a chip, never a program.

A kernel says no, it is never asked what it is: selection tries all of the catalogue, and the refusal of the best one is
what the user reads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

from host.compile import measured
from host.compile.boards import Chip, Family
from host.compile.description import Description
from host.compile.kernels.kinds import ASSEMBLY, PORTABLE
from host.compile.memory import Place
from host.quantise.ops import Conv, Dense, Op, Pool, Preconv, computes_floats

Ops: TypeAlias = tuple[Op, ...]


@dataclass(frozen=True)
class Room:
    """What a kernel works in beside its maps: `scratch` bytes where its output will begin, and whether it is quickest
    where that is right behind its input. `in_arena`: its input cannot be the image in a slot of its own."""

    scratch: int = 0
    stays_near: bool = False
    in_arena: bool = False


@dataclass(frozen=True)
class Packed:
    """What stands in flash for a step: `rom`, from a multiple of `align` on, and a `description` where its kernel reads
    one. `fields` is what the template wants to know besides. `is_near`: pointers of 16 bits read `rom`."""

    rom: bytes
    description: Description | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    is_near: bool = False
    align: int = 1


@dataclass(frozen=True)
class Cost:
    """Predicted: mean cycles; bytes of code, by name where the linker keeps them once for all steps that name it, and
    the step's `own`; bytes of stack."""

    cycles: float
    code: Mapping[str, float]
    own: float = 0
    stack: int = 0


class Kernel(Protocol):
    """`template` holds the macros `call` and, for kernels that end a net, `predict`; and `declaration` where C must be
    told of something first."""

    @property
    def name(self) -> str:
        """As in the catalogue, and of what it calls in C."""

    @property
    def kind(self) -> str:
        """One of kinds.KINDS."""

    @property
    def template(self) -> str:
        """Below templates/."""

    def takes(self, ops: Ops) -> int:
        """How many of `ops`, from the first on, it would run in one step; 0 for none."""

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        """Why it cannot run exactly these ops: `found X, need Y`; None where it can."""

    def room(self, ops: Ops) -> Room:
        """What it works in."""

    def pack(self, ops: Ops, place: Place) -> Packed:
        """What stands in flash; `place` matters to code, and to what runs upwards."""

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        """`alive`: how many outputs are not zero on average, None where they are scores or nobody knows."""


def whole(*names: str) -> dict[str, dict[str, float]]:
    """Functions that are measured as they are, for `OneOp.functions`."""
    return {name: {name: 1} for name in names}


OpT = TypeVar("OpT", Preconv, Conv, Dense, Pool)


class OneOp(ABC, Generic[OpT]):
    """A kernel that runs one op of a kind, in C on every chip; what such kernels share, so that each says only what
    sets it apart."""

    kind = PORTABLE
    runs: type[OpT]
    on_floats = False
    stack = 0

    @property
    @abstractmethod
    def name(self) -> str:
        """As Kernel.name."""

    def takes(self, ops: Ops) -> int:
        return int(isinstance(ops[0], self.runs) and computes_floats(ops[0]) == self.on_floats)

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        return self.refusal(cast(OpT, ops[0]))

    def room(self, ops: Ops) -> Room:
        return Room(scratch=self.scratch(cast(OpT, ops[0])))

    def pack(self, ops: Ops, place: Place) -> Packed:
        return self.packed(cast(OpT, ops[0]), place)

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        return self.cost_of(cast(OpT, ops[0]), chip, alive)

    @abstractmethod
    def refusal(self, op: OpT) -> str | None:
        """As Kernel.refuses, of an op of the kind and a chip of the family."""

    def scratch(self, op: OpT) -> int:
        """As Room.scratch."""
        return 0

    @abstractmethod
    def packed(self, op: OpT, place: Place) -> Packed:
        """As Kernel.pack."""

    def cost_of(self, op: OpT, chip: Chip, alive: float | None) -> Cost:
        """As Kernel.cost."""
        cycles = self.counted(op, chip, alive) + measured.cycles(self.counts(op, alive), chip)
        code = {symbol: measured.flash(terms, chip) for symbol, terms in self.functions(op, chip).items()}
        return Cost(cycles, code, measured.flash(self.calls(op), chip), self.stack)

    def counted(self, op: OpT, chip: Chip, alive: float | None) -> float:
        """Cycles that nobody has to measure: of loops in assembly, by its instructions."""
        return 0.0

    def counts(self, op: OpT, alive: float | None) -> Mapping[str, float]:
        """How often it does what was measured, by name."""
        return {}

    def functions(self, op: OpT, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        """What the linker keeps once, each with what was measured of its bytes, by name."""
        return {}

    def calls(self, op: OpT) -> Mapping[str, float]:
        """What a step has for itself, likewise: its description, and the code that calls it."""
        return {f"a step of {self.name}": 1}


class OneOpOnAvr(OneOp[OpT]):
    """The same in AVR assembly."""

    kind = ASSEMBLY

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        if chip.family is not Family.AVR:
            return f"found {chip.name}, need an AVR"
        return super().refuses(ops, chip)
