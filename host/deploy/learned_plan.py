"""The stage table of a learned net: what runs in which order, where each map lies, and the numbers in flash.

The counterpart of `plan` for nets of learned kernels, with the same questions answered under the same names.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

from host.compile.memory import Layout, Place, lay_out
from host.deploy.learned_nets import ConvStage, LearnedNet, PoolStage, Stage
from host.deploy.learned_rows import row_bytes
from host.deploy.learned_twin import LearnedTwin, TwinStage, learned_twin


@dataclass(frozen=True)
class StageStep:
    """One stage in execution order; `rom` is where its rows begin in the plan's bytes. `twin` is the same stage in the
    twin's bytes, where the plan has one. `mark` is the profiling build's that ends it; None in the first of a pair."""

    index: int
    mark: int | None
    stage: Stage
    place: Place
    rom: int
    twin: TwinStage | None

    @property
    def kind(self) -> str:
        """What the template renders: conv, pool, hidden or scores."""
        if isinstance(self.stage, ConvStage):
            return "conv"
        if isinstance(self.stage, PoolStage):
            return "pool"
        return "scores" if self.stage.rows.multipliers is None else "hidden"

    @property
    def name(self) -> str:
        """For people, such as `conv 5x5 8, pool 2`."""
        stage = self.stage
        if isinstance(stage, ConvStage):
            depth = "" if stage.groups == 1 else f" in {stage.groups} groups"
            pool = "" if stage.pool == 1 else f", pool {stage.pool}"
            return f"conv {stage.kernel}x{stage.kernel} {stage.rows.outputs}{depth}{pool}"
        if isinstance(stage, PoolStage):
            stride = "" if stage.stride == stage.size else f", stride {stage.stride}"
            return f"{'average' if stage.is_average else 'max'} pool {stage.size}{stride}"
        return f"dense {stage.rows.weights.shape[1]}-{stage.rows.outputs}"


@dataclass(frozen=True)
class LearnedPlan:
    """A learned net, laid out for execution."""

    net: LearnedNet
    steps: tuple[StageStep, ...]
    layout: Layout
    kernel: str
    twin: LearnedTwin | None

    @property
    def program(self) -> str:
        """The template of the portable program."""
        return "model_net_learned.j2"

    @property
    def twin_program(self) -> str:
        """The template of the AVR's program."""
        return "model_net_learned_asm.j2"

    @property
    def title(self) -> str:
        """Stages for people, such as `conv 5x5 8, pool 2; dense 1152-10`."""
        return "; ".join(step.name for step in self.steps)

    @property
    def classes(self) -> int:
        return self.net.stages[-1].output_shape[0]

    @property
    def arena_bytes(self) -> int:
        return self.layout.arena_bytes

    @property
    def image_bytes(self) -> int:
        height, width = self.net.input_shape
        return height * width

    @property
    def image_at(self) -> int | None:
        """Where in the arena the image lies, and is overwritten; None where it has a slot of its own."""
        return self.layout.image

    @property
    def marks(self) -> tuple[str, ...]:
        """What a profiling build measures, in order."""
        names: list[str] = []
        for step in self.steps:
            joined = bool(step.index) and self.layout.pair == step.index - 1
            names.append(f"{names.pop()} with {step.name}" if joined else step.name)
        return tuple(names)

    @property
    def portable_marks(self) -> tuple[str, ...]:
        return self.marks

    @property
    def macs(self) -> int:
        return sum(stage.macs for stage in self.net.stages)

    @cached_property
    def rom(self) -> bytes:
        """All stages' rows as they lie in flash, without holes."""
        return b"".join(row_bytes(stage) for stage in self.net.stages)

    @property
    def flash_rom(self) -> bytes:
        """What lies in an AVR's flash."""
        return self.rom if self.twin is None else self.twin.rom

    @property
    def weights_crcs(self) -> tuple[int, ...]:
        """What READY may answer: the CRC-32 of the portable program's numbers, or of the twin's."""
        return tuple(zlib.crc32(rom) for rom in ([self.rom] if self.twin is None else [self.rom, self.twin.rom]))


def plan_learned(
    net: LearnedNet, kernel: str = "portable", *, keep_image: bool = True, pairs: bool = False
) -> LearnedPlan:
    """Lay out `net`; without `keep_image` the image is overwritten as it is used up. With `pairs` two convolutions may
    run row by row in turns, where that makes the arena smaller."""
    twin = learned_twin(net) if kernel == "asm" else None
    candidates = [None, *(_pairs(net, twin) if pairs else ())]
    layout = min((lay_out(net, keep_image, pair) for pair in candidates), key=lambda found: found.arena_bytes)
    steps, rom, mark = [], 0, 0
    for index, (stage, place) in enumerate(zip(net.stages, layout.places, strict=True)):
        ends = None if index == layout.pair else mark
        steps.append(StageStep(index, ends, stage, place, rom, None if twin is None else twin.stages[index]))
        rom += len(row_bytes(stage))
        mark += ends is not None
    return LearnedPlan(net, tuple(steps), layout, kernel, twin)


def _pairs(net: LearnedNet, twin: LearnedTwin | None) -> list[int]:
    """The stages that could run in turns with the next one: both convolutions, and both of one kernel."""

    def is_assembly(index: int) -> bool:
        return twin is not None and twin.stages[index].blocks is not None

    return [
        index
        for index in range(len(net.stages) - 1)
        if isinstance(net.stages[index], ConvStage)
        and isinstance(net.stages[index + 1], ConvStage)
        and is_assembly(index) == is_assembly(index + 1)
    ]
