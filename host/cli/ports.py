"""`host ports`: what is connected."""

from __future__ import annotations

import argparse

from host.cli.console import Console
from host.link.ports import ports


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    found = ports()
    for port in found:
        console.say(f"{port.device}  {port.description}{'  (likely a board)' if port.likely else ''}")
    if not found:
        console.say("no serial ports; plug a board in, or start one with `host simulate --board uno`")
    return 0
