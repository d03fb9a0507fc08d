"""AVR assembly for convolutions: all channels at once, or an output for each channel (nn_avr.h)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from host.compile.boards import Chip
from host.compile.description import Description
from host.compile.kernels import avr_patch, portable
from host.compile.kernels.kernel import OneOpOnAvr, Packed, whole
from host.compile.memory import Place
from host.quantise.ops import Conv


class _BlockConv(OneOpOnAvr[Conv]):
    """All outputs of a block at once, at each position."""

    template = "avr8/conv.j2"
    runs = Conv
    stack = portable.CONV_STACK

    @abstractmethod
    def blocks(self, op: Conv) -> avr_patch.Blocks:
        """What its outputs are cut into."""

    @abstractmethod
    def block_cycles(self, op: Conv, chip: Chip, size: int, y: int, x: int) -> float:
        """The sums of a block of `size` where so many of the kernel's rows and columns lie inside the map."""

    def packed(self, op: Conv, place: Place) -> Packed:
        blocks = self.blocks(op)
        fields = *portable.conv_fields(op, place, "layer."), *blocks.fields
        rom = avr_patch.block_bytes(op, blocks, avr_patch.multiplier_bytes(op.rows))
        return Packed(rom, Description("nn_avr_conv", fields, blocks.called))

    def counted(self, op: Conv, chip: Chip, alive: float | None) -> float:
        sizes, total = self.blocks(op).sizes, 0.0
        share = portable.positive_share(op, alive)
        ends = sum(avr_patch.activate_cycles(op, size, share * size) for size in sizes)
        for (y, x), count in portable.windows(op).items():
            total += count * (ends + sum(self.block_cycles(op, chip, size, y, x) for size in sizes))
        return total

    def counts(self, op: Conv, alive: float | None) -> Mapping[str, float]:
        positions, sizes = op.used[0] * op.used[1], self.blocks(op).sizes
        return {
            self.name: 1,
            f"{self.name} position": positions,
            f"{self.name} size of blocks": positions * len(set(sizes)),
            f"{self.name} block": positions * len(sizes),
        }

    def functions(self, op: Conv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return whole(self.name, "nn_walk_load", "nn_walk", "nn_avr_activate24") | self.blocks(op).routines

    def calls(self, op: Conv) -> Mapping[str, float]:
        return {"a step of nn_avr_conv": 1}


class PatchConv(_BlockConv):
    """nn_avr_conv: one group, a kernel row of at most 255 inputs."""

    name = "nn_avr_conv"

    def refusal(self, op: Conv) -> str | None:
        if op.groups != 1:
            return f"found {op.groups} groups, need 1"
        run = op.kernel[1] * op.input_shape[0]
        if run > avr_patch.RUN_MAX:
            return f"found {run} inputs in a kernel's row, need {avr_patch.RUN_MAX} at most"
        return portable.conv_refusal(op) or avr_patch.sums_refusal(op)

    def blocks(self, op: Conv) -> avr_patch.Blocks:
        return avr_patch.cut(op.rows)

    def block_cycles(self, op: Conv, chip: Chip, size: int, y: int, x: int) -> float:
        return avr_patch.patch_cycles(self.blocks(op), chip, size, y, x * op.input_shape[0], op.share)


class DepthConv(_BlockConv):
    """nn_avr_depth: an output for each channel, int8."""

    name = "nn_avr_depth"

    def refusal(self, op: Conv) -> str | None:
        if not op.is_depthwise:
            return f"found {op.groups} groups, need one for each of {op.input_shape[0]} channels and its output"
        if op.rows.format.bits != 8:
            return f"found {op.rows.format.label} weights, need int8"
        return portable.conv_refusal(op) or avr_patch.sums_refusal(op)

    def blocks(self, op: Conv) -> avr_patch.Blocks:
        return avr_patch.cut(op.rows, is_depthwise=True)

    def block_cycles(self, op: Conv, chip: Chip, size: int, y: int, x: int) -> float:
        return avr_patch.depth_cycles(chip, size, y, x)
