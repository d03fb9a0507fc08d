"""Measured costs of the committed firmware with learned kernels: Debian's avr-gcc 5.4, PlatformIO's flags.

`tests/board/test_verify_learned.py` holds the predictions against the compiler's and the simulator's figures.
"""

from __future__ import annotations

from host.deploy.learned_nets import ConvStage, DenseStage, Stage
from host.deploy.learned_plan import LearnedPlan
from host.deploy.target import Board

STACK_BYTES = 256
_CODE_BYTES = 7000
# As firmware/src/ram_avr.h shares out the RAM.
_OTHERS_BYTES = 220
_OTHERS_BYTES_PER_CLASS = 8
_STACK_RESERVE = 320
_RX_SPARE = 24
_RX_BYTES = 64
_FRAME_OVERHEAD = 6
_MAC_CYCLES = 13.3


def flash(planned: LearnedPlan, board: Board) -> int:
    """Bytes of the whole sketch."""
    return _CODE_BYTES + len(planned.rom)


def ram_static(planned: LearnedPlan, board: Board) -> int:
    """Bytes of .data and .bss; where there is room, the receive ring takes in a whole second image."""
    slot = planned.image_bytes if planned.image_at is None else 0
    rest = slot + planned.arena_bytes + _OTHERS_BYTES + _OTHERS_BYTES_PER_CLASS * planned.classes
    payload = planned.image_bytes + _FRAME_OVERHEAD
    ring = payload + payload // 254 + 2 + _RX_SPARE
    return rest + (ring if board.ram - rest - _STACK_RESERVE >= ring else _RX_BYTES)


def cycles(planned: LearnedPlan) -> list[int]:
    """Mean cycles of each stage, in the order of `planned.marks`."""
    return [round(_stage_cycles(stage)) for stage in planned.net.stages]


def _stage_cycles(stage: Stage) -> float:
    if isinstance(stage, DenseStage):
        return _MAC_CYCLES * stage.macs + 100 * stage.rows.outputs
    if isinstance(stage, ConvStage):
        channels, height, width = stage.output_shape
        return _MAC_CYCLES * stage.macs + 150 * channels * height * width * stage.pool**2
    channels, height, width = stage.output_shape
    return channels * height * width * (60.0 + 15.0 * stage.size**2)
