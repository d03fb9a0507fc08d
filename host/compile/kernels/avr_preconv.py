"""The fixed front end in AVR assembly, for two image sizes (nn_avr.h)."""

from __future__ import annotations

from dataclasses import dataclass

from host.compile.boards import Chip, Family
from host.compile.kernels import portable
from host.compile.kernels.kernel import ASSEMBLY, Cost, Ops, Packed, Room
from host.compile.memory import Place
from host.quantise.ops import Preconv

SIZES = ((16, 16), (28, 28))
TOPS = (63, 255)
"""For these its division has been proved exact."""


@dataclass(frozen=True)
class AvrPreconv:
    """nn_avr_preconv_16x16 and nn_avr_preconv_28x28."""

    name: str = "nn_avr_preconv"
    kind: str = ASSEMBLY
    template: str = "avr8/preconv.j2"

    def takes(self, ops: Ops) -> int:
        return int(isinstance(ops[0], Preconv))

    def refuses(self, ops: Ops, chip: Chip) -> str | None:
        op = ops[0]
        assert isinstance(op, Preconv)
        if chip.family is not Family.AVR:
            return f"found {chip.name}, need an AVR"
        if op.input_shape[1:] not in SIZES:
            known = " or ".join(f"{height}x{width}" for height, width in SIZES)
            return f"found {op.input_shape[1]}x{op.input_shape[2]} pixels, need {known}"
        if op.top not in TOPS:
            return f"found a largest feature of {op.top}, need {' or '.join(map(str, TOPS))}"
        return None

    def room(self, ops: Ops) -> Room:
        return portable.preconv_room(ops)

    def pack(self, ops: Ops, place: Place) -> Packed:
        return Packed(b"")

    def cost(self, ops: Ops, chip: Chip, alive: float | None) -> Cost:
        op = ops[0]
        assert isinstance(op, Preconv)
        _, rows, columns = op.output_shape
        nonzero = rows * columns if alive is None else alive
        if op.input_shape[1:] == (28, 28):
            cycles = 14550 + 39.5 * nonzero
        else:
            cycles = 5240 + 30.7 * nonzero if op.top == 63 else 5170 + 31.0 * nonzero
        return Cost(cycles, {"nn_avr_preconv": 1380}, stack=portable.DENSE_STACK)
