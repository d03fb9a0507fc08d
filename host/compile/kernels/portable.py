"""The portable kernels: C for every chip (firmware/lib/nn/nn.h), which compute whatever no other kernel does."""

from __future__ import annotations

from collections import Counter

from host.compile.boards import Chip
from host.compile.kernels import layouts
from host.compile.kernels.kernel import Cost, OneOp, Packed
from host.quantise.ops import Codes, Conv, Dense, Pool, Preconv, Rows, elements

MAX_SIDE = 255
MAX_POOL = 16
MAX_INPUTS = 0xFFFF
"""Also of bytes of a map, and of weights of one output: the kernels count both in 16 bits, on every machine."""

CONV_STACK, DENSE_STACK = 236, 128
"""Two convolutions in turns take 226, with the serial line's interrupt on top; everything else less than 212. Nets
without a convolution take 85 at most: tests/analysis/test_stack.py bounds them."""

# Cycles on an AVR, measured on the committed firmware as PlatformIO builds it; tests/board/test_budget.py holds them.
_STEP_CYCLES = 500
_ROW_CYCLES, _PATCH_CYCLES, _SUM_CYCLES, _POSITION_CYCLES = 20, 130, 130, 800
"""Around nn_patch_sum's loop: for each row and call of it, each sum, each position."""
_DENSE_CYCLES = 230
_PACKED_RUN_CYCLES, _PACKED_CYCLES = 58, 34
_PACKED_RUN_CYCLES_FAR, _PACKED_CYCLES_FAR = 83, 37
"""The portable sums of packed weights: for each run of inputs, and each of them; where flash is read far."""
_POOLED_CYCLES, _POOLED_CYCLES_PER_INPUT = 60, 17


def rows_refusal(rows: Rows, source: Codes) -> str | None:
    """What no kernel of u8 activations and rows of numbers can compute, whatever the op."""
    if source.zero or source.low or rows.codes.zero or rows.codes.low:
        zero = rows.codes.zero or source.zero
        return f"found codes that stand for 0 at {zero}, need 0"
    return layouts.rule_refusal(rows)


def patch_cycles(count: int, bits: int, far: bool) -> int:
    """The portable sum of one run: counted for a byte a weight, in fours and then one by one; fitted for packed."""
    if bits < 8:
        once, each = (_PACKED_RUN_CYCLES_FAR, _PACKED_CYCLES_FAR) if far else (_PACKED_RUN_CYCLES, _PACKED_CYCLES)
        return once + each * count
    return 12 * count + 4 * (count // 4) + 3 * (count % 4)


def windows(op: Conv) -> Counter[tuple[int, int]]:
    """How often the kernel is computed with so many of its rows and columns inside the map."""
    return Counter((y, x) for y in op.covered(0) for x in op.covered(1))


class PortableConv(OneOp[Conv]):
    """nn_conv: convolution, activation and max-pool in one pass."""

    name = "nn_conv"
    template = "c/conv.j2"
    runs = Conv

    def refusal(self, op: Conv) -> str | None:
        return conv_refusal(op)

    def packed(self, op: Conv) -> Packed:
        return Packed(layouts.row_bytes(op), {"shift": layouts.board_rule(op.rows)[1]})

    def cost_of(self, op: Conv, chip: Chip, alive: float | None) -> Cost:
        share, bits, total = op.input_shape[0] // op.groups, op.rows.format.bits, 0.0
        for (y, x), count in windows(op).items():
            # One patch, or one for each kernel row whose runs are single pixels.
            patches, runs, run = (1, y, x * share) if op.groups == 1 else (y, y * x, share)
            sums = patches * _PATCH_CYCLES + runs * (_ROW_CYCLES + patch_cycles(run, bits, chip.far_flash))
            total += count * ((sums + _SUM_CYCLES) * op.rows.outputs + _POSITION_CYCLES)
        return Cost(total, {"nn_conv": 1400, **_packed_code(bits)}, stack=CONV_STACK)


def conv_refusal(op: Conv) -> str | None:
    """What no convolution kernel of u8 activations can compute."""
    return sides_refusal(op) or rows_refusal(op.rows, op.source)


def sides_refusal(op: Conv) -> str | None:
    """What a convolution's description has no room for."""
    if max(*op.input_shape, op.rows.outputs, *op.output_shape) > MAX_SIDE or max(op.pool) > MAX_POOL:
        found = f"{'x'.join(map(str, op.input_shape))}, {op.rows.outputs} channels out, pool {max(op.pool)}"
        return f"found {found}, need sides and channels up to {MAX_SIDE}, pools and their strides up to {MAX_POOL}"
    if max(*op.kernel, *op.strides, *op.pads, *op.used) > MAX_SIDE:
        found = f"kernel {op.kernel}, strides {op.strides}, padding {op.pads}, {op.used} positions"
        return f"found {found}, need each up to {MAX_SIDE}"
    if op.rows.flat.shape[1] > MAX_INPUTS:
        return f"found {op.rows.flat.shape[1]:,} weights of one output, need {MAX_INPUTS:,} at most"
    return map_refusal(op)


def map_refusal(op: Conv | Pool) -> str | None:
    """What the kernels cannot count in 16 bits."""
    largest = max(op.source.item * elements(op.input_shape), op.codes.item * elements(op.output_shape))
    return f"found a map of {largest:,} bytes, need {MAX_INPUTS:,} at most" if largest > MAX_INPUTS else None


def _packed_code(bits: int) -> dict[str, int]:
    return {"nn_packed_sum": 200} if bits < 8 else {}


class PortableDense(OneOp[Dense]):
    """nn_rows: fully connected, over a whole map as it lies in memory."""

    name = "nn_rows"
    template = "c/dense.j2"
    runs = Dense

    def refusal(self, op: Dense) -> str | None:
        return dense_refusal(op)

    def packed(self, op: Dense) -> Packed:
        return Packed(layouts.row_bytes(op), {"shift": layouts.board_rule(op.rows)[1]})

    def cost_of(self, op: Dense, chip: Chip, alive: float | None) -> Cost:
        bits = op.rows.format.bits
        products = patch_cycles(op.inputs, bits, chip.far_flash)
        cycles = _STEP_CYCLES + op.rows.outputs * (products + _DENSE_CYCLES)
        code = {"nn_rows hidden": 410} if op.rows.requantiser is not None else {"nn_rows scores": 1500}
        return Cost(cycles, code | _packed_code(bits), stack=DENSE_STACK)


def dense_refusal(op: Dense) -> str | None:
    """What no dense kernel of u8 activations can compute."""
    return units_refusal(op) or rows_refusal(op.rows, op.source)


def units_refusal(op: Dense) -> str | None:
    """What a dense layer's description has no room for."""
    if op.inputs > MAX_INPUTS or op.rows.outputs > MAX_SIDE:
        return f"found dense {op.inputs}-{op.rows.outputs}, need at most {MAX_INPUTS}-{MAX_SIDE}"
    return None


class PortablePool(OneOp[Pool]):
    """nn_pool_max and nn_pool_average."""

    name = "nn_pool"
    template = "c/pool.j2"
    runs = Pool

    def refusal(self, op: Pool) -> str | None:
        return pool_refusal(op)

    def cost_of(self, op: Pool, chip: Chip, alive: float | None) -> Cost:
        channels, height, width = op.output_shape
        each = _POOLED_CYCLES + _POOLED_CYCLES_PER_INPUT * op.size[0] * op.size[1]
        return Cost(_STEP_CYCLES + channels * height * width * each, {"nn_pool": 470}, stack=CONV_STACK)


def pool_refusal(op: Pool) -> str | None:
    """What the pools' descriptor has no field for."""
    if max(*op.input_shape) > MAX_SIDE or max(*op.size, *op.strides) > MAX_POOL:
        found = f"{'x'.join(map(str, op.input_shape))}, pool {max(*op.size, *op.strides)}"
        return f"found {found}, need sides and channels up to {MAX_SIDE}, pools and their strides up to {MAX_POOL}"
    return map_refusal(op)


class PortablePreconv(OneOp[Preconv]):
    """nn_preconv, for any even sides; it pools into u16 where its features will lie."""

    name = "nn_preconv"
    template = "c/preconv.j2"
    runs = Preconv

    def refusal(self, op: Preconv) -> str | None:
        return preconv_refusal(op)

    def scratch(self, op: Preconv) -> int:
        return preconv_scratch(op)

    def cost_of(self, op: Preconv, chip: Chip, alive: float | None) -> Cost:
        _, rows, columns = op.output_shape
        return Cost(435 + 117 * columns + 219 * rows * columns, {"nn_preconv": 600}, stack=DENSE_STACK)


def preconv_refusal(op: Preconv) -> str | None:
    """What no kernel of the front end can compute."""
    sides = op.input_shape[1:]
    if any(side % 2 or not 4 <= side <= 64 for side in sides):
        return f"found {sides[0]}x{sides[1]} pixels, need even sides of 4..64"
    return None


def preconv_scratch(op: Preconv) -> int:
    """Two bytes for each feature, while the map is not yet normalised."""
    _, rows, columns = op.output_shape
    return 2 * rows * columns
