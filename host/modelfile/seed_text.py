"""The seed's text matrices, `W1_CNN.txt` and `W2_CNN.txt`: float16 of [weights | bias], each number as `%.1e` followed
by a NUL and a newline, row by row. Two significant digits: an interchange format, not one to classify with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.atomic import write_texts
from host.errors import InputError
from host.nn.layers import Dense, Flatten, ReLU
from host.nn.network import Network
from host.nn.numbers import to_half


def matrices(network: Network) -> list[NDArray[np.float16]]:
    """One (outputs, inputs + 1) matrix a dense layer, the bias in its last column, for codes of 0..top, nothing pruned.

    Raise InputError for a net with other layers.
    """
    layers = [layer for layer in network.architecture.layers[network.fixed :] if layer not in (Flatten(), ReLU())]
    others = [type(layer).__name__ for layer in layers if not isinstance(layer, Dense)]
    if others or not layers:
        found = others[0] if others else "none"
        raise InputError(f"text: found {found} among the layers, need dense layers alone; use --format int8")
    joined: list[NDArray[np.float16]] = []
    scaling = network.scaling
    for index, layer in enumerate(network.architecture.layers):
        if not isinstance(layer, Dense):
            continue
        weights: NDArray[np.float32] = network.parameters.of(index)["weights"]
        bias: NDArray[np.float64] = network.parameters.of(index)["bias"].astype(np.float64)
        if not joined and scaling.divisor != 1.0:
            weights = (weights / scaling.divisor).astype(np.float32)
        rounded = to_half(weights, "text", "use --format int8")
        if not joined:  # with the rounded weights, so that the sums stay centred
            offsets = np.broadcast_to(np.asarray(scaling.offset, np.float64), weights.shape[1])
            bias = bias - rounded.astype(np.float64) @ offsets
        joined.append(np.column_stack([rounded, bias.astype(np.float32)]).astype(np.float16))
    return joined


def write(network: Network, directory: Path) -> list[Path]:
    """Write W1_CNN.txt, W2_CNN.txt, … into `directory`; return their paths."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be made: {error.strerror}; choose another place with -o") from error
    texts = {f"W{number}_CNN.txt": to_text(matrix) for number, matrix in enumerate(matrices(network), start=1)}
    return write_texts(directory, texts)


def to_text(matrix: NDArray[np.float16]) -> str:
    """(rows, columns) float16 as the seed's text."""
    return "".join(f"{float(value):.1e}\0\n" for value in matrix.ravel())
