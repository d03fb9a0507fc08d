"""Whether an export fits a board, and what would where it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from host.compile.boards import BOARDS, Board
from host.compile.budget import Budget, fits, predict
from host.compile.export import Export
from host.compile.select import choose, plain
from host.compile.step import Step
from host.errors import FitError, InputError
from host.nn.formats import WeightFormat
from host.nn.layers import Architecture, Dense, ReLU
from host.nn.network import Network
from host.nn.parameters import empty
from host.quantise.lower import lower

MAX_HIDDEN = 255


def check_fit(network: Network, export: Export, board: Board, *, profile: bool = False, trace: bool = False) -> Budget:
    """The budget, with `profile` of a build that times every step, with `trace` of one that can send its output; raise
    FitError, naming the bytes and what would fit, where `board` is too small."""
    program = export.on(board)
    budget = predict(program, board, profile=profile, trace=trace)
    needs = budget.lacking(board)
    if not needs:
        return budget
    if profile and predict(program, board).fits(board):
        raise FitError(f"{board.name}: --profile: {'; '.join(needs)}; leave --profile out, or use --board mega")
    if trace and predict(program, board).fits(board):
        raise FitError(
            f"{board.name}: a build that traces: {'; '.join(needs)}; trace it with --board mega or --board native"
        )
    what = f"{export.graph.format.label}, kernel {export.kernel}, {export.title}"
    raise FitError(f"{board.name}: {what}: {'; '.join(needs)}; {_what_would_fit(network, export, board)}")


def _what_would_fit(network: Network, export: Export, board: Board) -> str:
    if export.avr is not None and fits(plain(export.graph).on(board), board):
        return "--kernel portable would fit; so may --kernel auto"
    hints = [
        *_smaller_format(network, export, board),
        *_smaller_net(network, board),
        *_larger_board(export, board),
    ]
    if hints:
        return ", ".join(hints)
    widest = max(export.on(board).steps, key=_flash_bytes)
    return f"train a smaller net: {widest.name} alone takes {_flash_bytes(widest):,} bytes of flash"


def _flash_bytes(step: Step) -> int:
    return len(step.packed.rom)


def _smaller_format(network: Network, export: Export, board: Board) -> list[str]:
    for fmt in WeightFormat:
        if fmt.bits < export.graph.format.bits:
            try:
                smaller = choose(lower(network, fmt), board).on(board)
            except InputError:
                continue
            if fits(smaller, board):
                return [f"--format {fmt.label} would fit with {predict(smaller, board).flash:,} bytes of flash"]
    return []


def _smaller_net(network: Network, board: Board) -> list[str]:
    hidden = _largest_hidden(network, board)
    return [f"a net of --hidden {hidden} would fit as int8"] if hidden else []


def _larger_board(export: Export, board: Board) -> list[str]:
    assert board.flash is not None and board.ram is not None
    larger = (
        other.compiled_by(board.chip.compiler)
        for other in BOARDS.values()
        if other.flash is not None and other.ram is not None and (other.flash > board.flash or other.ram > board.ram)
    )
    name = next((each.name for each in larger if fits(choose(export.graph, each).on(each), each)), None)
    return [f"--board {name} has room for it"] if name else []


def _largest_hidden(network: Network, board: Board) -> int:
    """The widest hidden layer for which such a net fits as int8; 0 where none does, or where it has not just one."""
    layers = network.architecture.layers
    places = [index for index, layer in enumerate(layers) if isinstance(layer, Dense)]
    if len(places) != 2 or not isinstance(layers[places[0] + 1], ReLU) or network.fixed == 0:
        return 0
    low, high = 0, MAX_HIDDEN
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _hidden_fits(network, places[0], middle, board) else (low, middle - 1)
    return low


def _hidden_fits(network: Network, place: int, hidden: int, board: Board) -> bool:
    layers = list(network.architecture.layers)
    layers[place] = Dense(hidden)
    numbers = empty(Architecture(network.input_shape, tuple(layers)))
    numbers.flat[:] = 1
    output_max = tuple(np.ones(len(layers)).tolist())
    trial = replace(network, parameters=numbers, output_max=output_max, calibrations=(), qat=())
    return fits(plain(lower(trial, WeightFormat.INT8, prune=False)).on(board), board)
