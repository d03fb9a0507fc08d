"""The portable kernels: C for every chip (firmware/lib/nn/nn.h), which compute whatever no other kernel does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from host.compile.boards import Chip
from host.compile.kernels import layouts
from host.compile.kernels.kernel import Cost, Ops, Packed, Room
from host.compile.kernels.kinds import PORTABLE
from host.compile.memory import Place
from host.quantise.ops import Codes, Conv, Dense, Pool, Preconv, Rows

MAX_SIDE = 255
MAX_POOL = 16
MAX_INPUTS = 0xFFFF
PRECONV_TOPS = (63, 255)

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
    if not rows.format.is_integer or source.is_float:
        return f"found {rows.format.label} weights, need an integer format"
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


@dataclass(frozen=True)
class PortableConv:
    """nn_conv: convolution, activation and max-pool in one pass."""

    name: str = "nn_conv"
    kind: str = PORTABLE
    template: str = "c/conv.j2"

    def takes(self, ops: Ops) -> int:
        return int(isinstance(ops[0], Conv))

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        op = ops[0]
        assert isinstance(op, Conv)
        if max(*op.input_shape, op.rows.outputs, *op.output_shape) > MAX_SIDE or max(op.pool) > MAX_POOL:
            found = f"{'x'.join(map(str, op.input_shape))}, {op.rows.outputs} channels out, pool {max(op.pool)}"
            return f"found {found}, need sides and channels up to {MAX_SIDE}, pools and their strides up to {MAX_POOL}"
        return rows_refusal(op.rows, op.source)

    def room(self, ops: Ops) -> Room:
        return Room()

    def pack(self, ops: Ops, place: Place) -> Packed:
        op = ops[0]
        assert isinstance(op, Conv)
        return Packed(layouts.row_bytes(op), {"shift": layouts.board_rule(op.rows)[1]})

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        op = ops[0]
        assert isinstance(op, Conv)
        share, bits, total = op.input_shape[0] // op.groups, op.rows.format.bits, 0.0
        for (y, x), count in windows(op).items():
            # One patch, or one for each kernel row whose runs are single pixels.
            patches, runs, run = (1, y, x * share) if op.groups == 1 else (y, y * x, share)
            sums = patches * _PATCH_CYCLES + runs * (_ROW_CYCLES + patch_cycles(run, bits, chip.far_flash))
            total += count * ((sums + _SUM_CYCLES) * op.rows.outputs + _POSITION_CYCLES)
        return Cost(total, {"nn_conv": 1400, **_packed_code(bits)}, stack=CONV_STACK)


def _packed_code(bits: int) -> dict[str, int]:
    return {"nn_packed_sum": 200} if bits < 8 else {}


@dataclass(frozen=True)
class PortableDense:
    """nn_rows: fully connected, over a whole map as it lies in memory."""

    name: str = "nn_rows"
    kind: str = PORTABLE
    template: str = "c/dense.j2"

    def takes(self, ops: Ops) -> int:
        return int(isinstance(ops[0], Dense))

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        op = ops[0]
        assert isinstance(op, Dense)
        if op.inputs > MAX_INPUTS or op.rows.outputs > MAX_SIDE:
            return f"found dense {op.inputs}-{op.rows.outputs}, need at most {MAX_INPUTS}-{MAX_SIDE}"
        return rows_refusal(op.rows, op.source)

    def room(self, ops: Ops) -> Room:
        return Room()

    def pack(self, ops: Ops, place: Place) -> Packed:
        op = ops[0]
        assert isinstance(op, Dense)
        return Packed(layouts.row_bytes(op), {"shift": layouts.board_rule(op.rows)[1]})

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        op = ops[0]
        assert isinstance(op, Dense)
        bits = op.rows.format.bits
        products = patch_cycles(op.inputs, bits, chip.far_flash)
        cycles = _STEP_CYCLES + op.rows.outputs * (products + _DENSE_CYCLES)
        code = {"nn_rows hidden": 410} if op.rows.requantiser is not None else {"nn_rows scores": 1500}
        return Cost(cycles, code | _packed_code(bits), stack=DENSE_STACK)


@dataclass(frozen=True)
class PortablePool:
    """nn_pool_max and nn_pool_average."""

    name: str = "nn_pool"
    kind: str = PORTABLE
    template: str = "c/pool.j2"

    def takes(self, ops: Ops) -> int:
        return int(isinstance(ops[0], Pool))

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        return pool_refusal(ops)

    def room(self, ops: Ops) -> Room:
        return Room()

    def pack(self, ops: Ops, place: Place) -> Packed:
        return Packed(b"")

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        op = ops[0]
        assert isinstance(op, Pool)
        channels, height, width = op.output_shape
        each = _POOLED_CYCLES + _POOLED_CYCLES_PER_INPUT * op.size[0] * op.size[1]
        return Cost(_STEP_CYCLES + channels * height * width * each, {"nn_pool": 470}, stack=CONV_STACK)


def pool_refusal(ops: Ops) -> str | None:
    """What the pools' descriptor has no field for."""
    op = ops[0]
    assert isinstance(op, Pool)
    if max(*op.input_shape) > MAX_SIDE or max(*op.size, *op.strides) > MAX_POOL:
        found = f"{'x'.join(map(str, op.input_shape))}, pool {max(*op.size, *op.strides)}"
        return f"found {found}, need sides and channels up to {MAX_SIDE}, pools and their strides up to {MAX_POOL}"
    if op.source.is_float:
        return "found a map of floats, need codes"
    return None


@dataclass(frozen=True)
class PortablePreconv:
    """nn_preconv, for any even sides; it pools into u16 where its features will lie."""

    name: str = "nn_preconv"
    kind: str = PORTABLE
    template: str = "c/preconv.j2"

    def takes(self, ops: Ops) -> int:
        return int(isinstance(ops[0], Preconv))

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        return preconv_refusal(ops)

    def room(self, ops: Ops) -> Room:
        return preconv_room(ops)

    def pack(self, ops: Ops, place: Place) -> Packed:
        return Packed(b"")

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        op = ops[0]
        assert isinstance(op, Preconv)
        _, rows, columns = op.output_shape
        return Cost(435 + 117 * columns + 219 * rows * columns, {"nn_preconv": 600}, stack=DENSE_STACK)


def preconv_refusal(ops: Ops) -> str | None:
    """What no kernel of the front end can compute."""
    op = ops[0]
    assert isinstance(op, Preconv)
    sides = op.input_shape[1:]
    if op.top not in PRECONV_TOPS:
        return f"found activations of 0..{op.top}, need a largest one of {' or '.join(map(str, PRECONV_TOPS))}"
    if any(side % 2 or not 4 <= side <= 64 for side in sides):
        return f"found {sides[0]}x{sides[1]} pixels, need even sides of 4..64"
    return None


def preconv_room(ops: Ops) -> Room:
    """Two bytes for each feature, while the map is not yet normalised."""
    op = ops[0]
    assert isinstance(op, Preconv)
    _, rows, columns = op.output_shape
    return Room(scratch=2 * rows * columns)
