"""AVR assembly for dense ops whose sums pass what one call can hold: rows in pieces, or in one that a large bias is
added to, in 32 bits (nn_avr.h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from host.compile.boards import Chip
from host.compile.description import Description, rows_field, small
from host.compile.kernels import avr_patch, layouts, portable
from host.compile.kernels.kernel import OneOpOnAvr, Packed, whole
from host.compile.memory import Place
from host.quantise.ops import Dense

MAX_PIECES = 255


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
    """nn_avr_long: the blocks of nn_avr_dense, each row cut where its sum would leave the kernel's bits."""

    name = "nn_avr_long"
    template = "avr8/long.j2"
    runs = Dense
    stack = portable.CONV_STACK

    def refusal(self, op: Dense) -> str | None:
        if refusal := portable.dense_refusal(op) or layouts.block_refusal(op.rows):
            return refusal
        count = len(cut(op))
        return None if count <= MAX_PIECES else f"found {count} pieces of a row, need {MAX_PIECES} at most"

    def packed(self, op: Dense, place: Place) -> Packed:
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
        own = small((("pieces", len(pieces)), ("shift", shift), ("top", op.codes.high)))
        described = Description("nn_avr_long", (rows_field(), *own, *blocks.fields), blocks.called)
        return Packed(bytes(rom), described, {"blocks": blocks})

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        blocks, shares, total = avr_patch.cut(op.rows), layouts.map_shares(op), 0.0
        for piece in cut(op):
            share = float(shares[piece.first : piece.first + piece.inputs].mean())
            for size in blocks.sizes:
                total += avr_patch.patch_cycles(blocks, chip, size, piece.rows, piece.run, share) + 16 + 32 * size
        if op.rows.requantiser is None:
            return total
        each = 64 if layouts.board_rule(op.rows)[1] == layouts.SHORT_SHIFT else 58
        positive = op.rows.outputs / 2 if alive is None else alive
        return total + 51 * len(blocks.sizes) + 24 * op.rows.outputs + (each - 24) * positive

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        blocks, end = avr_patch.cut(op.rows), portable.end_of(op)
        sizes = blocks.sizes
        counts = {
            f"nn_avr_long {end}": 1.0,
            f"nn_avr_long {end} block": len(sizes),
            "nn_avr_long bias": op.rows.outputs,
            "nn_avr_long piece": len(sizes) * len(cut(op)),
            "nn_avr_long byte of an input": len(cut(op)) * sum(map(blocks.stride, sizes)),
        }
        return counts if end == "hidden" else counts | {"nn_argmax_i32 score": op.rows.outputs}

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        end = portable.end_of(op)
        names = (f"nn_avr_long_{end}", "nn_avr_add24", "nn_avr_activate32" if end == "hidden" else "nn_argmax_i32")
        return whole(*names) | avr_patch.cut(op.rows).routines


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
