"""`host verify`: stream a labelled set to a board and compare its every answer with the PC's."""

from __future__ import annotations

import argparse
from pathlib import Path

from host.api.device import Device, built_device, flashed_device
from host.api.samples import Asked, load_samples
from host.api.verification import Verification, Way, verify
from host.cli.console import Console, percent
from host.cli.original import say_original
from host.cli.resume import journal_of
from host.cli.rounding import format_of, say_what_is_dropped, say_what_it_was_trained_for
from host.compile.advice import check_fit
from host.compile.boards import Board, Family
from host.compile.export import Export
from host.compile.exports import export_for
from host.errors import InputError
from host.link import wire
from host.link.faults import parse_faults
from host.link.target import target_board
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.report.divergence import text
from host.report.scores_file import Answers, check_scores_file, write_scores
from host.report.show import divergence

EXIT_FAILED = 1


def run(arguments: argparse.Namespace) -> int:
    check_options(arguments)
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    asked = load_samples(arguments.data, network, arguments.split, arguments.limit)
    _check_what_is_asked(arguments, asked)
    faults = parse_faults(arguments.faults) if arguments.faults is not None else None
    device = prepare(console, arguments, network)
    # Held until the report is written: so long nobody else begins the same run anew.
    with journal_of(arguments, console, network, asked, device.carried) as journal:
        bar = console.progress("verifying", asked.unit)
        way = Way(arguments.baud, faults, journal, bar, arguments.trace or 0, arguments.min_accuracy or 0.0)
        found = verify(network, device, asked, way)
        _say(console, found)
        if arguments.scores is not None:
            write_scores(Path(arguments.scores), _answers(found))
            console.say(f"wrote {arguments.scores}: what the board answered")
        console.document(found.document)
        if journal is not None:
            journal.finish()
    return 0 if found.passed else EXIT_FAILED


def _check_what_is_asked(arguments: argparse.Namespace, asked: Asked) -> None:
    """Raise InputError, before the board is built, for what cannot be had of it or of the data."""
    if asked.samples.labels is None and arguments.min_accuracy is not None:
        raise InputError(
            f"verify: --min-accuracy: found {arguments.data} without labels, need some for it; leave it out"
        )
    if arguments.scores is not None:
        check_scores_file(Path(arguments.scores))
    if arguments.baud not in (None, *wire.BAUD_RATES):
        rates = ", ".join(map(str, wire.BAUD_RATES))
        raise InputError(f"verify: --baud: found {arguments.baud}, need one of {rates}; choose one of these")


def check_options(arguments: argparse.Namespace, command: str = "verify") -> None:
    """Raise InputError for an option that would change nothing."""
    if arguments.port is not None:
        for name, usual in (("kernel", "auto"), ("activation_bits", None), ("per_tensor", False), ("profile", False)):
            if getattr(arguments, name) != usual:
                raise InputError(
                    f"{command}: --{name.replace('_', '-')}: found it with --port, where the flashed firmware decides, "
                    "need --board for it; leave it out, or export with it and flash that"
                )
    elif arguments.trace is not None and arguments.profile:
        raise InputError(
            "verify: --trace: found it with --profile, need one of them, each of which asks for a build of its own; "
            "run one after the other"
        )
    elif arguments.board == "native":
        for name, has in (("profile", "counts cycles"), ("baud", "has a line")):
            if getattr(arguments, name):
                raise InputError(
                    f"{command}: --{name}: found it with --board native, need a board that {has}; "
                    "leave it out or choose --board uno"
                )


def prepare(console: Console, arguments: argparse.Namespace, network: Network) -> Device:
    """The board that is asked for, built where there is none."""
    fmt = None if arguments.format is None else WeightFormat[arguments.format.upper()]
    if arguments.port is not None:
        return flashed_device(network, arguments.port, fmt)
    fmt, target = WeightFormat.INT8 if fmt is None else fmt, target_board(arguments.board)
    profile, is_traced = arguments.profile, arguments.trace is not None
    exported = export_for(
        *(network, fmt, target, arguments.kernel, arguments.activation_bits),
        per_tensor=arguments.per_tensor,
        profile=profile,
    )
    budget = check_fit(network, exported, target, profile=profile, trace=is_traced)
    say_what_it_was_trained_for(console, network, fmt)
    if arguments.per_tensor:
        say_what_is_dropped(console, network, (fmt,))
    console.say(f"building {fmt.label} firmware, {_kernel_on(target, exported)}, for {target.name} with PlatformIO")
    return built_device(exported, target, budget, profile=profile, trace=is_traced)


def _kernel_on(target: Board, exported: Export) -> str:
    """The kernel, with what runs of it: the headers hold the assembly beside the same net in C, which a PC compiles."""
    is_replaced = exported.avr is not None and target.chip.family is not Family.AVR
    return f"kernel {exported.kernel}" + (" (its portable C)" if is_replaced else "")


def _answers(found: Verification) -> Answers:
    comparison, graph = found.comparison, found.graph
    return Answers(
        answered_by="device",
        format=graph.format.label,
        model_hash=graph.hash,
        names=graph.labels,
        labels=comparison.labels,
        classes=comparison.device_classes,
        scores=comparison.device_scores,
        step=graph.score_step,
    )


def _say(console: Console, found: Verification) -> None:
    result, asked, comparison = found.document, found.asked, found.comparison
    fmt = format_of(found.graph)
    n, accuracy, agreement = result["n"], result["accuracy"], result["agreement"]
    console.say(f"{result['board']['mcu']}, {fmt}, {result['dataset']} {result['split']}: {n:,} {asked.unit}s")
    if asked.cut is not None:
        console.say(asked.cut)
    if comparison.labels is not None:
        console.say(
            f"accuracy   float {percent(accuracy['float'])}   quantised {percent(accuracy['quantised'])}   "
            f"device {percent(accuracy['device'])}"
        )
    console.say(f"device = quantised: {agreement['classes_equal']} classes, {agreement['scores_equal']} scores of {n}")
    console.say(found.probes.text())
    if comparison.against_original is not None:
        say_original(console, comparison.against_original, "device", n)
    if cycles := result["cycles"]:
        milliseconds = 1000 * cycles["mean"] / result["board"]["f_cpu"]
        spread = f"{cycles['median']:,} median, {cycles['max']:,} at most"
        console.say(f"cycles     {cycles['mean']:,.0f} mean, {milliseconds:.2f} ms {asked.one}; {spread}")
        for name, mean in cycles.get("layers", {}).items():
            console.say(f"  {mean:10,.0f} {name}, mean")
    if predicted := result["predicted"]:
        console.say(f"predicted  {predicted['cycles']:,} cycles, mean, for avr-gcc {predicted['compiler']}")
    memory = result["memory"]
    if memory["flash"] is not None:
        free = "" if memory["ram_free_min"] is None else f", {memory['ram_free_min']:,} never touched"
        console.say(f"memory     flash {memory['flash']:,} bytes, RAM {memory['ram_static']:,} static{free}")
    link = result["link"]
    rate = "" if link["images_per_s"] is None else f"{link['images_per_s']} {asked.unit}s/s, "
    console.say(f"link       {rate}{link['retries']} retries, {link['overruns']} overruns, {link['resets']} resets")
    if link["faults"] is not None:
        console.say(f"faults     {link['crc_errors']:,} broken frames; injected: {_injected(link['faults'])}")
    diverging = comparison.diverging()
    if len(diverging):
        console.say(divergence(comparison, asked.samples.images, int(diverging[0])))
        console.say(f"{len(diverging)} of {n} {asked.unit}s differ between device and reference")
    console.say(f"verdict: {result['verdict'].upper()}")
    for trace in found.traces:
        console.say(text(trace))
    if not found.is_accurate:
        accuracy_here, least = percent(accuracy["device"]), found.way.min_accuracy
        console.say(f"accuracy on the board {accuracy_here} is below --min-accuracy {least}")


def _injected(faults: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in faults.items() if count) or "none"
