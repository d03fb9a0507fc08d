"""Files of a net's inputs, models for them, and a net whose scores are codes, which no command makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from graphs import graph_of, half_up, random_rows
from networks import network_of

from host.modelfile import file as model_file
from host.nn.layers import Conv2d, Flatten, MaxPool2d, ReLU
from host.nn.network import Network, Scaling
from host.quantise.graph import Graph
from host.quantise.ops import Codes, Dense

LABELS = ("wing", "ring", 'a "slope", or none')
LAYERS = (Conv2d(4, (3, 2)), ReLU(), MaxPool2d((2, 1)), Flatten())


def oblong_network(shape=(1, 12, 3)) -> Network:
    """One code of its input is worth 1/40."""
    network = network_of(LAYERS, shape=shape, classes=len(LABELS), scaling=Scaling(0, 40.0))
    return replace(network, labels=LABELS)


def saved(place: Path, network: Network, name: str = "m.h5") -> Path:
    model_file.save(network, place / name)
    return place / name


def without_ranges(network: Network) -> Network:
    """As an importer makes it of floats."""
    return replace(network, output_max=(0.0,) * len(network.output_max), calibrations=())


def floats(count: int = 40, shape=(12, 3), seed: int = 0) -> np.ndarray:
    """Inputs as the net takes them, some of them beyond what a byte holds."""
    return np.random.default_rng(seed).uniform(-0.5, 7, (count, *shape)).astype(np.float32)


def graph_of_codes(seed: int = 0) -> Graph:
    """One dense op of 6 inputs whose 3 scores are u8 codes."""
    rows = random_rows(np.random.default_rng(seed), (3, 6), 255, top=255)
    return graph_of(Dense((1, 2, 3), replace(rows, requantiser=half_up(3, 300, 16)), Codes()))
