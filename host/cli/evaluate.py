"""`host evaluate`: what each weight format costs, on the PC alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.cli.console import Console, table
from host.cli.original import say_original
from host.cli.rounding import say_what_is_dropped
from host.cli.samples import load_samples
from host.compile.exports import formats
from host.errors import InputError
from host.modelfile import file as model_file
from host.report.formats_table import FLOAT, formats_table


def run(arguments: argparse.Namespace) -> int:
    if arguments.per_tensor and arguments.format == FLOAT:
        raise InputError(
            "evaluate: --per-tensor: found it with --format float32, need an integer format; leave one of them out"
        )
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    asked = load_samples(arguments.data, arguments.split, network, arguments.limit)
    found = formats_table(network, asked.samples, arguments.format, per_tensor=arguments.per_tensor)
    result = found.document(asked.name, asked.part)
    unit = "images" if asked.unit == "digit" else "inputs"
    console.say(f"{asked.name} {asked.part}, {result['n']:,} {unit}; changed: {asked.unit}s that differ from float32")
    console.say(table(found.cells))
    if arguments.per_tensor:
        measured = tuple(fmt for fmt in formats(network) if arguments.format in (None, fmt.label))
        say_what_is_dropped(console, network, measured)
    chosen = found.row(arguments.format)
    if recall := result["recall"][chosen.name]:
        recalls = ("-" if value is None else f"{100 * value:.1f}" for value in recall)
        console.say(f"recall per class, {chosen.name} (%): {' '.join(recalls)}")
    if chosen.against is not None:
        say_original(console, chosen.against, chosen.name, result["n"])
    console.document(result)
    return 0
