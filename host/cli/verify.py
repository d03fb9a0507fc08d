"""`host verify`: stream a labelled set to a board and compare its every answer with the PC's."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from host.cli.console import Console, percent
from host.cli.original import say_original
from host.cli.resume import journal_of
from host.cli.rounding import format_of, say_what_is_dropped, say_what_it_was_trained_for
from host.cli.samples import Asked, load_samples
from host.cli.target import target_board
from host.cli.tracing import check_that_it_traces, chosen, found_of, trace_images
from host.compile.advice import check_fit
from host.compile.boards import Board, Family
from host.compile.budget import Budget
from host.compile.candidates import Candidate, candidates
from host.compile.export import Export
from host.compile.exports import export_for, formats, refusal
from host.data import Samples
from host.errors import InputError
from host.link import wire
from host.link.boards import Connection, connect_board, connect_port
from host.link.build import Built, build_firmware
from host.link.faults import parse_faults
from host.link.identity import Carried
from host.link.run import Outcome, identity, image_bytes, stream
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network, float_scores
from host.quantise.graph import Graph
from host.quantise.ops import scores_as_codes
from host.quantise.probes import probes
from host.quantise.reference import infer
from host.report.compare import Comparison
from host.report.divergence import document, text
from host.report.document import RunFacts, verification
from host.report.probes import ProbeComparison, compare_probes
from host.report.scores_file import Answers, check_scores_file, write_scores
from host.report.show import divergence

EXIT_FAILED = 1


def run(arguments: argparse.Namespace) -> int:
    check_options(arguments)
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    asked = load_samples(arguments.data, arguments.split, network, arguments.limit)
    samples = asked.samples
    if samples.labels is None and arguments.min_accuracy is not None:
        raise InputError(
            f"verify: --min-accuracy: found {arguments.data} without labels, need some for it; leave it out"
        )
    if arguments.scores is not None:
        check_scores_file(Path(arguments.scores))
    if arguments.baud not in (None, *wire.BAUD_RATES):
        rates = ", ".join(map(str, wire.BAUD_RATES))
        raise InputError(f"verify: --baud: found {arguments.baud}, need one of {rates}; choose one of these")
    faults = parse_faults(arguments.faults) if arguments.faults is not None else None
    carried, budget, built, connection = prepare(console, arguments, network)
    # Held until the report is written: so long nobody else begins the same run anew.
    with journal_of(arguments, console, network, asked, carried) as journal:
        start = time.monotonic()
        with connection as line:
            if arguments.trace is not None and arguments.port is not None:
                check_that_it_traces(line.transport, carried, samples.images[0])
            with console.progress("verifying", asked.unit) as update:
                outcome = stream(
                    line.transport,
                    [image_bytes(image) for image in samples.images],
                    carried,
                    baud=arguments.baud or wire.DEFAULT_BAUD,
                    progress=update,
                    faults=faults,
                    journal=journal,
                    first=lambda found: _probe_images(carried, found),
                )
            seconds = time.monotonic() - start
            found = found_of(outcome.identity, carried)
            graph = found.graph
            comparison, probed = _compare(network, graph, samples, outcome), compare_probes(graph, outcome.probes)
            wanted = chosen(comparison.diverging(), comparison.n, arguments.trace or 0)
            traces = trace_images(
                line.transport, outcome, found, samples, wanted, arguments.baud, set(comparison.diverging())
            )
        device_accuracy = comparison.accuracy(comparison.device_classes)
        accurate = device_accuracy is None or device_accuracy >= (arguments.min_accuracy or 0)
        against = comparison.against_original
        facts = RunFacts(
            dataset=asked.name,
            split=asked.part,
            model_hash=graph.hash,
            format=graph.format.label,
            rounding=graph.rounding,
            preset=graph.preset,
            kind=line.kind,
            mcu=outcome.ready.board.rstrip(b"\0").decode("ascii", "replace"),
            simulated=line.simulated,
            port=line.port,
            baud=arguments.baud or wire.DEFAULT_BAUD,
            flash=built.flash if built else None,
            ram_static=built.ram_static if built else None,
            wall_seconds=seconds,
            passed=comparison.agrees and probed.agrees and accurate and not (against and against.differs),
            parts=found.program(outcome.ready.weights_crc).marks,
            predicted=budget,
        )
        result = verification(comparison, probed, outcome, facts)
        result["trace"] = [document(trace) for trace in traces]
        _say(console, comparison, probed, asked, format_of(graph), result)
        for trace in traces:
            console.say(text(trace))
        if device_accuracy is not None and not accurate:
            console.say(
                f"accuracy on the board {percent(device_accuracy)} is below --min-accuracy {arguments.min_accuracy}"
            )
        if arguments.scores is not None:
            write_scores(Path(arguments.scores), _answers(comparison, graph))
            console.say(f"wrote {arguments.scores}: what the board answered")
        console.document(result)
        if journal is not None:
            journal.finish()
    return 0 if facts.passed else EXIT_FAILED


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


def prepare(
    console: Console, arguments: argparse.Namespace, network: Network
) -> tuple[list[Candidate], Budget | None, Built | None, AbstractContextManager[Connection]]:
    """What the board may carry, what it will cost and the build if there is one, and the line to open."""
    if arguments.port is not None:
        wanted = [fmt for fmt in formats(network) if arguments.format in (None, fmt.label)]
        if not wanted and (reason := refusal(network, WeightFormat[(arguments.format or "int8").upper()])):
            raise InputError(reason)
        return [each for fmt in wanted for each in candidates(network, fmt)], None, None, connect_port(arguments.port)
    target = target_board(arguments.board)
    fmt = WeightFormat[(arguments.format or "int8").upper()]
    kernel, bits = arguments.kernel, arguments.activation_bits
    exported = export_for(
        network, fmt, target, kernel, bits, per_tensor=arguments.per_tensor, profile=arguments.profile
    )
    is_traced = arguments.trace is not None
    budget = check_fit(network, exported, target, profile=arguments.profile, trace=is_traced)
    say_what_it_was_trained_for(console, network, fmt)
    if arguments.per_tensor:
        say_what_is_dropped(console, network, (fmt,))
    console.say(f"building {fmt.label} firmware, {_kernel_on(target, exported)}, for {target.name} with PlatformIO")
    built = build_firmware(exported, target, profile=arguments.profile, trace=is_traced)
    predicted = budget if target.counts_memory else None
    return [identity(exported)], predicted, built, connect_board(target, built)


def _kernel_on(target: Board, exported: Export) -> str:
    """The kernel, with what runs of it: the headers hold the assembly beside the same net in C, which a PC compiles."""
    is_replaced = exported.avr is not None and target.chip.family is not Family.AVR
    return f"kernel {exported.kernel}" + (" (its portable C)" if is_replaced else "")


def _probe_images(carried: Sequence[Candidate], identity: Carried) -> list[bytes]:
    return [image_bytes(image) for image in probes(found_of(identity, carried).graph).images]


def _compare(network: Network, graph: Graph, samples: Samples, outcome: Outcome) -> Comparison:
    reference = infer(graph, samples.images)
    return Comparison(
        labels=samples.labels,
        float_scores=float_scores(network, samples.images),
        quantised_classes=reference.classes,
        quantised_words=reference.words,
        device_classes=np.array([result.predicted for result in outcome.results], np.uint8),
        device_words=np.array([result.scores for result in outcome.results], np.uint32),
        integer_scores=graph.format.is_integer,
        original=samples.original,
        scores_are_codes=scores_as_codes(graph.ops[-1]),
    )


def _answers(comparison: Comparison, graph: Graph) -> Answers:
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


def _say(
    console: Console,
    comparison: Comparison,
    probed: ProbeComparison,
    asked: Asked,
    fmt: str,
    result: dict[str, Any],
) -> None:
    n, accuracy, agreement = result["n"], result["accuracy"], result["agreement"]
    console.say(f"{result['board']['mcu']}, {fmt}, {result['dataset']} {result['split']}: {n:,} {asked.unit}s")
    if comparison.labels is not None:
        console.say(
            f"accuracy   float {percent(accuracy['float'])}   quantised {percent(accuracy['quantised'])}   "
            f"device {percent(accuracy['device'])}"
        )
    console.say(f"device = quantised: {agreement['classes_equal']} classes, {agreement['scores_equal']} scores of {n}")
    console.say(probed.text())
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


def _injected(faults: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in faults.items() if count) or "none"
