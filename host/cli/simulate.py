"""`host simulate`: a simulated board on a pty for any serial client, until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.cli.console import Console
from host.compile.boards import Runner, board
from host.errors import InputError
from host.link.boards import SimulatedBoard, simulated_board
from host.link.faults import Faults, parse_faults
from host.link.proxy import FaultyPort


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    target = board(arguments.board)
    if target.runner is not Runner.SIMAVR:
        raise InputError(f"simulate: found board {target.name}, need an AVR board; choose uno or mega")
    program = Path(arguments.elf or f".pio/build/{target.environment}/firmware.elf")
    faults = parse_faults(arguments.faults) if arguments.faults is not None else None
    with simulated_board(target.chip.name, program) as simulated:
        try:
            if faults is not None:
                _serve(console, f"simulated {target.name} with {program}", simulated, faults)
                return 0
            console.say(f"simulated {target.name} with {program} on {simulated.port}; end it with Ctrl-C")
            simulated.wait()
        except KeyboardInterrupt:
            console.say("ended")
    return 0


def _serve(console: Console, what: str, simulated: SimulatedBoard, faults: Faults) -> None:
    port = FaultyPort(simulated.port, faults)
    try:
        console.say(f"{what} behind a bad line on {port.path}; end it with Ctrl-C")
        port.serve(simulated.has_ended)
        simulated.wait()
    finally:
        port.close()
