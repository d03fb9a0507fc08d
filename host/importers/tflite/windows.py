"""How a convolution or pool goes over a map: kernel, strides and padding, as an operator's options say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from host.importers.steps import NO_PADS, same_pads
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


def window(options: Mapping[str, float], kernel: Pair, sides: Pair) -> Window:
    """Of an operator over a map of (height, width)."""
    strides = int(options["StrideH"]), int(options["StrideW"])
    return Window(kernel, strides, same_pads(sides, kernel, strides) if options["Padding"] == _SAME else NO_PADS)
