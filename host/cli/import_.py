"""`host import`: the file of another tool in, a model file out."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from host.atomic import check_writable
from host.cli.console import Console
from host.compile.program import title
from host.errors import InputError
from host.importers import Imported, Options, import_net
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.quantise.graph import Graph
from host.quantise.lower import lower

_HASH_DIGITS = 16


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    output = Path(arguments.output)
    if output.suffix.lower() == ".json":
        raise InputError(f"{output}: found a .json, need a model's name; give .h5")
    check_writable(output)
    labels = None if arguments.labels is None else tuple(arguments.labels.split(","))
    imported = import_net(Path(arguments.file), Options(labels, arguments.input_range, arguments.shape))
    graph = lowered(imported.network)
    model_file.save(imported.network, output)
    _report(console, imported, graph, arguments.file, output)
    return 0


def lowered(network: Network) -> Graph:
    """Refuses a net that no op can be made of before anything is written. Ranges that nobody has measured yet may be
    any: the ops are the same."""
    trial = network if network.has_ranges else replace(network, output_max=(1.0,) * len(network.output_max))
    return lower(trial, WeightFormat.INT8, prune=False)


def _report(console: Console, imported: Imported, graph: Graph, file: str, output: Path) -> None:
    network = imported.network
    name = model_file.content_hash(network)[:_HASH_DIGITS]
    console.say(f"{file}: {imported.source}, {title(graph)}")
    for note in imported.notes:
        console.say(f"  {note}")
    if imported.left:
        console.say(f"  left to the host: {', '.join(imported.left)}")
    console.say(f"model {name} saved to {output}")
    console.say(f"next: {_next(network, output)}")
    console.document(
        {
            "schema": 1,
            "source": imported.source,
            "quantised": network.given is not None,
            "input_shape": list(network.input_shape),
            "input_scale": 1 / network.scaling.divisor,
            "input_zero": float(network.scaling.offset),
            "labels": list(network.labels),
            "left_to_host": list(imported.left),
            "notes": list(imported.notes),
            "hash": model_file.content_hash(network),
        }
    )


def _next(network: Network, output: Path) -> str:
    if network.given is None:
        return f"`host calibrate {output} --data DATA`, which measures the ranges that int8 needs"
    return f"`host verify {output} --data DATA --board uno`"
