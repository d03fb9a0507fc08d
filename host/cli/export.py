"""`host export`: a model file in, C headers (or the seed's text matrices) out, with what they will cost."""

from __future__ import annotations

import argparse
from pathlib import Path

from host import data
from host.cli.console import Console, percent
from host.cli.rounding import format_of, say_what_is_dropped, say_what_it_was_trained_for
from host.compile.advice import check_fit
from host.compile.boards import Board
from host.compile.budget import Budget
from host.compile.export import Export
from host.compile.exports import export_for
from host.compile.render import render, write_headers
from host.errors import DigitduinoError, InputError
from host.link.project import check_project, stage_project
from host.link.target import target_board
from host.modelfile import file as model_file
from host.modelfile import seed_text
from host.nn.encode import encode, takes
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.quantise.reference import infer
from host.report.compare import accuracy

_DEFAULT_DIRECTORY = Path("firmware/model")
_NAMED = 5
"""So many of the files that a project folder holds besides are named."""


def run(arguments: argparse.Namespace) -> int:
    _check_options(arguments)
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    if arguments.format == "text":
        for path in seed_text.write(network, Path(arguments.output or ".")):
            console.say(f"wrote {path}")
        return 0
    target, fmt = target_board(arguments.board), WeightFormat[arguments.format.upper()]
    kernel, bits = arguments.kernel, arguments.activation_bits
    exported = export_for(network, fmt, target, kernel, bits, per_tensor=arguments.per_tensor)
    budget = check_fit(network, exported, target)
    measured = _format_accuracy(network, exported)
    _say_budget(console, exported, target, budget, measured)
    say_what_it_was_trained_for(console, network, fmt)
    if arguments.per_tensor:
        say_what_is_dropped(console, network, (fmt,))
    if arguments.check:
        console.document(_document(exported, target, budget, measured))
        return _check(console, exported, Path(arguments.output or _DEFAULT_DIRECTORY))
    if arguments.project:
        _make_project(console, exported, Path(arguments.project), target)
    else:
        for path in write_headers(exported, Path(arguments.output or _DEFAULT_DIRECTORY)):
            console.say(f"wrote {path}")
    console.document(_document(exported, target, budget, measured))
    return 0


def _make_project(console: Console, exported: Export, directory: Path, target: Board) -> None:
    known = check_project(exported, directory)
    stage_project(exported, directory)
    for path in known.replaced:
        console.say(f"replaced {path}")
    if known.others:
        more = f" and {len(known.others) - _NAMED} more" if len(known.others) > _NAMED else ""
        console.say(f"left as they were: {', '.join(map(str, known.others[:_NAMED]))}{more}")
    console.say(f"project in {directory}; next: pio run -d {directory} -e {target.environment} -t upload")


def _check_options(arguments: argparse.Namespace) -> None:
    """Raise InputError for an option that would change nothing."""
    if arguments.check and arguments.project:
        raise InputError("export: --check: found --project with it, need -o DIR; check the project's model folder so")
    if arguments.format == "text":
        given = vars(arguments)
        idle = [name for name in ("check", "project", "json", "activation_bits", "per_tensor") if given[name]]
        idle += [name for name, usual in (("kernel", "auto"), ("board", "uno")) if given[name] != usual]
        if idle:
            option = idle[0].replace("_", "-")
            raise InputError(f"export: --{option}: found --format text, need C headers for it; leave one of them out")


def _check(console: Console, exported: Export, directory: Path) -> int:
    """0 where the headers in `directory` are byte for byte what would be rendered, else 1."""
    for name, text in render(exported).items():
        path = directory / name
        if not path.is_file() or path.read_bytes() != text.encode():
            console.say(f"{path}: differs from what this model renders; run `host export` again")
            return 1
    console.say(f"{directory}: up to date")
    return 0


def _format_accuracy(network: Network, exported: Export) -> float | None:
    """Test accuracy of the exported integers, where the data set that the model names is at hand."""
    name = network.provenance.dataset
    if name not in data.NAMES:
        return None
    try:
        test = data.load(name).test
    except DigitduinoError:
        return None
    if not takes(network, test.images.shape[1:]):
        return None
    return accuracy(infer(exported.graph, encode(network, test.images)).classes, test.labels)


def _say_budget(console: Console, exported: Export, target: Board, budget: Budget, measured: float | None) -> None:
    graph = exported.graph
    activations = f"{graph.top.bit_length()}-bit activations, " if graph.format.is_integer else ""
    console.say(
        f"{graph.preset} {exported.title}, {format_of(graph)}, {activations}kernel {exported.kernel}, "
        f"model {graph.hash[:16]}"
    )
    if target.counts_memory:
        console.say(f"predicted for {target.name}, avr-gcc {budget.compiler}:")
        console.say(f"  flash   {budget.flash:6,} of {target.flash:,} bytes")
        console.say(f"  RAM     {budget.ram_static:6,} + {budget.stack} stack of {target.ram:,} bytes")
        milliseconds = 1000 * budget.cycles / target.clock_hz
        console.say(f"  digit   {budget.cycles:6,} cycles, {milliseconds:.2f} ms")
        for name, cycles in budget.parts:
            console.say(f"    {cycles:8,} {name}")
    if measured is not None:
        console.say(f"accuracy of this format on the test images: {percent(measured)}")


def _document(exported: Export, target: Board, budget: Budget, measured: float | None) -> dict[str, object]:
    return {
        "schema": 1,
        "model": {
            "hash": exported.graph.hash,
            "format": exported.graph.format.label,
            "rounding": exported.graph.rounding,
            "preset": exported.graph.preset,
        },
        "kernel": exported.kernel,
        "activation_bits": exported.graph.top.bit_length() if exported.graph.format.is_integer else None,
        "board": target.name,
        "predicted": {
            "compiler": budget.compiler,
            "flash": budget.flash,
            "ram_static": budget.ram_static,
            "stack": budget.stack,
            "cycles": budget.cycles,
            "parts": dict(budget.parts),
        },
        "accuracy": measured,
    }
