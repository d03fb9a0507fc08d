"""The fixed front end in AVR assembly, for two image sizes (nn_avr.h)."""

from __future__ import annotations

from collections.abc import Mapping

from host.compile.boards import Chip
from host.compile.kernels import portable
from host.compile.kernels.kernel import OneOpOnAvr
from host.compile.kernels.measured import Measured
from host.quantise.ops import Preconv, elements

SIZES = ((16, 16), (28, 28))

_FLASH = Measured(
    near={
        "nn_avr_preconv_16x16": 1257.22,
        "nn_avr_normalize": 466.5,
        "nn_avr_preconv_28x28": 1266.93,
    },
    far={
        "nn_avr_preconv_16x16": 1254.54,
        "nn_avr_normalize": 464.54,
        "nn_avr_preconv_28x28": 0,
    },
)


class AvrPreconv(OneOpOnAvr[Preconv]):
    """nn_avr_preconv_16x16 and nn_avr_preconv_28x28."""

    name = "nn_avr_preconv"
    template = "avr8/preconv.j2"
    runs = Preconv
    flash, stack = _FLASH, portable.DENSE_STACK

    def refusal(self, op: Preconv) -> str | None:
        if op.input_shape[1:] not in SIZES:
            known = " or ".join(f"{height}x{width}" for height, width in SIZES)
            return f"found {op.input_shape[1]}x{op.input_shape[2]} pixels, need {known}"
        return portable.preconv_refusal(op)

    def scratch(self, op: Preconv) -> int:
        return portable.preconv_scratch(op)

    def counted(self, op: Preconv, chip: Chip, alive: float | None) -> float:
        nonzero = elements(op.output_shape) if alive is None else alive
        if op.input_shape[1:] == (28, 28):
            return 14550 + 39.5 * nonzero
        return 5240 + 30.7 * nonzero if op.top == 63 else 5170 + 31.0 * nonzero

    def functions(self, op: Preconv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        size = "x".join(map(str, op.input_shape[1:]))
        return {name: {name: 1} for name in (f"nn_avr_preconv_{size}", "nn_avr_normalize")}
