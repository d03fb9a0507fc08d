"""AVR assembly for convolutions: all channels at once, or an output for each channel (nn_avr.h)."""

from __future__ import annotations

from collections.abc import Mapping

from host.compile.boards import Chip
from host.compile.kernels import avr_patch, layouts, portable
from host.compile.kernels.kernel import OneOpOnAvr, Packed
from host.quantise.ops import Conv


class PatchConv(OneOpOnAvr[Conv]):
    """nn_avr_conv: one group, a kernel row of at most 255 inputs."""

    name = "nn_avr_conv"
    template = "avr8/conv.j2"
    runs = Conv
    stack = portable.CONV_STACK

    def refusal(self, op: Conv) -> str | None:
        if op.groups != 1:
            return f"found {op.groups} groups, need 1"
        if op.kernel[1] * op.input_shape[0] > avr_patch.RUN_MAX:
            return (
                f"found {op.kernel[1] * op.input_shape[0]} inputs in a kernel's row, need {avr_patch.RUN_MAX} at most"
            )
        return portable.conv_refusal(op) or avr_patch.sums_refusal(op)

    def packed(self, op: Conv) -> Packed:
        blocks = avr_patch.cut(op.rows)
        return Packed(avr_patch.block_bytes(op, blocks), {"blocks": blocks, "shift": layouts.board_rule(op.rows)[1]})

    def counted(self, op: Conv, chip: Chip, alive: float | None) -> float:
        blocks, total = avr_patch.cut(op.rows), 0.0
        share = portable.positive_share(op, alive)
        ends = sum(avr_patch.activate_cycles(op, size, share * size) for size in blocks.sizes)
        for (y, x), count in portable.windows(op).items():
            run = x * op.input_shape[0]
            total += count * (
                ends + sum(avr_patch.patch_cycles(blocks, chip, size, y, run, op.share) for size in blocks.sizes)
            )
        return total

    def counts(self, op: Conv, alive: float | None) -> Mapping[str, float]:
        return _around(self.name, op)

    def functions(self, op: Conv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return _walking(self.name, avr_patch.cut(op.rows))

    def calls(self, op: Conv) -> Mapping[str, float]:
        return {"a step of nn_avr_conv": 1}


def _around(name: str, op: Conv) -> dict[str, float]:
    """What C does around the blocks of a convolution."""
    positions = op.used[0] * op.used[1]
    return {
        name: 1,
        f"{name} position": positions,
        f"{name} size of blocks": positions * len(set(avr_patch.cut(op.rows).sizes)),
        f"{name} block": positions * len(avr_patch.cut(op.rows).sizes),
    }


def _walking(name: str, blocks: avr_patch.Blocks) -> dict[str, dict[str, float]]:
    """What the linker keeps of a convolution."""
    names = (name, "nn_walk_load", "nn_walk", "nn_avr_activate24")
    return {symbol: {symbol: 1.0} for symbol in names} | blocks.routines


class DepthConv(OneOpOnAvr[Conv]):
    """nn_avr_depth: an output for each channel, int8."""

    name = "nn_avr_depth"
    template = "avr8/conv.j2"
    runs = Conv
    stack = portable.CONV_STACK

    def refusal(self, op: Conv) -> str | None:
        if not op.is_depthwise:
            return f"found {op.groups} groups, need one for each of {op.input_shape[0]} channels and its output"
        if op.rows.format.bits != 8:
            return f"found {op.rows.format.label} weights, need int8"
        return portable.conv_refusal(op) or avr_patch.sums_refusal(op)

    def packed(self, op: Conv) -> Packed:
        blocks = avr_patch.cut(op.rows, is_depthwise=True)
        return Packed(avr_patch.block_bytes(op, blocks), {"blocks": blocks, "shift": layouts.board_rule(op.rows)[1]})

    def counted(self, op: Conv, chip: Chip, alive: float | None) -> float:
        sizes, total = avr_patch.cut(op.rows).sizes, 0.0
        share = portable.positive_share(op, alive)
        ends = sum(avr_patch.activate_cycles(op, size, share * size) for size in sizes)
        for (y, x), count in portable.windows(op).items():
            row = 17 + 3 * chip.far_flash
            total += count * (ends + sum(98 + 15 * size + row * y + y * x * (5 + 11 * size) for size in sizes))
        return total

    def counts(self, op: Conv, alive: float | None) -> Mapping[str, float]:
        return _around(self.name, op)

    def functions(self, op: Conv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return _walking(self.name, avr_patch.cut(op.rows, is_depthwise=True))

    def calls(self, op: Conv) -> Mapping[str, float]:
        return {"a step of nn_avr_conv": 1}
