"""`host simulate`: a simulated board on a pty for any serial client, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path

from host.cli.console import Console
from host.deploy.target import board
from host.errors import InputError
from host.link.boards import simulated_port


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    target = board(arguments.board)
    if not target.is_avr:
        raise InputError(f"simulate: found board {target.name}, need an AVR board; choose uno or mega")
    program = Path(arguments.elf or f".pio/build/{target.environment}/firmware.elf")
    # SIGTERM ends the board as cleanly as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with simulated_port(target.mcu, program) as port:
        console.say(f"simulated {target.name} with {program} on {port}; end it with Ctrl-C")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            console.say("ended")
    return 0
