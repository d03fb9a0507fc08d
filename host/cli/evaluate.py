"""`host evaluate`: what each weight format costs, on the PC alone."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host import data
from host.cli.console import Console, percent, table
from host.cli.rounding import say_what_is_dropped
from host.compile.export import Export
from host.compile.exports import formats, plain_export, refusal
from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network, float_scores
from host.quantise.graph import AFTER, AWARE, PER_TENSOR
from host.quantise.reference import infer
from host.report.document import evaluation


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    dataset, split = load_split(arguments.data, arguments.split, network, arguments.limit)
    exports, roundings = _exports(network, arguments.format, arguments.per_tensor)
    classes, sizes = _classes_and_sizes(network, exports, split)
    result = evaluation(dataset.name, arguments.split, split.labels, classes, len(network.labels), sizes, roundings)
    console.say(f"{dataset.name} {arguments.split}, {result['n']:,} images; changed: digits that differ from float32")
    console.say(table(_rows(result)))
    if arguments.per_tensor:
        measured = tuple(fmt for fmt in formats(network) if arguments.format in (None, fmt.label))
        say_what_is_dropped(console, network, measured)
    chosen = arguments.format or _deployed_best(exports, roundings)
    recalls = ("-" if value is None else f"{100 * value:.1f}" for value in result["recall"][chosen])
    console.say(f"recall per class, {chosen} (%): {' '.join(recalls)}")
    console.document(result)
    return 0


def _deployed_best(exports: dict[str, Export], roundings: dict[str, str]) -> str:
    """The name of what a board is best given: the first that was trained for its format, else int8."""
    return next((name for name in exports if roundings.get(name) == AWARE), WeightFormat.INT8.label)


def _rows(result: dict[str, Any]) -> list[list[str]]:
    """The table, with a column for the rounding where there is a choice."""
    rows = [["format", "accuracy", "changed", "weights"]]
    for name, accuracy in result["accuracy"].items():
        rows.append([name, percent(accuracy), str(result["changed"][name]), f"{result['weights'][name]:,} B"])
    if result["rounding"]:
        ways = ["rounding", *(result["rounding"].get(name, "") for name in result["accuracy"])]
        rows = [[row[0].split()[0], way, *row[1:]] for row, way in zip(rows, ways, strict=True)]
    return rows


def _exports(network: Network, only: str | None, per_tensor: bool) -> tuple[dict[str, Export], dict[str, str]]:
    """What to measure by name, the format's own being what an export takes; and how its weights were rounded."""
    if per_tensor and only == WeightFormat.FLOAT32.label:
        raise InputError(
            "evaluate: --per-tensor: found it with --format float32, need an integer format; leave one of them out"
        )
    # What no board holds as float32 is measured as it was trained.
    if only not in (None, WeightFormat.FLOAT32.label) and (reason := refusal(network, WeightFormat[only.upper()])):
        raise InputError(reason)
    found: dict[str, Export] = {}
    for fmt in formats(network):
        if only not in (None, fmt.label) and fmt is not WeightFormat.FLOAT32:
            continue
        usual = plain_export(network, fmt)
        if per_tensor and usual.graph.rounding not in (None, PER_TENSOR):
            found[fmt.label] = plain_export(network, fmt, per_tensor=True)
            continue
        found[fmt.label] = usual
        if usual.graph.rounding in (AWARE, AFTER):
            if usual.graph.rounding == AWARE:
                after = plain_export(network, fmt, post_training=True)
                found[f"{fmt.label} {after.graph.rounding}"] = after
            _add_per_tensor(found, network, fmt)
    return found, {name: export.graph.rounding for name, export in found.items() if export.graph.rounding}


def _add_per_tensor(found: dict[str, Export], network: Network, fmt: WeightFormat) -> None:
    with suppress(InputError):  # layers that have one scale each already
        found[f"{fmt.label} {PER_TENSOR}"] = plain_export(network, fmt, per_tensor=True)


def _classes_and_sizes(
    network: Network, exports: dict[str, Export], split: data.Split
) -> tuple[dict[str, NDArray[np.integer]], dict[str, int]]:
    """By name, float32 first and always: predicted classes (N,), and bytes of weights on a board."""
    classes: dict[str, NDArray[np.integer]] = {}
    sizes = {}
    if WeightFormat.FLOAT32.label not in exports:
        classes[WeightFormat.FLOAT32.label] = float_scores(network, split.images).argmax(axis=1)
        sizes[WeightFormat.FLOAT32.label] = 4 * int(network.parameters.flat.size)
    for name, exported in exports.items():
        classes[name] = infer(exported.graph, split.images).classes
        sizes[name] = len(exported.portable.rom)
    return classes, sizes


def takes(network: Network, split: data.Split) -> bool:
    """Whether the images, of one channel each, are of the net's shape."""
    return network.input_shape == (1, *split.images.shape[1:])


def load_split(name: str, split_name: str, network: Network, limit: int | None) -> tuple[data.Dataset, data.Split]:
    """The data set and the first `limit` images of its split; raise InputError where the net cannot take them."""
    dataset = data.load(name)
    split: data.Split = getattr(dataset, split_name)
    if not takes(network, split):
        shape = network.image_shape if network.input_shape[0] == 1 else network.input_shape
        found, need = ("×".join(map(str, sides)) for sides in (split.images.shape[1:], shape))
        raise InputError(
            f"{name}: images: found {found} pixels, need {need} for this model; choose the data it was trained on"
        )
    if len(dataset.labels) != len(network.labels):
        raise InputError(
            f"{name}: classes: found {len(dataset.labels)}, need {len(network.labels)} for this model; "
            "choose the data it was trained on"
        )
    if limit is not None:
        split = data.Split(split.images[:limit], split.labels[:limit])
    return dataset, split
