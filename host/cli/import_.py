"""`host import`: the file of another tool in, a model file out."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from host.api.samples import load_samples
from host.atomic import check_writable
from host.cli.console import Console
from host.cli.evaluate import say_formats
from host.compile.budget import fits
from host.compile.exports import export_for, formats, refusal
from host.compile.program import title
from host.errors import InputError
from host.importers import Imported, Options, import_net
from host.link.target import target_board
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.quantise.calibrate import calibrate, measure_ranges
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.report.formats_table import formats_table

_HASH_DIGITS = 16
_BOARDS = ("uno", "mega", "atmega1284p")


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    output = Path(arguments.output)
    _check(arguments, output)
    labels = None if arguments.labels is None else tuple(arguments.labels.split(","))
    imported = import_net(Path(arguments.file), Options(labels, arguments.input_range, arguments.shape))
    graph, table = lowered(imported.network), None
    if why := _held_by_none(imported.network):
        imported = replace(imported, notes=(*imported.notes, f"no board can hold it: {why}"))
    if arguments.check is not None:
        network = _calibrated(imported.network, arguments.check)
        asked = load_samples(arguments.check, network, limit=arguments.limit)
        imported, table = replace(imported, network=network), formats_table(network, asked.samples, widths=True)
    model_file.save(imported.network, output)
    _report(console, imported, graph, arguments.file, output)
    document = _document(imported)
    if table is not None:
        say_formats(console, imported.network, asked, table)
        document["check"] = table.document(asked.name, asked.part)
    if why is None:
        console.say(f"next: {_next(imported.network, output, arguments.check)}")
    console.document(document)
    return 0


def _check(arguments: argparse.Namespace, output: Path) -> None:
    """Raise InputError for options that would change nothing, or an output that may not be written."""
    if arguments.limit is not None and arguments.check is None:
        found = f"--limit: found {arguments.limit}"
        raise InputError(f"import: {found} without --check, need data to limit; add --check DATA or leave it out")
    if output.suffix.lower() == ".json":
        raise InputError(f"{output}: found a .json, need a model's name; give .h5")
    check_writable(output)


def _calibrated(network: Network, source: str) -> Network:
    """With ranges measured on a data set's training images, or a file's inputs, if it has none."""
    if network.has_ranges:
        return network
    samples = load_samples(source, network, usual="train").samples
    return calibrate(measure_ranges(network, samples), samples)


def lowered(network: Network) -> Graph:
    """Refuses a net that no op can be made of before anything is written."""
    return lower(_ranged(network), WeightFormat.INT8, prune=False)


def _ranged(network: Network) -> Network:
    """With ranges. Those that nobody has measured yet may be any: the ops are the same."""
    return network if network.has_ranges else replace(network, output_max=(1.0,) * len(network.output_max))


def _held_by_none(network: Network) -> str | None:
    """Why no board has kernels for the net in any format; None where one has."""
    ranged = _ranged(network)
    why = refusal(ranged, WeightFormat.INT8)
    return why if why and not formats(ranged) else None


def _report(console: Console, imported: Imported, graph: Graph, file: str, output: Path) -> None:
    network = imported.network
    name = model_file.content_hash(network)[:_HASH_DIGITS]
    console.say(f"{file}: {imported.source}, {title(graph)}")
    for note in imported.notes:
        console.say(f"  {note}")
    if imported.left:
        console.say(f"  left to the host: {', '.join(imported.left)}")
    console.say(f"model {name} saved to {output}")


def _document(imported: Imported) -> dict[str, Any]:
    """For JSON."""
    network = imported.network
    return {
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


def _next(network: Network, output: Path, data: str | None) -> str:
    if not network.has_ranges:
        return f"`host calibrate {output} --data DATA`, which measures the ranges that int8 needs"
    return f"`host verify {output} --data {data or 'DATA'} {_board(network)}`"


def _board(network: Network) -> str:
    """Options for the smallest board that holds it, as int8 if any does."""
    for name in _BOARDS:
        board = target_board(name)
        with suppress(InputError):  # no kernels for it
            if fits(export_for(network, WeightFormat.INT8, board).on(board), board):
                return f"--board {name}"
    held = formats(network)
    return "--board native" + ("" if WeightFormat.INT8 in held else f" --format {held[0].label}")
