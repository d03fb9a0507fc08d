"""`host evaluate`: what each weight format costs, on the PC alone."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host import data
from host.cli.console import Console, percent, table
from host.deploy import model as model_file
from host.deploy.deployment import AnyNetwork, float_bytes, float_scores, formats, image_shape, infer, plain_plan
from host.deploy.numerics import WeightFormat
from host.errors import InputError
from host.report.document import evaluation


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    network = model_file.load(Path(arguments.model))
    dataset, split = load_split(arguments.data, arguments.split, network, arguments.limit)
    classes, sizes = _classes_and_sizes(network, arguments.format, split)
    result = evaluation(dataset.name, arguments.split, split.labels, classes, len(network.labels))
    rows = [["format", "accuracy", "changed", "weights"]]
    for name, accuracy in result["accuracy"].items():
        rows.append([name, percent(accuracy), str(result["changed"][name]), f"{sizes[name]:,} B"])
    console.say(f"{dataset.name} {arguments.split}, {result['n']:,} images; changed: digits that differ from float32")
    console.say(table(rows))
    last = list(classes)[-1]
    recalls = ("-" if value is None else f"{100 * value:.1f}" for value in result["recall"][last])
    console.say(f"recall per class, {last} (%): {' '.join(recalls)}")
    console.document(result)
    return 0


def _classes_and_sizes(
    network: AnyNetwork, only: str | None, split: data.Split
) -> tuple[dict[str, NDArray[np.integer]], dict[str, int]]:
    """By format, float32 first and always: predicted classes (N,), and bytes of weights on a board."""
    deployable = formats(network)
    if only is not None and only != WeightFormat.FLOAT32.label and WeightFormat[only.upper()] not in deployable:
        raise InputError(f"{only}: found a net of learned kernels, need int8 for it; leave --format out")
    classes: dict[str, NDArray[np.integer]] = {}
    sizes = {}
    if WeightFormat.FLOAT32 not in deployable:
        classes[WeightFormat.FLOAT32.label] = float_scores(network, split.images).argmax(axis=1)
        sizes[WeightFormat.FLOAT32.label] = float_bytes(network)
    for fmt in deployable:
        if only in (None, fmt.label) or fmt is WeightFormat.FLOAT32:
            planned = plain_plan(network, fmt)
            classes[fmt.label] = infer(planned.net, split.images).classes
            sizes[fmt.label] = len(planned.rom)
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
