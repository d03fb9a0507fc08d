"""The stage table of a learned net: what runs in which order, where each map lies, and the numbers in flash.

The counterpart of `plan` for nets of learned kernels, with the same questions answered under the same names.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from host.deploy.learned_arena import Layout, Place, lay_out
from host.deploy.learned_nets import ConvStage, DenseStage, LearnedNet, PoolStage, Rows, Stage


@dataclass(frozen=True)
class StageStep:
    """One stage in execution order; `rom` is where its rows begin in the plan's bytes."""

    index: int
    stage: Stage
    place: Place
    rom: int

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
            return f"{'average' if stage.is_average else 'max'} pool {stage.size}"
        return f"dense {stage.rows.weights.shape[1]}-{stage.rows.outputs}"


@dataclass(frozen=True)
class LearnedPlan:
    """A learned net, laid out for execution."""

    net: LearnedNet
    steps: tuple[StageStep, ...]
    layout: Layout
    kernel: str = "portable"
    twin: None = None

    @property
    def program(self) -> str:
        """The template of the portable program."""
        return "model_net_learned.j2"

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
        return tuple(step.name for step in self.steps)

    @property
    def portable_marks(self) -> tuple[str, ...]:
        return self.marks

    @property
    def macs(self) -> int:
        return sum(stage.macs for stage in self.net.stages)

    @cached_property
    def rom(self) -> bytes:
        """All stages' rows as they lie in flash, without holes."""
        return b"".join(_stage_bytes(stage) for stage in self.net.stages)

    @property
    def flash_rom(self) -> bytes:
        return self.rom

    @property
    def weights_crcs(self) -> tuple[int, ...]:
        """What READY must answer."""
        return (zlib.crc32(self.rom),)


def plan_learned(net: LearnedNet, keep_image: bool = True) -> LearnedPlan:
    """Lay out `net`; without `keep_image` the image is overwritten as it is used up."""
    layout = lay_out(net, keep_image)
    steps, rom = [], 0
    for index, (stage, place) in enumerate(zip(net.stages, layout.places, strict=True)):
        steps.append(StageStep(index, stage, place, rom))
        rom += len(_stage_bytes(stage))
    return LearnedPlan(net, tuple(steps), layout)


def _stage_bytes(stage: Stage) -> bytes:
    """A row for each output: bias, multiplier, weights in the order in which they meet a map (row, column, channel)."""
    if isinstance(stage, PoolStage):
        return b""
    rows = stage.rows
    weights = rows.weights
    if isinstance(stage, DenseStage) and len(stage.input_shape) == 3:
        weights = weights.reshape(len(weights), *stage.input_shape)
    if weights.ndim == 4:
        weights = weights.transpose(0, 2, 3, 1)
    return _row_bytes(rows, np.ascontiguousarray(weights).reshape(rows.outputs, -1).view(np.uint8))


def _row_bytes(rows: Rows, weights: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> bytes:
    parts = [rows.bias.astype("<i4").view(np.uint8).reshape(-1, 4)]
    if rows.multipliers is not None:
        parts.append(rows.multipliers.astype("<u2").view(np.uint8).reshape(-1, 2))
    return np.concatenate([*parts, weights], axis=1).tobytes()
