"""Measures once, on the training images or others, what an export wants to know of a net without having any data: how
far its layers' outputs reach, and what the int8 net then makes of the images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from host.data import Samples
from host.errors import InputError
from host.nn.fixed import codes
from host.nn.formats import ACTIVATION_TOPS, NARROW_TOP, WeightFormat
from host.nn.inference import scores_and_magnitudes, scores_and_ranges
from host.nn.network import Calibration, Network, float_scores
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.quantise.ops import Conv, Dense, Op
from host.quantise.reference import infer, op_inputs

ACCURACY_RULE = 0.001
"""6-bit activations are taken where they lose at most this share on the training images: 0.1 points."""
_PRODUCTS = 300_000_000
_LEAST_IMAGES = 1000
"""As many images as this many products allow, evenly spread over the training images: enough for a mean, soon done."""
_BATCH = 256


def measure_ranges(network: Network, samples: Samples, percentile: float | None = None) -> Network:
    """`network` with the ranges that its layers' outputs have on `samples`, its calibrations gone: the largest, or one
    that so many percent of the images stay within. Raise InputError where nothing is there to be measured, or where
    training has chosen the ranges."""
    decided = next((result.format for result in network.qat if not any(result.output_steps)), None)
    if decided is not None:
        raise InputError(
            f"calibrate: ranges: found those that the training for {decided} has chosen, need measured ones; "
            "train a net on these images instead"
        )
    given = codes(network.architecture, samples.images)
    if percentile is None:
        _, tops = scores_and_ranges(network.parameters, network.scaling, given)
    else:
        _, magnitudes = scores_and_magnitudes(network.parameters, network.scaling, given)
        tops = tuple(
            float(np.percentile(each, percentile, method="higher")) if each.size else 0.0 for each in magnitudes
        )
    if not any(tops):
        raise InputError(
            f"calibrate: ranges: found outputs that are all 0 on {len(samples)} images, need some above; "
            "give other images, or more of them"
        )
    return replace(network, output_max=tops, calibrations=())


def calibrate(network: Network, samples: Samples) -> Network:
    """`network` with one Calibration for each largest activation that it can be exported with as int8."""
    known = []
    for top in sorted({min(NARROW_TOP, network.top), network.top}):
        try:
            graph = lower(network, WeightFormat.INT8, top=top, prune=False)
        except InputError:
            continue
        known.append(_measured(network, graph, top, samples))
    return replace(network, calibrations=tuple(known))


def preferred_top(network: Network) -> int:
    """63 where the accuracy rule allows it, else the network's own top; that too where nothing was measured."""
    accuracy = {known.top: known.accuracy for known in network.calibrations}
    if NARROW_TOP in accuracy and accuracy[NARROW_TOP] >= accuracy.get(network.top, 0.0) - ACCURACY_RULE:
        return NARROW_TOP
    return network.top


def export_top(network: Network, fmt: WeightFormat, bits: int | None) -> int:
    """The largest activation of an export: what `bits` say, what was trained for the format, or the preferred one."""
    if bits is not None:
        return ACTIVATION_TOPS[bits]
    if network.given is not None and fmt is WeightFormat.INT8:
        return network.top
    trained = [result.top for result in network.qat if result.format == fmt.label]
    if network.top in trained or not fmt.is_integer:
        return network.top
    return trained[0] if trained else preferred_top(network) if fmt is WeightFormat.INT8 else network.top


def _measured(network: Network, graph: Graph, top: int, samples: Samples) -> Calibration:
    """Images without labels are judged by what the float net says of them."""
    count = min(len(samples), max(_LEAST_IMAGES, _PRODUCTS // max(1, graph.macs)))
    rows = np.unique(np.linspace(0, len(samples) - 1, count).astype(np.int64))
    images, labels = samples.images[rows], samples.labels
    right = float_scores(network, images).argmax(axis=1) if labels is None else labels[rows]
    accuracy = float(np.mean(infer(graph, images).classes == right))
    return Calibration(top=top, accuracy=accuracy, densities=_densities(graph, images))


def _densities(graph: Graph, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """For each op: of a dense one how often each input is not zero; of others (1,) the mean, of a convolution weighted
    by how often its kernel meets each place, since digits lie where it meets them most."""
    totals = [np.zeros(op.input_shape) for op in graph.ops]
    for start in range(0, len(images), _BATCH):
        for total, values in zip(totals, op_inputs(graph, images[start : start + _BATCH]), strict=True):
            total += (values > 0).sum(axis=0)
    return tuple(_density(op, total / len(images)) for op, total in zip(graph.ops, totals, strict=True))


def _density(op: Op, present: NDArray[np.float64]) -> NDArray[np.float32]:
    if isinstance(op, Dense):
        return present.reshape(-1).astype(np.float32)
    if isinstance(op, Conv):
        visits = _visits(op)
        mean = (present * visits).sum(axis=0) / op.input_shape[0]
        return np.array([mean.sum() / visits.sum()], np.float32)
    return np.array([present.mean()], np.float32)


def _visits(op: Conv) -> NDArray[np.int64]:
    """(H, W): how often the kernel meets each input."""
    counts = []
    for axis, side in enumerate(op.input_shape[1:]):
        count = np.zeros(side, np.int64)
        for position in range(op.used[axis]):
            start = position * op.strides[axis] - op.pads[axis]
            count[max(start, 0) : start + op.kernel[axis]] += 1
        counts.append(count)
    return np.outer(*counts)
