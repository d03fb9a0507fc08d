"""What a plan will cost on a board, before anything is compiled, and what to do when it does not fit.

Sizes in bytes, times in CPU cycles; `sizes` and `costs` hold the measured coefficients.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from host.compile.boards import Board
from host.deploy import costs, sizes
from host.deploy.old_networks import PreconvNetwork, preconv
from host.deploy.plan import Plan, plan
from host.deploy.quantise import quantise
from host.deploy.twin import MAX_ROM_BYTES
from host.errors import FitError
from host.nn.dense_chain import DenseNumbers as Dense
from host.nn.network import Network
from host.quantise.numerics import WeightFormat

MAX_HIDDEN = 255


@dataclass(frozen=True)
class Budget:
    """Predicted for one board: bytes of flash, of weights that only near flash reads reach, of RAM (static, and kept
    free for the stack), and mean cycles of each part of one inference, named as the profiling build names them."""

    flash: int
    near_weights: int
    ram_static: int
    stack: int
    parts: tuple[tuple[str, int], ...]

    @property
    def cycles(self) -> int:
        return sum(cycles for _, cycles in self.parts)

    def lacking(self, board: Board) -> tuple[str, ...]:
        """What `board` has too little of, with the bytes; nothing where the plan fits."""
        needs = []
        if self.flash > board.flash:
            needs.append(f"flash: found {self.flash:,} bytes needed, {board.flash:,} there")
        if self.ram_static + self.stack > board.ram:
            needs.append(f"RAM: found {self.ram_static:,} + {self.stack} stack needed, {board.ram:,} there")
        if self.near_weights > MAX_ROM_BYTES:
            needs.append(
                f"weights: found {self.near_weights:,} bytes, need {MAX_ROM_BYTES:,} at most for near flash reads"
            )
        return tuple(needs) if board.is_avr else ()

    def fits(self, board: Board) -> bool:
        return not self.lacking(board)


def predict(planned: Plan, board: Board) -> Budget:
    """The budget of `planned` on `board`, an AVR; for the native build the figures are an Uno's."""
    return Budget(
        flash=sizes.flash(planned, board),
        near_weights=len(planned.flash_rom),
        ram_static=sizes.ram_static(planned, board),
        stack=sizes.STACK_BYTES,
        parts=tuple(zip(planned.marks, costs.cycles(planned, board), strict=True)),
    )


def fits(planned: Plan, board: Board) -> bool:
    return predict(planned, board).fits(board)


def check_fit(network: Network | PreconvNetwork, planned: Plan, board: Board) -> Budget:
    """The budget; raise FitError, naming the bytes and what would fit, where `board` is too small."""
    budget = predict(planned, board)
    needs = budget.lacking(board)
    if not needs:
        return budget
    what = f"{planned.net.format.label}, kernel {planned.kernel}"
    raise FitError(f"{board.name}: {what}: {'; '.join(needs)}; {_what_would_fit(preconv(network), planned, board)}")


def _what_would_fit(network: PreconvNetwork, planned: Plan, board: Board) -> str:
    if planned.kernel != "portable" and fits(plan(planned.net), board):
        return "--kernel portable would fit; so may --kernel auto"
    for fmt in (WeightFormat.FLOAT16, WeightFormat.INT8):
        if fmt > planned.net.format:
            smaller = plan(quantise(network, fmt))
            if fits(smaller, board):
                return f"--format {fmt.label} would fit with {predict(smaller, board).flash:,} bytes of flash"
    hidden = _largest_hidden(network, board)
    if hidden:
        return f"a net of --hidden {hidden} would fit as int8"
    return "no net of this image size fits; use --board mega"


def _largest_hidden(network: PreconvNetwork, board: Board) -> int:
    """The widest int8 hidden layer that fits, 0 where none does."""
    height, width = network.input_shape
    for hidden in range(MAX_HIDDEN, 0, -1):
        sizes = [(height // 2) * (width // 2), hidden, len(network.labels)]
        layers = tuple(
            Dense(np.ones((outputs, inputs), np.float32), np.zeros(outputs, np.float32), None, 1.0)
            for inputs, outputs in itertools.pairwise(sizes)
        )
        trial = replace(network, layers=layers, calibrations=())
        if fits(plan(quantise(trial, WeightFormat.INT8, prune=False)), board):
            return hidden
    return 0
