"""`host evaluate`: what each weight format costs, on the PC alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host import data
from host.cli.console import Console, percent, table
from host.cli.rounding import say_what_is_dropped
from host.deploy.deployment import (
    AnyNetwork,
    AnyPlan,
    check_format,
    float_bytes,
    float_scores,
    formats,
    image_shape,
    infer,
    plain_plan,
    rounding,
)
from host.deploy.learned_nets import AFTER, AWARE, PER_TENSOR
from host.deploy.old_networks import is_learned
from host.errors import InputError
from host.modelfile import file as model_file
from host.quantise.numerics import WeightFormat
from host.report.document import evaluation


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    dataset, split = load_split(arguments.data, arguments.split, network, arguments.limit)
    plans, roundings = _plans(network, arguments.format, arguments.per_tensor)
    classes, sizes = _classes_and_sizes(network, plans, split)
    result = evaluation(dataset.name, arguments.split, split.labels, classes, len(network.labels), sizes, roundings)
    console.say(f"{dataset.name} {arguments.split}, {result['n']:,} images; changed: digits that differ from float32")
    console.say(table(_rows(result)))
    if arguments.per_tensor:
        measured = tuple(fmt for fmt in formats(network) if arguments.format in (None, fmt.label))
        say_what_is_dropped(console, network, measured)
    chosen = arguments.format or _deployed_best(plans, roundings)
    recalls = ("-" if value is None else f"{100 * value:.1f}" for value in result["recall"][chosen])
    console.say(f"recall per class, {chosen} (%): {' '.join(recalls)}")
    console.document(result)
    return 0


def _deployed_best(plans: dict[str, AnyPlan], roundings: dict[str, str]) -> str:
    """The name of what a board is best given: the first that was trained for its format, else int8."""
    return next((name for name in plans if roundings.get(name) == AWARE), WeightFormat.INT8.label)


def _rows(result: dict[str, Any]) -> list[list[str]]:
    """The table, with a column for the rounding where there is a choice."""
    rows = [["format", "accuracy", "changed", "weights"]]
    for name, accuracy in result["accuracy"].items():
        rows.append([name, percent(accuracy), str(result["changed"][name]), f"{result['weights'][name]:,} B"])
    if result["rounding"]:
        ways = ["rounding", *(result["rounding"].get(name, "") for name in result["accuracy"])]
        rows = [[row[0].split()[0], way, *row[1:]] for row, way in zip(rows, ways, strict=True)]
    return rows


def _plans(network: AnyNetwork, only: str | None, per_tensor: bool) -> tuple[dict[str, AnyPlan], dict[str, str]]:
    """What to measure by name, the format's own being what an export takes; and how its weights were rounded."""
    fmts = formats(network)
    if per_tensor and only == WeightFormat.FLOAT32.label:
        raise InputError(
            "evaluate: --per-tensor: found it with --format float32, need an integer format; leave one of them out"
        )
    if only is not None and only != WeightFormat.FLOAT32.label:
        check_format(network, WeightFormat[only.upper()])
    wanted = [fmt for fmt in fmts if only in (None, fmt.label) or fmt is WeightFormat.FLOAT32]
    if not is_learned(network):
        return {fmt.label: plain_plan(network, fmt, per_tensor=per_tensor) for fmt in wanted}, {}
    plans: dict[str, AnyPlan] = {}
    for fmt in wanted:
        if per_tensor:
            plans[fmt.label] = plain_plan(network, fmt, per_tensor=True)
            continue
        plans[fmt.label] = plain_plan(network, fmt)
        if network.qat_for(fmt.label) is not None:
            plans[f"{fmt.label} {AFTER}"] = plain_plan(network, fmt, post_training=True)
        plans[f"{fmt.label} {PER_TENSOR}"] = plain_plan(network, fmt, per_tensor=True)
    return plans, {name: rounding(planned.net) or "" for name, planned in plans.items()}


def _classes_and_sizes(
    network: AnyNetwork, plans: dict[str, AnyPlan], split: data.Split
) -> tuple[dict[str, NDArray[np.integer]], dict[str, int]]:
    """By name, float32 first and always: predicted classes (N,), and bytes of weights on a board."""
    classes: dict[str, NDArray[np.integer]] = {}
    sizes = {}
    if WeightFormat.FLOAT32.label not in plans:
        classes[WeightFormat.FLOAT32.label] = float_scores(network, split.images).argmax(axis=1)
        sizes[WeightFormat.FLOAT32.label] = float_bytes(network)
    for name, planned in plans.items():
        classes[name] = infer(planned.net, split.images).classes
        sizes[name] = len(planned.rom)
    return classes, sizes


def load_split(name: str, split_name: str, network: AnyNetwork, limit: int | None) -> tuple[data.Dataset, data.Split]:
    """The data set and the first `limit` images of its split; raise InputError where the net cannot take them."""
    dataset = data.load(name)
    split: data.Split = getattr(dataset, split_name)
    if split.images.shape[1:] != image_shape(network):
        found, need = ("×".join(map(str, shape)) for shape in (split.images.shape[1:], image_shape(network)))
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
