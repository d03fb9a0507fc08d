"""Measures once, on the training images, what an export wants to know of the int8 net without having any data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from host.data import Split
from host.deploy.old_networks import PreconvNetwork, preconv
from host.deploy.quantise import LEVELS, quantise
from host.deploy.reference import infer, layer_inputs
from host.nn.network import Calibration, Network
from host.nn.preconv import preconv_features
from host.quantise.numerics import WeightFormat

ACCURACY_RULE = 0.001
"""6-bit activations are taken where they lose at most this share on the training images: 0.1 points."""


def calibrate(network: Network, train: Split) -> Network:
    """`network` with one Calibration for each number of activation bits it can be exported with."""
    known = tuple(_measure(preconv(network), train, levels) for levels in LEVELS.values() if levels <= network.top)
    return replace(network, calibrations=known)


def preferred_levels(network: Network | PreconvNetwork) -> int:
    """63 where the accuracy rule allows it, else the network's own levels; those too where nothing was measured."""
    network = preconv(network)
    accuracy = {known.top: known.accuracy for known in network.calibrations}
    narrow = LEVELS[6]
    if narrow in accuracy and accuracy[narrow] >= accuracy.get(network.levels, 0.0) - ACCURACY_RULE:
        return narrow
    return network.levels


def _measure(network: PreconvNetwork, train: Split, levels: int) -> Calibration:
    net = quantise(network, WeightFormat.INT8, levels=levels, prune=False)
    inputs = layer_inputs(net, preconv_features(train.images, levels))
    return Calibration(
        top=levels,
        accuracy=float(np.mean(infer(net, train.images).classes == train.labels)),
        densities=tuple((values > 0).mean(axis=0).astype(np.float32) for values in inputs),
    )
