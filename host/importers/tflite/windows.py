"""How a convolution or pool goes over a map: kernel, strides and padding, as an operator's options say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from host.nn.shapes import Pads, Pair

_SAME = 0


@dataclass(frozen=True)
class Window:
    """Kernel and strides (height, width), padding (top, left, bottom, right)."""

    kernel: Pair
    strides: Pair
    pads: Pads

    def turned(self) -> Window:
        """The same over a map whose rows and columns changed places."""
        top, left, bottom, right = self.pads
        return Window(self.kernel[::-1], self.strides[::-1], (left, top, right, bottom))

    def padded(self, more: Pads) -> Window:
        """The same with more padding around it."""
        first, second, third, fourth = (pad + added for pad, added in zip(self.pads, more, strict=True))
        return Window(self.kernel, self.strides, (first, second, third, fourth))

    def steps(self, sides: Pair) -> Pair:
        """How many positions there are on a map of (height, width)."""
        first, second = (
            (side + self.pads[axis] + self.pads[axis + 2] - self.kernel[axis]) // self.strides[axis] + 1
            for axis, side in enumerate(sides)
        )
        return first, second


def window(options: Mapping[str, float], kernel: Pair, sides: Pair) -> Window:
    """Of an operator over a map of (height, width). SAME pads so that there is a position for each `stride` rows and
    columns begun, the odd one below and to the right."""
    strides = int(options["StrideH"]), int(options["StrideW"])
    if options["Padding"] != _SAME:
        return Window(kernel, strides, (0, 0, 0, 0))
    totals = [
        max((-(-side // stride) - 1) * stride + size - side, 0)
        for side, stride, size in zip(sides, strides, kernel, strict=True)
    ]
    before = [total // 2 for total in totals]
    after = [total - half for total, half in zip(totals, before, strict=True)]
    return Window(kernel, strides, (before[0], before[1], after[0], after[1]))
