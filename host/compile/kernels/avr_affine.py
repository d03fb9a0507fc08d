"""AVR assembly for imported nets (nn_avr.h): sums as nn_avr_conv and nn_avr_dense make them, then the imported rule."""

from __future__ import annotations

from collections.abc import Mapping

from host.compile.boards import Chip
from host.compile.description import Description, rows_field, small
from host.compile.kernels import affine, avr_patch, portable
from host.compile.kernels.kernel import OneOpOnAvr, Packed, whole
from host.compile.memory import Place
from host.quantise.ops import Conv, Dense

EDGE_MAX = 96
"""NN_AVR_AFFINE_EDGE_MAX: inputs of a window that is put together on the stack."""


class AvrAffineConv(OneOpOnAvr[Conv]):
    """nn_avr_affine_conv: one group, or an output for each channel; see nn_avr_affine_conv.c for padding."""

    name = "nn_avr_affine_conv"
    template = "avr8/affine_conv.j2"
    runs = Conv
    stack = portable.CONV_STACK + EDGE_MAX + 4

    def refusal(self, op: Conv) -> str | None:
        if refusal := portable.sides_refusal(op) or affine.affine_refusal(op.rows) or avr_patch.long_refusal(op):
            return refusal
        if op.groups != 1 and not op.is_depthwise:
            return f"found {op.groups} groups, need 1, or one for each of {op.input_shape[0]} channels and its output"
        run = op.kernel[1] * op.input_shape[0]
        if op.groups == 1 and run > avr_patch.RUN_MAX:
            return f"found {run} inputs in a kernel's row, need {avr_patch.RUN_MAX} at most"
        inputs = op.rows.flat.shape[1]
        if affine.edges(op) and (op.groups != 1 or inputs > EDGE_MAX):
            found = f"padding with code {op.source.zero} around {op.groups} groups of {inputs} inputs"
            return f"found {found}, need one group, {EDGE_MAX} inputs at most"
        return None

    def blocks(self, op: Conv) -> avr_patch.Blocks:
        """What its outputs are cut into."""
        return avr_patch.cut(op.rows, op.is_depthwise)

    def packed(self, op: Conv, place: Place) -> Packed:
        blocks = self.blocks(op)
        fields = *affine.conv_fields(op, place, "layer."), *blocks.fields
        rom = avr_patch.block_bytes(op, blocks, affine.rule_bytes(op.rows))
        return Packed(rom, Description(self.name, fields, blocks.called))

    def counted(self, op: Conv, chip: Chip, alive: float | None) -> float:
        blocks, at_edges, total = self.blocks(op), affine.edges(op), 0.0
        for (y, x), count in portable.windows(op).items():
            for size in blocks.sizes:
                if op.is_depthwise:
                    cycles: float = avr_patch.depth_cycles(chip, size, y, x)
                elif (y, x) in at_edges:
                    cycles = avr_patch.patch_cycles(blocks, chip, size, 1, op.rows.flat.shape[1], 1.0)
                else:
                    cycles = avr_patch.patch_cycles(blocks, chip, size, y, x * op.input_shape[0], op.share)
                total += count * cycles
        return total

    def counts(self, op: Conv, alive: float | None) -> Mapping[str, float]:
        positions, sizes, at_edges = op.used[0] * op.used[1], self.blocks(op).sizes, affine.edges(op)
        kind = "depthwise" if op.is_depthwise else "full"
        return {
            self.name: 1,
            f"{self.name} {kind} position": positions,
            f"{self.name} {kind} input": positions * op.rows.flat.shape[1] * op.rows.outputs,
            f"{self.name} block": positions * len(sizes),
            "nn_avr_affine_codes code": positions * op.rows.outputs,
            f"{self.name} edge": sum(at_edges.values()),
        } | affine.conv_codes(op, alive)

    def functions(self, op: Conv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        names = ("nn_avr_affine_conv", "nn_walk_load", "nn_avr_affine_codes", "nn_affine_code")
        return whole(*names) | self.blocks(op).routines


class AvrAffineDense(OneOpOnAvr[Dense]):
    """nn_avr_affine_dense: as nn_avr_dense."""

    name = "nn_avr_affine_dense"
    template = "avr8/affine_dense.j2"
    runs = Dense
    stack = portable.CONV_STACK

    def refusal(self, op: Dense) -> str | None:
        if avr_patch.pieces(op.inputs) is None:
            return f"found {op.inputs} inputs, need a product of two numbers up to {avr_patch.RUN_MAX}"
        return portable.units_refusal(op) or affine.affine_refusal(op.rows) or avr_patch.long_refusal(op)

    def packed(self, op: Dense, place: Place) -> Packed:
        blocks, found = avr_patch.cut(op.rows), avr_patch.pieces(op.inputs)
        assert found is not None
        own = small((("pieces", found[0]), ("piece", found[1]), ("outputs", op.rows.outputs)))
        fields = rows_field(), *own, *affine.range_fields(op), *blocks.fields
        rom = avr_patch.block_bytes(op, blocks, affine.rule_bytes(op.rows))
        return Packed(rom, Description(self.name, fields, blocks.called))

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        blocks, found = avr_patch.cut(op.rows), avr_patch.pieces(op.inputs)
        assert found is not None
        share = op.nonzero / op.inputs
        return sum(avr_patch.patch_cycles(blocks, chip, size, *found, share) for size in blocks.sizes)

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        sizes = avr_patch.cut(op.rows).sizes
        counts = {self.name: 1.0, f"{self.name} block": len(sizes), "nn_avr_affine_codes code": op.rows.outputs}
        return counts | affine.dense_counts(op, alive)

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        names = ("nn_avr_affine_dense", "nn_avr_affine_codes", "nn_affine_code")
        return whole(*names) | avr_patch.cut(op.rows).routines
