"""Measured costs of the committed firmware with learned kernels: Debian's avr-gcc 5.4, PlatformIO's flags.

`tests/board/test_verify_learned.py` holds the predictions against the compiler's and the simulator's figures. The
cycles of the assembly and of the portable kernels' inner loop are counted, those of the C around them are fitted.
"""

from __future__ import annotations

from host.compile.boards import Board
from host.deploy.learned_nets import ConvStage, DenseStage, PoolStage, covered
from host.deploy.learned_plan import LearnedPlan, StageStep
from host.deploy.learned_twin import Blocks

STACK_BYTES = 236
"""Two convolutions in turns take 226, with the serial line's interrupt on top; everything else less than 212."""
_CODE_BYTES = 3370
_CODE_BYTES_FAR = 1340
_KERNEL_BYTES = {"conv": 1400, "pool": 470, "hidden": 410, "scores": 1500}
_TWIN_BYTES = {"conv": 1480, "depth": 1600, "hidden": 500, "scores": 1690}
_SHARED_BYTES = 1150
"""What either of the two kinds of convolution brings in and the other has then for nothing."""
_PACKED_BYTES = 200
_PAIR_BYTES = 400
_DEPTH_PAIR_BYTES = 500
"""A pair whose one or other is depthwise takes so much more."""
_PATCH_BYTES = {8: (210, 28), 4: (200, 50), 2: (180, 57)}
"""Of one routine, by the bits of its weights: fixed, and for each output of its block."""
_DEPTH_BYTES = (130, 26)
"""The same of a depthwise one."""
_POOL_BYTES = 330
_WINDOW_BYTES = {False: 64, True: 210}
"""The twins of pools: what goes over the map, and one routine for the largest and one for the mean."""
# As firmware/src/ram_avr.h shares out the RAM.
_OTHERS_BYTES = 220
_OTHERS_BYTES_PER_CLASS = 8
_STACK_RESERVE = 320
_RX_SPARE = 24
_RX_BYTES = 64
_FRAME_OVERHEAD = 6

_STAGE_CYCLES = 500
# Cycles of the portable kernels around nn_patch_sum's loop: for each row and call of it, each sum, each position.
_ROW_CYCLES = 20
_PATCH_CYCLES = 130
_SUM_CYCLES = 130
_POSITION_CYCLES = 800
_DENSE_CYCLES = 230
_PACKED_RUN_CYCLES, _PACKED_CYCLES = 58, 34
_PACKED_RUN_CYCLES_FAR, _PACKED_CYCLES_FAR = 83, 37
"""The portable sums of packed weights: for each run of inputs, and each of them; where flash is read far."""
_POOLED_CYCLES = 60
_POOLED_CYCLES_PER_INPUT = 17
_POOL_STAGE_CYCLES = 260
_WINDOW_CYCLES = 20
# Cycles of C around the assembly: for each position, and each block of outputs there.
_TWIN_POSITION_CYCLES = 600
_TWIN_BLOCK_CYCLES = 80
_ACTIVATION_CYCLES = 46
"""Of one output, half of which are below zero."""
_UNKNOWN_DENSITY = 0.5


def flash(planned: LearnedPlan, board: Board) -> int:
    """Bytes of the whole sketch."""
    blocks = [(step.kind, step.twin.blocks) for step in planned.steps if step.twin is not None and step.twin.blocks]
    drivers = {"depth" if found.is_depthwise else kind for kind, found in blocks}
    pools = {step.stage.is_average for step in planned.steps if isinstance(step.stage, PoolStage)}
    has_pool_twins = planned.twin is not None and bool(pools)
    portable = {step.kind for step in planned.steps if step.twin is None or step.twin.blocks is None}
    portable -= {"pool"} if has_pool_twins else set()
    routines = {(_routine_bytes(found), size) for _, found in blocks for size in found.sizes}
    code = _CODE_BYTES + sum(_KERNEL_BYTES[kind] for kind in portable) + sum(_TWIN_BYTES[kind] for kind in drivers)
    code -= _SHARED_BYTES if {"conv", "depth"} <= drivers else 0
    code += sum(fixed + each * size for (fixed, each), size in routines)
    code += _POOL_BYTES + sum(_WINDOW_BYTES[kind] for kind in pools) if has_pool_twins else 0
    code += _PACKED_BYTES if planned.net.format.bits < 8 and portable - {"pool"} else 0
    if planned.layout.pair is not None:
        two = planned.steps[planned.layout.pair :][:2]
        has_depth = any(step.twin and step.twin.blocks and step.twin.blocks.is_depthwise for step in two)
        code += _PAIR_BYTES + (_DEPTH_PAIR_BYTES if has_depth else 0)
    return code + len(planned.flash_rom) + (_CODE_BYTES_FAR if _is_far(board) else 0)


def _routine_bytes(blocks: Blocks) -> tuple[int, int]:
    return _DEPTH_BYTES if blocks.is_depthwise else _PATCH_BYTES[blocks.bits]


def ram_static(planned: LearnedPlan, board: Board) -> int:
    """Bytes of .data and .bss; where there is room, the receive ring takes in a whole second image."""
    slot = planned.image_bytes if planned.image_at is None else 0
    rest = slot + planned.arena_bytes + _OTHERS_BYTES + _OTHERS_BYTES_PER_CLASS * planned.classes
    payload = planned.image_bytes + _FRAME_OVERHEAD
    ring = payload + payload // 254 + 2 + _RX_SPARE
    return rest + (ring if board.ram - rest - _STACK_RESERVE >= ring else _RX_BYTES)


def cycles(planned: LearnedPlan, board: Board, densities: list[float] | None) -> list[int]:
    """Mean cycles of each stage, in the order of `planned.marks`; `densities` is how many of a stage's inputs are not
    zero, None where nobody has measured it."""
    shares = densities or [_UNKNOWN_DENSITY] * len(planned.steps)
    found = [0.0] * len(planned.marks)
    for step, share in zip(planned.steps, shares, strict=True):
        following = planned.steps[step.index + 1].mark if step.mark is None else step.mark
        assert following is not None
        found[following] += _stage_cycles(step, share, _is_far(board))
    return [round(total) for total in found]


def _is_far(board: Board) -> bool:
    return board.flash > 1 << 16


def _stage_cycles(step: StageStep, density: float, far: bool) -> float:
    stage = step.stage
    if isinstance(stage, PoolStage):
        channels, height, width = stage.output_shape
        if step.twin is not None:
            return _POOL_STAGE_CYCLES + height * width * _window_cycles(stage.size, channels, stage.is_average)
        return _STAGE_CYCLES + channels * height * width * (_POOLED_CYCLES + _POOLED_CYCLES_PER_INPUT * stage.size**2)
    if step.twin is not None and step.twin.blocks is not None:
        if isinstance(stage, DenseStage):
            return _STAGE_CYCLES + _blocks_cycles(step.twin.blocks, step.twin.pieces, step.twin.piece, density)
        total = 0.0
        for (y, x), count in _windows(stage).items():
            if step.twin.blocks.is_depthwise:
                total += count * (_TWIN_POSITION_CYCLES + _depth_cycles(step.twin.blocks, y, x))
                continue
            run = x * stage.input_shape[0]
            total += count * (_TWIN_POSITION_CYCLES + _blocks_cycles(step.twin.blocks, y, run, density))
        return total
    if isinstance(stage, DenseStage):
        products = _run(stage.rows.weights.shape[1], stage.rows.bits, far)
        return _STAGE_CYCLES + stage.rows.outputs * (products + _DENSE_CYCLES)
    return _conv_cycles(stage, far)


def _window_cycles(size: int, channels: int, is_average: bool) -> int:
    """All channels of one window of a pool; half of a mean's bits are ones."""
    once, channel, pixel = (51, 61 + 4, 9) if is_average else (32, 9, 10)
    return _WINDOW_CYCLES + once + channels * (channel + 5 * size + pixel * size**2)


def _blocks_cycles(blocks: Blocks, rows: int, run: int, density: float) -> float:
    """All outputs at one position: a patch kernel and nn_avr_activate24 for each block."""
    total = 0.0
    for size in blocks.sizes:
        present = 11 + 6 * size + 2 * blocks.stride(size)
        products = rows * run * (density * present + (1 - density) * 9)
        total += 124 + 18 * size + 28 * rows + products + _unpacking(size, blocks.bits)
        total += 46 + _ACTIVATION_CYCLES * size + _TWIN_BLOCK_CYCLES
    return total


def _depth_cycles(blocks: Blocks, rows: int, run: int) -> float:
    """The same of a depthwise convolution; `run` counts pixels."""
    total = 0.0
    for size in blocks.sizes:
        total += 98 + 15 * size + 17 * rows + rows * run * (5 + 11 * size)
        total += 46 + _ACTIVATION_CYCLES * size + _TWIN_BLOCK_CYCLES
    return total


def _unpacking(size: int, bits: int) -> int:
    """What taking the sums of packed weights apart costs, as nn_avr_patch.h does it."""
    if bits == 8:
        return 0
    in_a_byte = 8 // bits
    differences = 3 * sum(1 for index in range(size - 1) if (index + 1) % in_a_byte)
    shifts = 3 * bits * sum(index % in_a_byte for index in range(size))
    return 3 * (bits - 1) - 5 + 3 * bits * (min(size, in_a_byte) - 1) + differences + shifts


def _conv_cycles(stage: ConvStage, far: bool) -> float:
    share = stage.input_shape[0] // stage.groups
    total = 0.0
    for (y, x), count in _windows(stage).items():
        # One patch, or one for each kernel row whose runs are single pixels.
        patches, runs, run = (1, y, x * share) if stage.groups == 1 else (y, y * x, share)
        sums = patches * _PATCH_CYCLES + runs * (_ROW_CYCLES + _run(run, stage.rows.bits, far)) + _SUM_CYCLES
        total += count * (sums * stage.rows.outputs + _POSITION_CYCLES)
    return total


def _windows(stage: ConvStage) -> dict[tuple[int, int], int]:
    """How often the kernel is computed with so many of its rows and columns inside the map."""
    _, height, width = stage.output_shape
    rows, columns = (
        [covered(position, stage.stride, stage.padding, stage.kernel, side) for position in range(count * stage.pool)]
        for count, side in zip((height, width), stage.input_shape[1:], strict=True)
    )
    found: dict[tuple[int, int], int] = {}
    for y in rows:
        for x in columns:
            found[y, x] = found.get((y, x), 0) + 1
    return found


def _run(count: int, bits: int, far: bool) -> int:
    """The portable sum of one run: counted for a byte a weight, in fours and then one by one; fitted for packed."""
    if bits < 8:
        once, each = (_PACKED_RUN_CYCLES_FAR, _PACKED_CYCLES_FAR) if far else (_PACKED_RUN_CYCLES, _PACKED_CYCLES)
        return once + each * count
    return 12 * count + 4 * (count // 4) + 3 * (count % 4)
