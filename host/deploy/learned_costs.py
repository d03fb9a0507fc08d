"""Measured costs of the committed firmware with learned kernels: Debian's avr-gcc 5.4, PlatformIO's flags.

`tests/board/test_verify_learned.py` holds the predictions against the compiler's and the simulator's figures.
"""

from __future__ import annotations

from host.deploy.learned_nets import ConvStage, DenseStage, Stage, covered
from host.deploy.learned_plan import LearnedPlan
from host.deploy.target import Board

STACK_BYTES = 256
_CODE_BYTES = 6600
_CONV_BYTES = 1100
_POOL_BYTES = 350
# As firmware/src/ram_avr.h shares out the RAM.
_OTHERS_BYTES = 220
_OTHERS_BYTES_PER_CLASS = 8
_STACK_RESERVE = 320
_RX_SPARE = 24
_RX_BYTES = 64
_FRAME_OVERHEAD = 6
# Cycles around nn_patch_sum's counted loop: for each row and call of it, each sum and each position of a kernel.
_ROW_CYCLES = 10
_PATCH_CYCLES = 90
_SUM_CYCLES = 170
_POSITION_CYCLES = 800


def flash(planned: LearnedPlan) -> int:
    """Bytes of the whole sketch."""
    stages = planned.net.stages
    has_conv = any(isinstance(stage, ConvStage) for stage in stages)
    has_pool = any(not isinstance(stage, ConvStage | DenseStage) for stage in stages)
    return _CODE_BYTES + has_conv * _CONV_BYTES + has_pool * _POOL_BYTES + len(planned.rom)


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
        inputs = stage.rows.weights.shape[1]
        return stage.rows.outputs * (_run(inputs) + 230)
    if isinstance(stage, ConvStage):
        return _conv_cycles(stage)
    channels, height, width = stage.output_shape
    return channels * height * width * (60.0 + 15.0 * stage.size**2)


def _conv_cycles(stage: ConvStage) -> float:
    channels, height, width = stage.output_shape
    share = stage.input_shape[0] // stage.groups
    rows, columns = (
        [covered(position, stage.stride, stage.padding, stage.kernel, side) for position in range(count * stage.pool)]
        for count, side in zip((height, width), stage.input_shape[1:], strict=True)
    )
    total = 0.0
    for y in rows:
        for x in columns:
            # One patch, or one for each kernel row whose runs are single pixels.
            patches, runs, run = (1, y, x * share) if stage.groups == 1 else (y, y * x, share)
            total += patches * _PATCH_CYCLES + runs * (_ROW_CYCLES + _run(run)) + _SUM_CYCLES
    return total * channels + _POSITION_CYCLES * len(rows) * len(columns)


def _run(count: int) -> int:
    """The counted part: products, in fours and then one by one."""
    return 12 * count + 4 * (count // 4) + 3 * (count % 4)
