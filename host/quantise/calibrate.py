"""Measures once, on the training images, what an export wants to know of the int8 net without having any data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from host.data import Split
from host.errors import InputError
from host.nn.formats import ACTIVATION_TOPS, NARROW_TOP, WeightFormat
from host.nn.network import Calibration, Network
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


def calibrate(network: Network, train: Split) -> Network:
    """`network` with one Calibration for each largest activation that it can be exported with as int8."""
    known = []
    for top in sorted({min(NARROW_TOP, network.top), network.top}):
        try:
            graph = lower(network, WeightFormat.INT8, top=top, prune=False)
        except InputError:
            continue
        known.append(_measured(graph, top, train))
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


def _measured(graph: Graph, top: int, train: Split) -> Calibration:
    count = min(len(train.labels), max(_LEAST_IMAGES, _PRODUCTS // max(1, graph.macs)))
    rows = np.unique(np.linspace(0, len(train.labels) - 1, count).astype(np.int64))
    images = train.images[rows]
    accuracy = float(np.mean(infer(graph, images).classes == train.labels[rows]))
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
