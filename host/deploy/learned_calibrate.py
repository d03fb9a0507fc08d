"""Measures once, on training images, what an export wants to know of a learned int8 net without having any data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from host.data import Split
from host.deploy.learned_nets import LEVELS, ConvStage, LearnedNet
from host.deploy.learned_quantise import quantise_learned
from host.deploy.learned_reference import activations, infer_learned
from host.nn.network import Calibration, Network

_IMAGES = 1000
"""Evenly spread over the training images: enough for a mean, and soon done."""


def calibrate_learned(network: Network, train: Split) -> Network:
    """`network` with its int8 net's accuracy on training images and how many of each stage's inputs are not zero."""
    rows = np.unique(np.linspace(0, len(train.labels) - 1, min(_IMAGES, len(train.labels))).astype(np.int64))
    net, images = quantise_learned(network), train.images[rows]
    accuracy = float(np.mean(infer_learned(net, images).classes == train.labels[rows]))
    return replace(network, calibrations=(Calibration(LEVELS, accuracy, _densities(net, images)),))


def _visits(stage: ConvStage) -> NDArray[np.int64]:
    """(H, W): how often the kernel meets each input. Digits lie where it meets them most."""
    counts = []
    for side, outputs in zip(stage.input_shape[1:], stage.output_shape[1:], strict=True):
        count = np.zeros(side, np.int64)
        for position in range(outputs * stage.pool):
            start = position * stage.stride - stage.padding
            count[max(start, 0) : start + stage.kernel] += 1
        counts.append(count)
    return np.outer(*counts)


def _densities(net: LearnedNet, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    values = images[:, None]
    found = []
    for stage in net.stages:
        present = (values > 0).mean(axis=0)
        if isinstance(stage, ConvStage):
            present = (present * _visits(stage)).sum(axis=0) / stage.input_shape[0]
            found.append(np.array([present.sum() / _visits(stage).sum()], np.float32))
        else:
            found.append(np.array([present.mean()], np.float32))
        if stage is not net.stages[-1]:
            values = activations(stage, values)
    return tuple(found)
