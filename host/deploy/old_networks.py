"""For the time of the migration alone: the one Network as the two classes that today's two towers work with.

`preconv` and `learned` give a tower its own form of a network, and let pass what has it already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn import dense_chain
from host.nn.dense_chain import DenseNumbers
from host.nn.layers import Architecture
from host.nn.network import Calibration, Network, Provenance, QatResult, Scaling
from host.nn.parameters import Parameters

_ROWS_AT_ONCE = 8192


@dataclass(frozen=True, eq=False)
class PreconvNetwork:
    """The fixed front end and dense layers behind it."""

    input_shape: tuple[int, int]  # (H, W) of the raw image
    layers: tuple[DenseNumbers, ...]
    labels: tuple[str, ...]
    provenance: Provenance
    front_end: str = "preconv"
    levels: int = 255
    calibrations: tuple[Calibration, ...] = ()


@dataclass(frozen=True, eq=False)
class LearnedNetwork:
    """Layers that are all trained."""

    parameters: Parameters
    scaling: Scaling
    labels: tuple[str, ...]
    provenance: Provenance
    output_max: tuple[float, ...]
    calibrations: tuple[Calibration, ...] = ()
    tuned: tuple[QatResult, ...] = ()

    @property
    def architecture(self) -> Architecture:
        """The layers."""
        return self.parameters.architecture

    def tuned_for(self, fmt: str) -> QatResult | None:
        """Return the numbers that were trained on for a format."""
        return next((tuned for tuned in self.tuned if tuned.format == fmt), None)


def is_learned(network: object) -> bool:
    """Whether the tower of learned layers is this network's."""
    return isinstance(network, LearnedNetwork) or (isinstance(network, Network) and not network.fixed)


def is_known(network: Network) -> bool:
    """Whether either tower can take this network."""
    return is_learned(network) or _split(network) is not None


def _split(network: Network) -> tuple[DenseNumbers, ...] | None:
    """Leaving out what was trained for formats where the tower has no place for it."""
    return dense_chain.split(network) or dense_chain.split(replace(network, qat=()))


def preconv(network: Network | PreconvNetwork) -> PreconvNetwork:
    """Return the network as its tower has it. Raises InputError for one that no tower has yet."""
    if isinstance(network, PreconvNetwork):
        return network
    layers = _split(network)
    if layers is None:
        kinds = ", ".join(type(layer).__name__ for layer in network.architecture.layers)
        raise InputError(f"network: found {kinds}, need dense layers alone behind a front end; train another net")
    shape = network.image_shape
    if not all(4 <= side <= 64 and side % 2 == 0 for side in shape):
        raise InputError(f"network: image: found {shape}, need even sides of 4..64; train on other images")
    known = tuple(known for known in network.calibrations if len(known.densities) == len(layers))
    return PreconvNetwork(shape, layers, network.labels, network.provenance, "preconv", network.top, known)


def learned(network: Network | LearnedNetwork) -> LearnedNetwork:
    """Return the network as its tower has it."""
    if isinstance(network, LearnedNetwork):
        return network
    sizes = {"kernel", "stride", "padding", "size"}
    for layer in network.architecture.layers:
        is_square = not any(isinstance(getattr(layer, name, 0), tuple) for name in sizes)
        if not is_square or not isinstance(network.scaling.offset, int):
            raise InputError(f"network: found {layer}, need square windows and one offset; train another net")
    tuned = tuple(result for result in network.qat if result.top == network.top)
    facts = (network.parameters, network.scaling, network.labels, network.provenance, network.output_max)
    return LearnedNetwork(*facts, network.calibrations, tuned)


def activations(network: PreconvNetwork, features: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return the output of every layer for features (N, in): after ReLU, and the raw scores (N, classes) last."""
    values = features.astype(np.float32)
    outputs = []
    for index, layer in enumerate(network.layers):
        if layer.input_offset is not None:
            values -= layer.input_offset.astype(np.float32)
        values = values @ layer.weights.T
        values += layer.bias
        if index < len(network.layers) - 1:
            np.maximum(values, np.float32(0), out=values)
        outputs.append(values)
    return outputs


def forward(network: PreconvNetwork, features: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) for features (N, in)."""
    scores = np.empty((len(features), len(network.layers[-1].bias)), np.float32)
    for rows in _chunks(len(features)):
        scores[rows] = activations(network, features[rows])[-1]
    return scores


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE))
