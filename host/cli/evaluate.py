"""`host evaluate`: what each weight format costs, on the PC alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.api.samples import Asked, load_samples
from host.cli.console import Console, table
from host.cli.original import say_original
from host.cli.rounding import say_what_is_dropped
from host.compile.exports import formats, refusal
from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.report.formats_table import FLOAT, FormatsTable, formats_table
from host.report.scores_file import Answers, check_scores_file, write_scores


def run(arguments: argparse.Namespace) -> int:
    if arguments.per_tensor and arguments.format == FLOAT:
        raise InputError(
            "evaluate: --per-tensor: found it with --format float32, need an integer format; leave one of them out"
        )
    if arguments.scores is not None:
        check_scores_file(Path(arguments.scores))
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    asked = load_samples(arguments.data, network, arguments.split, arguments.limit)
    found = formats_table(network, asked.samples, arguments.format, per_tensor=arguments.per_tensor)
    result = found.document(asked.name, asked.part)
    say_formats(console, network, asked, found)
    if arguments.per_tensor:
        measured = tuple(fmt for fmt in formats(network) if arguments.format in (None, fmt.label))
        say_what_is_dropped(console, network, measured)
    chosen = found.row(arguments.format)
    if recall := result["recall"][chosen.name]:
        recalls = ("-" if value is None else f"{100 * value:.1f}" for value in recall)
        console.say(f"recall per class, {chosen.name} (%): {' '.join(recalls)}")
    if chosen.against is not None:
        say_original(console, chosen.against, chosen.name, result["n"])
    if arguments.scores is not None:
        answers = Answers(
            answered_by="host",
            format=chosen.name,
            model_hash=chosen.model_hash,
            names=network.labels,
            labels=asked.samples.labels,
            classes=chosen.classes,
            scores=chosen.scores,
            step=chosen.step,
        )
        write_scores(Path(arguments.scores), answers)
        console.say(f"wrote {arguments.scores}: what {chosen.name} answers")
    console.document(result)
    return 0


def say_formats(console: Console, network: Network, asked: Asked, found: FormatsTable) -> None:
    """What each format makes of the samples, and why int8 is not among them."""
    if asked.cut is not None:
        console.say(asked.cut)
    unit, count = "images" if asked.unit == "digit" else "inputs", len(asked.samples)
    console.say(f"{asked.name} {asked.part}, {count:,} {unit}; changed: {asked.unit}s that differ from float32")
    console.say(table(found.cells))
    if all(row.name != WeightFormat.INT8.label for row in found.rows) and (
        reason := refusal(network, WeightFormat.INT8)
    ):
        console.say(f"left out: {reason}")
