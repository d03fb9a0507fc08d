"""A board to verify on: one built and simulated here, or one that somebody flashed, at a port."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from host.compile.boards import Board
from host.compile.budget import Budget
from host.compile.candidates import Candidate, candidates
from host.compile.export import Export
from host.compile.exports import formats, refusal
from host.errors import InputError
from host.link.boards import Connection, connect_board, connect_port
from host.link.build import Built, build_firmware
from host.link.run import identity
from host.nn.formats import WeightFormat
from host.nn.network import Network


@dataclass(frozen=True)
class Device:
    """What the board may carry, the line to open, and, where it was built here, what it takes and was foretold to."""

    carried: list[Candidate]
    connection: AbstractContextManager[Connection]
    built: Built | None = None
    predicted: Budget | None = None


def built_device(
    exported: Export, target: Board, budget: Budget, *, profile: bool = False, trace: bool = False
) -> Device:
    """The firmware of an export, built for `target`. Raise InputError where it does not fit after all, ToolMissing
    without a compiler."""
    built = build_firmware(exported, target, profile=profile, trace=trace)
    predicted = budget if target.counts_memory else None
    return Device([identity(exported)], connect_board(target, built), built, predicted)


def flashed_device(network: Network, port: str, fmt: WeightFormat | None = None) -> Device:
    """A board at a port, which may carry any export of `network`, or any in a format. Raise InputError where there is
    none."""
    wanted = [each for each in formats(network) if fmt in (None, each)]
    if not wanted and (reason := refusal(network, fmt or WeightFormat.INT8)):
        raise InputError(reason)
    return Device([each for known in wanted for each in candidates(network, known)], connect_port(port))
