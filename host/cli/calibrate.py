"""`host calibrate`: how far a net's outputs reach, on data of the user's: for a net that nobody measured, or again."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from host import pretrained
from host.api.samples import Asked, load_samples
from host.atomic import check_writable
from host.cli.console import Console, percent
from host.compile.exports import refusal
from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.formats import ACTIVATION_TOPS, WeightFormat
from host.nn.network import Network, float_scores
from host.quantise.calibrate import calibrate, measure_ranges
from host.report.compare import accuracy


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    source = Path(arguments.model)
    target = _target(arguments.output, source)
    network = model_file.load(source)
    asked = load_samples(arguments.data, network, arguments.split, arguments.limit, usual="train")
    measured = calibrate(measure_ranges(network, asked.samples, arguments.percentile), asked.samples)
    _say(console, measured, asked)
    model_file.save(measured, target)
    digest = model_file.content_hash(measured)
    console.say(f"model {digest[:16]} saved to {target}")
    labels = asked.samples.labels
    console.document(
        {
            "schema": 1,
            "dataset": asked.name,
            "split": asked.part,
            "n": len(asked.samples),
            "percentile": arguments.percentile,
            "output_max": list(measured.output_max),
            "accuracy": None if labels is None else _shares(measured, asked),
            "float_agreement": _shares(measured, asked) if labels is None else None,
            "hash": digest,
        }
    )
    return 0


def _target(output: str | None, source: Path) -> Path:
    """Raise InputError, before any work, where the model could not be written."""
    if output is None and source.parent == pretrained.FOLDER:
        raise InputError(f"calibrate: -o: found none for {source.stem}, which comes with the package, need one; add it")
    target = source if output is None else Path(output)
    check_writable(target)
    return target


def _shares(network: Network, asked: Asked) -> dict[str, float]:
    """Accuracy of the float net and of int8 by bits; without labels the share of answers that are the float net's."""
    labels = asked.samples.labels
    found = {}
    if labels is not None:
        found["float32"] = accuracy(float_scores(network, asked.samples.images).argmax(axis=1), labels)
    bits = {top: bits for bits, top in ACTIVATION_TOPS.items()}
    return found | {f"int8 {bits[known.top]}-bit activations": known.accuracy for known in network.calibrations}


def _say(console: Console, network: Network, asked: Asked) -> None:
    layers = int(np.count_nonzero(network.output_max))
    console.say(f"{asked.name} {asked.part}: {len(asked.samples):,} {asked.unit}s, ranges of {layers} layers")
    if asked.cut is not None:
        console.say(asked.cut)
    for name, share in _shares(network, asked).items():
        what = "answers as the float net" if asked.samples.labels is None else "accuracy"
        console.say(f"  {name:24} {what} {percent(share)}")
    if network.given is not None:
        console.say(f"int8 keeps the numbers of {network.given.source}'s file; the ranges are for other formats")
    if reason := refusal(network, WeightFormat.INT8):
        console.say(reason)
