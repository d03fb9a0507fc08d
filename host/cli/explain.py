"""`host explain`: why one image gets its class: op by op against the floats and the board, and the usual causes."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.api.samples import load_samples
from host.api.tracing import check_that_it_traces, found_of, trace_images
from host.cli.console import Console, percent, table
from host.cli.original import say_original
from host.cli.rounding import format_of
from host.cli.verify import EXIT_FAILED, check_options, prepare
from host.compile.exports import lowered
from host.data import Samples
from host.errors import InputError
from host.link.run import image_bytes, stream
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network, float_scores
from host.quantise.graph import GIVEN, Graph
from host.quantise.losses import losses, with_all_units
from host.quantise.ops import scores_as_codes
from host.quantise.reference import Predictions, infer
from host.report.divergence import Trace, text
from host.report.explain import (
    Said,
    accuracy_by_reading,
    explanation,
    op_rows,
    original_cause,
    range_causes,
    reading_cause,
    score_rows,
)
from host.report.original import Standing, against_original

_MEASURE = "measure it on these images: `host calibrate {} --data {}`"
_REQUANTISE = "the file's own numbers say so: quantise the original again with data like these"
_MOST_IMAGES, _LEAST_IMAGES = 300, 30
_PRODUCTS = 1_500_000_000
"""Of a reading of the images: so much work, and so many images of a net."""


def run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    asked = load_samples(arguments.data, network, arguments.split, None)
    samples = asked.samples
    index, count = arguments.index, len(samples.images)
    if index >= count:
        raise InputError(
            f"explain: --index: found {index}, need 0..{count - 1} in {asked.name} {asked.part}; choose one"
        )
    graph, said, trace = (
        _on_board(console, arguments, network, samples) if _has_board(arguments) else (None, None, None)
    )
    if graph is None or said is None:
        fmt = WeightFormat[(arguments.format or "int8").upper()]
        graph = lowered(network, fmt, arguments.activation_bits, per_tensor=arguments.per_tensor)
        said = _said(network, graph, samples, index)
    rows = _sample(network, index, count)
    whole = with_all_units(network, graph)
    images = samples.images[rows]
    found = losses(network, whole, images)
    answers, floats = infer(whole, images), float_scores(network, images)
    standing = _standing(samples, rows, whole, answers, floats)
    labels = None if samples.labels is None else samples.labels[rows]
    right = {} if labels is None else accuracy_by_reading(network, images, labels)
    causes = [cause for cause in (original_cause(standing), reading_cause(right) if right else None) if cause]
    # Ranges do not fit images that are read wrongly, and are to blame only where rounding changes answers.
    is_harmless = not causes and not (answers.classes != floats.argmax(axis=1)).any()
    if not causes:
        way_out = _REQUANTISE if graph.rounding == GIVEN else _MEASURE.format(arguments.model, arguments.data)
        causes = range_causes(whole, found, way_out)

    label = "" if said.label is None else f", label {said.label}"
    console.say(f"{asked.name} {asked.part}, image {index}{label}, {format_of(graph)}")
    if asked.cut is not None:
        console.say(asked.cut)
    console.say(", ".join(f"{name} says {found_class}" for name, found_class in said.classes.items()))
    console.say(table(score_rows(graph.labels, said, graph.score_step)))
    if standing is not None:
        say_original(console, standing.floats, "float", len(rows))
        say_original(console, standing.reference, "reference", len(rows))
    console.say(f"loss of each op against the float net, over {len(rows)} images and of this one:")
    console.say(table(op_rows(whole, found, trace)))
    if trace is not None:
        console.say(text(trace))
    if right:
        console.say(f"accuracy of the float net on {len(rows)} images, read in other ways:")
        console.say(table([[name, percent(float(each.mean()))] for name, each in right.items()]))
    for each in causes:
        console.say(f"{'changes none of these answers' if is_harmless else 'likely cause'}: {each}")
    if not causes and asked.cut is None:
        console.say("none of the usual causes: images and ranges are as the net expects them")
    console.document(explanation(index, said, whole, found, right, trace, causes, standing))
    return 0 if trace is None or trace.is_equal else EXIT_FAILED


def _standing(
    samples: Samples, rows: list[int], graph: Graph, answers: Predictions, floats: NDArray[np.float32]
) -> Standing | None:
    """How `answers` to the images `rows` and the float net's scores of them stand to the original's, whose first that
    differs is named by its place among all images."""
    if samples.original is None:
        return None
    original = samples.original.at(rows)
    as_codes = scores_as_codes(graph.ops[-1])
    found = against_original(original, answers.classes, answers.scores, as_codes=as_codes)
    if found.first is not None:
        found = replace(found, first=replace(found.first, index=rows[found.first.index]))
    return Standing(len(rows), found, against_original(original, floats.argmax(axis=1), floats, as_codes=False))


def _has_board(arguments: argparse.Namespace) -> bool:
    return arguments.board is not None or arguments.port is not None


def _check(arguments: argparse.Namespace) -> None:
    """Raise InputError for an option that would change nothing."""
    if _has_board(arguments):
        check_options(arguments, "explain")
    elif arguments.kernel != "auto":
        raise InputError(
            "explain: --kernel: found it without --board, need a board that runs it; leave it out or name a --board"
        )


def _sample(network: Network, index: int, count: int) -> list[int]:
    """The image itself, then others evenly spread: as many as the work for them allows."""
    most = max(_LEAST_IMAGES, min(_MOST_IMAGES, _PRODUCTS // max(1, network.architecture.macs)))
    spread = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)).tolist()
    return [index, *(row for row in spread if row != index)]


def _said(network: Network, graph: Graph, samples: Samples, index: int) -> Said:
    image = samples.images[index : index + 1]
    original = None if samples.original is None else int(samples.original.at([index]).classes[0])
    floats, reference = float_scores(network, image)[0], infer(graph, image).scores[0]
    return Said(samples.label(index), floats, reference, original_class=original)


def _on_board(
    console: Console, arguments: argparse.Namespace, network: Network, samples: Samples
) -> tuple[Graph, Said, Trace]:
    """The graph that the board runs, what everybody says, and the board's inference step by step."""
    device = prepare(console, arguments, network)
    index = arguments.index
    with device.connection as line:
        if arguments.port is not None:
            check_that_it_traces(line.transport, device.carried, samples.images[index])
        outcome = stream(line.transport, [image_bytes(samples.images[index])], device.carried)
        found = found_of(outcome.identity, device.carried)
        said = _said(network, found.graph, samples, index)
        result = outcome.results[0]
        scores = np.array(result.scores, np.uint32).view(said.reference_scores.dtype)
        differs = result.predicted != said.classes["reference"] or not np.array_equal(
            scores.view(np.uint32), said.reference_scores.view(np.uint32)
        )
        trace = trace_images(line.transport, outcome, found, samples, [index], diverging=[index] if differs else [])[0]
    said = replace(said, board_scores=scores, board_class=result.predicted)
    return found.graph, said, trace
