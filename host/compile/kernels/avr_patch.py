"""AVR assembly over patches of inputs, several outputs at once, in sums of 24 bits (nn_avr.h; docs/avr-kernels.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import Chip
from host.compile.description import Description, Field, rows_field, small
from host.compile.kernels import layouts, portable
from host.compile.kernels.kernel import OneOpOnAvr, Packed, whole
from host.compile.memory import Place
from host.quantise.ops import Conv, Dense, Rows

BLOCK_MAX = 6
RUN_MAX = 255
WEIGHTS_MAX = 10_000
SUM_BITS = {8: 24, 4: 20, 2: 18}
"""What a kernel's sums must fit, by the bits of a weight."""
ROUTINES = {8: "nn_avr_patch24", 4: "nn_avr_patch4", 2: "nn_avr_patch2"}
DEPTH_ROUTINE = "nn_avr_depth24"


@dataclass(frozen=True)
class Blocks:
    """Outputs in `larger` blocks of `size`, then `smaller` ones of one less; weights of `bits`."""

    size: int
    larger: int
    smaller: int
    bits: int
    routine: str

    @property
    def sizes(self) -> list[int]:
        return [self.size] * self.larger + [self.size - 1] * self.smaller

    def stride(self, size: int) -> int:
        """Bytes of a block's weights for one input."""
        return -(-size * self.bits // 8)

    @property
    def fields(self) -> tuple[Field, ...]:
        """nn_avr_blocks, up to its routines."""
        strides = {"larger_stride": self.stride(self.size), "smaller_stride": self.stride(self.size - 1)}
        counts = {"size": self.size, "larger": self.larger, "smaller": self.smaller}
        return small((counts | strides).items(), "blocks.")

    @property
    def called(self) -> tuple[tuple[str, str], ...]:
        """Its routines, by field."""
        smaller = f"{self.routine}_{self.size - 1}" if self.smaller else "0"
        return ("blocks.larger_sums", f"{self.routine}_{self.size}"), ("blocks.smaller_sums", smaller)

    @property
    def routines(self) -> dict[str, dict[str, float]]:
        """What the linker keeps of them, with what makes its bytes."""
        return {f"{self.routine}_{size}": {self.routine: 1, f"{self.routine} output": size} for size in self.sizes}


def cut(rows: Rows, is_depthwise: bool = False) -> Blocks:
    """As few blocks as there must be, their sizes as even as they go."""
    sizes = layouts.even_blocks(rows.outputs, BLOCK_MAX)
    larger = sizes.count(sizes[0])
    routine = DEPTH_ROUTINE if is_depthwise else ROUTINES[rows.format.bits]
    return Blocks(sizes[0], larger, len(sizes) - larger, rows.format.bits, routine)


def multiplier_bytes(rows: Rows) -> NDArray[np.uint8]:
    """What stands for each output between its start and its weights, (outputs, bytes): uint16 but for scores."""
    if rows.requantiser is None:
        return np.zeros((rows.outputs, 0), np.uint8)
    return layouts.board_rule(rows)[0].astype("<u2").view(np.uint8).reshape(-1, 2)


def block_bytes(op: Conv | Dense, blocks: Blocks, rules: NDArray[np.uint8]) -> bytes:
    """int24 starts, `rules` (outputs, bytes), weights input by input; block after block."""
    weights, rows = layouts.map_order(op), op.rows
    first, parts = 0, []
    for size in blocks.sizes:
        part = slice(first, first + size)
        parts.append(layouts.int24(_starts(rows.bias[part].astype(np.int32), blocks.bits)))
        parts.append(rules[part].tobytes())
        by_input = np.ascontiguousarray(weights[part].T)
        is_plain = blocks.routine == DEPTH_ROUTINE
        parts.append((by_input if is_plain else layouts.pack_fields(by_input, blocks.bits)).tobytes())
        first += size
    return b"".join(parts)


def _starts(bias: NDArray[np.int32], bits: int) -> NDArray[np.int32]:
    """What each sum begins with: 2^(bits·place) times its own bias, and the start of the next one in its byte."""
    starts = bias.astype(np.int64)
    for index in range(len(bias) - 1, -1, -1):
        place = index % (8 // bits)
        starts[index] <<= bits * place
        if place + 1 < 8 // bits and index + 1 < len(bias):
            starts[index] += starts[index + 1]
    return starts.astype(np.int32)  # the kernels count in 24 bits, and so modulo 2^24


def sums_refusal(op: Conv | Dense) -> str | None:
    """What none of these kernels can compute."""
    return portable.rows_refusal(op.rows, op.source) or layouts.block_refusal(op.rows) or long_refusal(op)


def long_refusal(op: Conv | Dense) -> str | None:
    """What their routines cannot add up, whatever becomes of the sums."""
    if refusal := layouts.sums_refusal(op.rows.sum_bounds(op.source.high), SUM_BITS[op.rows.format.bits]):
        return refusal
    if op.rows.flat.shape[1] > WEIGHTS_MAX:
        return f"found {op.rows.flat.shape[1]} inputs of one output, need {WEIGHTS_MAX} at most"
    return None


def activate_cycles(op: Conv | Dense, outputs: int, positive: float) -> float:
    """nn_avr_activate24 without NN_AVR_MAX, of which `positive` are above 0 on average."""
    each = 61 if layouts.board_rule(op.rows)[1] == layouts.SHORT_SHIFT else 55
    return 47 + 23 * outputs + (each - 23) * positive


def patch_cycles(blocks: Blocks, chip: Chip, size: int, rows: int, run: int, density: float) -> float:
    """One call of a patch kernel."""
    present, absent = 11 + 6 * size + 2 * blocks.stride(size), 9 + chip.far_flash
    products = rows * run * (density * present + (1 - density) * absent)
    return 124 + 18 * size + (28 + 3 * chip.far_flash) * rows + products + unpacking_cycles(size, blocks.bits)


def depth_cycles(chip: Chip, size: int, y: int, x: int) -> int:
    """One call of a depthwise kernel over so many rows and columns."""
    return 98 + 15 * size + (17 + 3 * chip.far_flash) * y + y * x * (5 + 11 * size)


def unpacking_cycles(size: int, bits: int) -> int:
    """What taking the sums of packed weights apart costs, as nn_avr_patch.h does it."""
    if bits == 8:
        return 0
    in_a_byte = 8 // bits
    differences = 3 * sum(1 for index in range(size - 1) if (index + 1) % in_a_byte)
    shifts = 3 * bits * sum(index % in_a_byte for index in range(size))
    return 3 * (bits - 1) - 5 + 3 * bits * (min(size, in_a_byte) - 1) + differences + shifts


class PatchDense(OneOpOnAvr[Dense]):
    """nn_avr_dense: a dense op whose inputs are taken as `pieces` of `piece`, neither above 255."""

    name = "nn_avr_dense"
    template = "avr8/patch_dense.j2"
    runs = Dense
    stack = portable.CONV_STACK

    def refusal(self, op: Dense) -> str | None:
        if pieces(op.inputs) is None:
            return f"found {op.inputs} inputs, need a product of two numbers up to {RUN_MAX}"
        return portable.dense_refusal(op) or sums_refusal(op)

    def packed(self, op: Dense, place: Place) -> Packed:
        blocks, found = cut(op.rows), pieces(op.inputs)
        assert found is not None
        shift, top = layouts.board_rule(op.rows)[1], portable.hidden_top(op)
        own = small((("pieces", found[0]), ("piece", found[1]), ("shift", shift), ("top", top)))
        described = Description("nn_avr_dense", (rows_field(), *own, *blocks.fields), blocks.called)
        return Packed(block_bytes(op, blocks, multiplier_bytes(op.rows)), described)

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        blocks, found, outputs = cut(op.rows), pieces(op.inputs), op.rows.outputs
        assert found is not None
        total = sum(patch_cycles(blocks, chip, size, *found, op.nonzero / op.inputs) for size in blocks.sizes)
        if op.rows.requantiser is None:
            return total + sum(16 + 20 * size for size in blocks.sizes)
        positive = 0.5 if alive is None else alive / outputs
        return total + sum(activate_cycles(op, size, positive * size) for size in blocks.sizes)

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        end = portable.end_of(op)
        counts = {f"nn_avr_dense {end}": 1.0, f"nn_avr_dense {end} block": len(cut(op.rows).sizes)}
        return counts if end == "hidden" else counts | {"nn_argmax_i32 score": op.rows.outputs}

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        end = portable.end_of(op)
        names = ("nn_avr_activate24",) if end == "hidden" else ("nn_avr_widen24", "nn_argmax_i32")
        return whole(f"nn_avr_dense_{end}", *names) | cut(op.rows).routines


def pieces(inputs: int) -> tuple[int, int] | None:
    """(pieces, piece) whose product is `inputs`, the pieces as long as they may be."""
    found = (
        (inputs // piece, piece)
        for piece in range(RUN_MAX, 0, -1)
        if inputs % piece == 0 and inputs // piece <= RUN_MAX
    )
    return next(found, None)
