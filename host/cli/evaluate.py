"""`host evaluate`: what each weight format costs, on the PC alone."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host import data
from host.cli.console import Console, percent, table
from host.deploy import model as model_file
from host.deploy.calibrate import preferred_levels
from host.deploy.numerics import WeightFormat
from host.deploy.plan import plan
from host.deploy.quantise import quantise
from host.deploy.reference import infer
from host.errors import InputError
from host.report.document import evaluation
from host.train.network import Network


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    dataset, split = load_split(arguments.data, arguments.split, network, arguments.limit)
    formats = [fmt for fmt in WeightFormat if arguments.format in (None, fmt.label) or fmt is WeightFormat.FLOAT32]
    classes: dict[str, NDArray[np.integer]] = {}
    sizes = {}
    for fmt in formats:
        # As `host export` would flash it by default.
        net = quantise(network, fmt, levels=preferred_levels(network))
        classes[fmt.label] = infer(net, split.images).classes
        sizes[fmt.label] = len(plan(net).rom)
    result = evaluation(dataset.name, arguments.split, split.labels, classes, len(network.labels))
    rows = [["format", "accuracy", "changed", "weights"]]
    for name, accuracy in result["accuracy"].items():
        rows.append([name, percent(accuracy), str(result["changed"][name]), f"{sizes[name]:,} B"])
    console.say(f"{dataset.name} {arguments.split}, {result['n']:,} images; changed: digits that differ from float32")
    console.say(table(rows))
    last = formats[-1].label
    recalls = ("-" if value is None else f"{100 * value:.1f}" for value in result["recall"][last])
    console.say(f"recall per class, {last} (%): {' '.join(recalls)}")
    console.document(result)
    return 0


def load_split(name: str, split_name: str, network: Network, limit: int | None) -> tuple[data.Dataset, data.Split]:
    """The data set and the first `limit` images of its split; raise InputError where the net cannot take them."""
    dataset = data.load(name)
    split: data.Split = getattr(dataset, split_name)
    if split.images.shape[1:] != network.input_shape:
        found, need = ("×".join(map(str, shape)) for shape in (split.images.shape[1:], network.input_shape))
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
