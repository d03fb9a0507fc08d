"""What a plan will cost on a board, before anything is compiled, and what to do when it does not fit.

The coefficients were measured with the committed firmware on Debian's avr-gcc 5.4 and the simulated board;
`tests/board/test_budget.py` compares every prediction with the compiler's and the simulator's figures.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from host.deploy.numerics import WeightFormat
from host.deploy.plan import DenseStep, Plan, plan
from host.deploy.quantise import quantise
from host.deploy.target import Board
from host.errors import FitError
from host.train.network import Dense, Network

CODE_BYTES = {WeightFormat.FLOAT32: 8700, WeightFormat.FLOAT16: 9000, WeightFormat.INT8: 7200}
STATIC_BYTES = 250
STACK_BYTES = 256
"""What the deepest call chain and an interrupt need; the board's painted stack reports what was really used."""
MAX_HIDDEN = 255


@dataclass(frozen=True)
class Budget:
    """Predicted bytes of flash and RAM (static, and kept free for the stack) and CPU cycles for one digit."""

    flash: int
    ram_static: int
    stack: int
    cycles: int

    def fits(self, board: Board) -> bool:
        return self.flash <= board.flash and self.ram_static + self.stack <= board.ram


def predict(planned: Plan) -> Budget:
    """The budget of `planned` on an AVR; the native build has no limits worth counting."""
    height, width = planned.net.input_shape
    cycles = _front_end_cycles(height, width) + sum(_dense_cycles(step, planned.net.format) for step in planned.steps)
    return Budget(
        flash=CODE_BYTES[planned.net.format] + len(planned.rom),
        ram_static=STATIC_BYTES + planned.image_bytes + planned.arena_bytes + 4 * planned.classes,
        stack=STACK_BYTES,
        cycles=cycles,
    )


def check_fit(network: Network, planned: Plan, board: Board) -> Budget:
    """The budget; raise FitError, naming the bytes and what would fit, where `board` is too small."""
    budget = predict(planned)
    if not board.is_avr or budget.fits(board):
        return budget
    needs = []
    if budget.flash > board.flash:
        needs.append(f"flash: found {budget.flash:,} bytes needed, {board.flash:,} there")
    if budget.ram_static + budget.stack > board.ram:
        needs.append(f"RAM: found {budget.ram_static:,} + {budget.stack} stack needed, {board.ram:,} there")
    raise FitError(
        f"{board.name}: {planned.net.format.label} {'; '.join(needs)}; {_what_would_fit(network, planned, board)}"
    )


def _what_would_fit(network: Network, planned: Plan, board: Board) -> str:
    for fmt in (WeightFormat.FLOAT16, WeightFormat.INT8):
        if fmt > planned.net.format:
            smaller = predict(plan(quantise(network, fmt)))
            if smaller.fits(board):
                return f"--format {fmt.label} would fit with {smaller.flash:,} bytes of flash"
    hidden = _largest_hidden(network, board)
    return (
        f"a net of --hidden {hidden} would fit as int8"
        if hidden
        else "no net for this image size fits; use --board mega"
    )


def _largest_hidden(network: Network, board: Board) -> int:
    """The widest int8 hidden layer that fits, 0 where none does."""
    height, width = network.input_shape
    classes = len(network.labels)
    for hidden in range(MAX_HIDDEN, 0, -1):
        sizes = [(height // 2) * (width // 2), hidden, classes]
        layers = tuple(
            Dense(np.ones((outputs, inputs), np.float32), np.zeros(outputs, np.float32), None, 1.0)
            for inputs, outputs in itertools.pairwise(sizes)
        )
        if predict(plan(quantise(replace(network, layers=layers), WeightFormat.INT8, prune=False))).fits(board):
            return hidden
    return 0


def _front_end_cycles(height: int, width: int) -> int:
    return 100 * height * width


def _dense_cycles(step: DenseStep, fmt: WeightFormat) -> int:
    per_mac = {WeightFormat.FLOAT32: 260, WeightFormat.FLOAT16: 330, WeightFormat.INT8: 24}[fmt]
    return per_mac * step.inputs * step.outputs + 100 * step.outputs
