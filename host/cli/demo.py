"""`host demo`: the whole way on the embedded digits, by the very commands that a user would type."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path

from host.cli.console import Console
from host.compile.boards import board as find_board


def run(arguments: argparse.Namespace) -> int:
    from host.cli.parser import build_parser

    console = Console(arguments.json)
    find_board(arguments.board)  # before anything is trained
    place = Path(arguments.output)
    place.mkdir(parents=True, exist_ok=True)
    model = str(place / "digits.h5")
    target = "uno" if arguments.board == "native" else arguments.board
    to_json = ["--json", arguments.json] if arguments.json else []
    steps = [
        ["train", "--data", "digits", "--seed", str(arguments.seed), "-o", model],
        ["evaluate", model, "--data", "digits"],
        ["export", model, "--format", "int8", "--board", target, "-o", str(place / "model")],
        ["verify", model, "--data", "digits", "--format", "int8", "--board", arguments.board, *to_json],
    ]
    for step in steps:
        console.say(f"\n$ host {shlex.join(step)}")
        parsed = build_parser().parse_args(step)
        # With JSON on standard output, the words of the steps that print none must not go there either.
        words = sys.stderr if arguments.json == "-" and parsed.json is None else sys.stdout
        with redirect_stdout(words):
            code: int = parsed.run(parsed)
        if code:
            return code
    return 0
