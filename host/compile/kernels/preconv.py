"""The fixed front end: in C for any even sides, and in AVR assembly for two image sizes (nn.h, nn_avr.h)."""

from __future__ import annotations

from collections.abc import Mapping

from host.compile.boards import Chip
from host.compile.description import Description, small
from host.compile.kernels import portable
from host.compile.kernels.kernel import OneOp, OneOpOnAvr, Packed, whole
from host.compile.memory import Place
from host.quantise.ops import Preconv, elements

SIZES = ((16, 16), (28, 28))


class PortablePreconv(OneOp[Preconv]):
    """nn_preconv, for any even sides; it pools into u16 where its features will lie."""

    name = "nn_preconv"
    template = "c/preconv.j2"
    runs = Preconv
    stack = portable.DENSE_STACK

    def refusal(self, op: Preconv) -> str | None:
        return preconv_refusal(op)

    def scratch(self, op: Preconv) -> int:
        return preconv_scratch(op)

    def packed(self, op: Preconv, place: Place) -> Packed:
        _, height, width = op.input_shape
        fields = small((("height", height), ("width", width), ("levels", op.top)))
        return Packed(b"", Description("nn_front_end", fields))

    def counts(self, op: Preconv, alive: float | None) -> Mapping[str, float]:
        _, rows, columns = op.output_shape
        return {"nn_preconv": 1, "nn_preconv column": columns, "nn_preconv feature": rows * columns}

    def functions(self, op: Preconv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return whole("nn_preconv")

    def calls(self, op: Preconv) -> Mapping[str, float]:
        return {}


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


class AvrPreconv(OneOpOnAvr[Preconv]):
    """nn_avr_preconv_16x16 and nn_avr_preconv_28x28."""

    name = "nn_avr_preconv"
    template = "avr8/preconv.j2"
    runs = Preconv
    stack = portable.DENSE_STACK

    def refusal(self, op: Preconv) -> str | None:
        if op.input_shape[1:] not in SIZES:
            known = " or ".join(f"{height}x{width}" for height, width in SIZES)
            return f"found {op.input_shape[1]}x{op.input_shape[2]} pixels, need {known}"
        return preconv_refusal(op)

    def scratch(self, op: Preconv) -> int:
        return preconv_scratch(op)

    def packed(self, op: Preconv, place: Place) -> Packed:
        return Packed(b"", Description("nn_avr_front_end", small((("levels", op.top),))))

    def counted(self, op: Preconv, chip: Chip, alive: float | None) -> float:
        nonzero = elements(op.output_shape) if alive is None else alive
        if op.input_shape[1:] == (28, 28):
            return 14550 + 39.5 * nonzero
        return 5240 + 30.7 * nonzero if op.top == 63 else 5170 + 31.0 * nonzero

    def functions(self, op: Preconv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        size = "x".join(map(str, op.input_shape[1:]))
        return whole(f"nn_avr_preconv_{size}", "nn_avr_normalize")

    def calls(self, op: Preconv) -> Mapping[str, float]:
        return {}
