"""`host simulate`: a simulated board on a pty for any serial client, until Ctrl-C."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.cli.console import Console
from host.deploy.target import board
from host.errors import InputError
from host.link.boards import simulated_board


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    target = board(arguments.board)
    if not target.is_avr:
        raise InputError(f"simulate: found board {target.name}, need an AVR board; choose uno or mega")
    program = Path(arguments.elf or f".pio/build/{target.environment}/firmware.elf")
    with simulated_board(target.mcu, program) as simulated:
        try:
            console.say(f"simulated {target.name} with {program} on {simulated.port}; end it with Ctrl-C")
            simulated.wait()
        except KeyboardInterrupt:
            console.say("ended")
    return 0
