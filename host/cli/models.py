"""`host models`: the pretrained models that come with the package, with their figures."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from host import pretrained
from host.cli.console import Console, percent, table
from host.compile.boards import BOARDS, COMPILERS

_HASH_DIGITS = 16


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    models = pretrained.index()
    rows = [
        ["name", "preset", "data", "float32", "int8", "weights", "board", "flash", "RAM", "cycles", "ms", "file size"]
    ]
    rows += [_row(model) for model in models]
    predicted = f"predicted for the board, int8 and avr-gcc {COMPILERS[0]}: flash, RAM, a digit"
    console.say(f"test accuracy; bytes of int8 weights; {predicted}; bytes of the file")
    console.say(table(rows))
    console.say()
    for model in models:
        console.say(f"{model.name}: {model.origin}; hash {model.content_hash[:_HASH_DIGITS]}; {model.command}")
    console.document({"schema": 1, "models": [asdict(model) for model in models]})
    return 0


def _row(model: pretrained.Pretrained) -> list[str]:
    cost = model.predicted
    return [
        model.name,
        model.preset,
        model.data,
        *(percent(model.accuracy[name]) if name in model.accuracy else "–" for name in ("float32", "int8")),
        f"{model.weights['int8']:,}",
        cost.board,
        f"{cost.flash:,}",
        f"{cost.ram_static:,}",
        f"{cost.cycles:,}",
        f"{1000 * cost.cycles / BOARDS[cost.board].clock_hz:.2f}",
        f"{model.bytes:,}",
    ]
