"""AVR assembly for dense ops whose sums pass what one call can hold: rows in pieces, or in one that a large bias is
added to, in 32 bits (nn_avr.h)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from host.compile.boards import Chip
from host.compile.kernels import avr_patch, layouts, portable
from host.compile.kernels.kernel import Cost, OneOpOnAvr, Packed
from host.quantise.ops import Dense

MAX_PIECES = 255
_STEP_CYCLES, _PIECE_CYCLES = 600, 150
"""Of C around the assembly: once, and for each piece of each block."""


@dataclass(frozen=True)
class Piece:
    """Inputs that one call takes: `rows` times `run`, from `first` on."""

    first: int
    rows: int
    run: int

    @property
    def inputs(self) -> int:
        return self.rows * self.run


class LongDense(OneOpOnAvr[Dense]):
    """nn_avr_long: the blocks of nn_avr_rows, each row cut where its sum would leave the kernel's bits."""

    name = "nn_avr_long"
    template = "avr8/long.j2"
    runs = Dense

    def refusal(self, op: Dense) -> str | None:
        if refusal := portable.dense_refusal(op) or layouts.block_refusal(op.rows):
            return refusal
        count = len(cut(op))
        return None if count <= MAX_PIECES else f"found {count} pieces of a row, need {MAX_PIECES} at most"

    def packed(self, op: Dense) -> Packed:
        blocks, pieces = avr_patch.cut(op.rows), cut(op)
        multipliers, shift = layouts.board_rule(op.rows)
        weights = layouts.map_order(op)
        rom = bytearray(number for piece in pieces for number in (piece.rows, piece.run))
        first = 0
        for size in blocks.sizes:
            part = slice(first, first + size)
            rom += op.rows.bias[part].astype("<i4").tobytes()
            rom += multipliers[part].astype("<u2").tobytes() if shift else b""
            for piece in pieces:
                by_input = np.ascontiguousarray(weights[part, piece.first : piece.first + piece.inputs].T)
                rom += bytes(3 * size) + layouts.pack_fields(by_input, blocks.bits).tobytes()
            first += size
        return Packed(bytes(rom), {"blocks": blocks, "shift": shift, "pieces": len(pieces)})

    def cost_of(self, op: Dense, chip: Chip, alive: float | None) -> Cost:
        blocks, shares, cycles = avr_patch.cut(op.rows), op.shares, float(_STEP_CYCLES)
        pieces = cut(op)
        for piece in pieces:
            share = float(shares[piece.first : piece.first + piece.inputs].mean())
            for size in blocks.sizes:
                cycles += avr_patch.patch_cycles(blocks, size, piece.rows, piece.run, share)
                cycles += 16 + 32 * size + _PIECE_CYCLES
        is_hidden = op.rows.requantiser is not None
        cycles += sum(51 + 41 * size for size in blocks.sizes) if is_hidden else 0
        code = {f"nn_avr_long {'hidden' if is_hidden else 'scores'}": 700, "nn_avr_add24": 40}
        code |= {"nn_avr_activate32": 170} if is_hidden else {}
        return Cost(cycles, code | avr_patch.routines(blocks), stack=portable.CONV_STACK)


def cut(op: Dense) -> list[Piece]:
    """As few pieces as there must be: each as long as its sums fit the patch kernel, and a product of two numbers that
    a byte holds. Their sums begin at 0."""
    wide = layouts.map_order(op).astype(np.int64) * op.source.high
    low = np.cumsum(np.minimum(wide, 0), axis=1)
    high = np.cumsum(np.maximum(wide, 0), axis=1)
    limit = 2 ** (avr_patch.SUM_BITS[op.rows.format.bits] - 1)
    found: list[Piece] = []
    first = 0
    while first < op.inputs:
        before = (low[:, first - 1 : first], high[:, first - 1 : first]) if first else (0, 0)
        fits = ((low - before[0])[:, first:] >= -limit).all(axis=0) & ((high - before[1])[:, first:] < limit).all(
            axis=0
        )
        most = int(fits.argmin()) if not fits.all() else len(fits)
        rows, run = _rectangle(min(most, avr_patch.WEIGHTS_MAX))
        found.append(Piece(first, rows, run))
        first += rows * run
    return found


def _rectangle(most: int) -> tuple[int, int]:
    """(rows, run), neither above what a byte holds, whose product is the largest up to `most`."""
    inputs = most
    while (found := avr_patch.pieces(inputs)) is None:
        inputs -= 1
    return found
