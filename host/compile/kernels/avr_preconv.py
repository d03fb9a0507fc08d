"""The fixed front end in AVR assembly, for two image sizes (nn_avr.h)."""

from __future__ import annotations

from host.compile.boards import Chip
from host.compile.kernels import portable
from host.compile.kernels.kernel import Cost, OneOpOnAvr
from host.quantise.ops import Preconv

SIZES = ((16, 16), (28, 28))
TOPS = (63, 255)
"""For these its division has been proved exact."""


class AvrPreconv(OneOpOnAvr[Preconv]):
    """nn_avr_preconv_16x16 and nn_avr_preconv_28x28."""

    name = "nn_avr_preconv"
    template = "avr8/preconv.j2"
    runs = Preconv

    def refusal(self, op: Preconv) -> str | None:
        if op.input_shape[1:] not in SIZES:
            known = " or ".join(f"{height}x{width}" for height, width in SIZES)
            return f"found {op.input_shape[1]}x{op.input_shape[2]} pixels, need {known}"
        if op.top not in TOPS:
            return f"found a largest feature of {op.top}, need {' or '.join(map(str, TOPS))}"
        return portable.preconv_refusal(op)

    def scratch(self, op: Preconv) -> int:
        return portable.preconv_scratch(op)

    def cost_of(self, op: Preconv, chip: Chip, alive: float | None) -> Cost:
        _, rows, columns = op.output_shape
        nonzero = rows * columns if alive is None else alive
        if op.input_shape[1:] == (28, 28):
            cycles = 14550 + 39.5 * nonzero
        else:
            cycles = 5240 + 30.7 * nonzero if op.top == 63 else 5170 + 31.0 * nonzero
        return Cost(cycles, {"nn_avr_preconv": 1380}, stack=portable.DENSE_STACK)
