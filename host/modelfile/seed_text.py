"""The seed's text matrices, `W1_CNN.txt` and `W2_CNN.txt`: float16 of [weights | bias], each number as `%.1e` followed
by a NUL and a newline, row by row. Two significant digits: an interchange format, not one to classify with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.atomic import write_texts
from host.deploy.nets import FloatDense
from host.deploy.quantise import quantise
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.network import Network

MAX_NUMBERS = 1 << 22


def matrices(network: Network) -> list[NDArray[np.float16]]:
    """One (outputs, inputs + 1) matrix a layer, the bias in its last column, nothing pruned."""
    rounded = quantise(network, WeightFormat.FLOAT16, prune=False)
    joined = []
    for layer in rounded.layers:
        assert isinstance(layer, FloatDense)
        joined.append(np.column_stack([layer.weights, layer.bias]).astype(np.float16))
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


def from_text(path: Path, columns: int) -> NDArray[np.float16]:
    """Read a matrix of `columns` = inputs + 1 columns back; raise InputError where the text is not one."""
    try:
        fields = path.read_bytes().decode("ascii").split("\0\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a text matrix ({error}); export it again") from error
    if fields[-1] != "" or len(fields) > MAX_NUMBERS:
        raise InputError(f"{path}: found a last number without its NUL and newline, need both; the file is cut short")
    try:
        values = np.array([float(field) for field in fields[:-1]], np.float16)
    except ValueError as error:
        raise InputError(f"{path}: {error}; each number must be text such as -1.2e-03") from error
    if not np.all(np.isfinite(values)) or values.size == 0 or values.size % columns:
        raise InputError(f"{path}: found {values.size} numbers, need finite ones in rows of {columns}; export it again")
    return values.reshape(-1, columns)
