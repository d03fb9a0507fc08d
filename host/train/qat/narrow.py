"""The same net on codes of fewer levels: what a front end with another top gives its first trained layer.

A code c of 0..top is worth c · own / top codes of 0..own, the net's own. Only a net whose front end ends in a
normalisation has codes to narrow; others are given pixels, whatever their activations are rounded to.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.layers import Architecture, MinMaxNormalise
from host.nn.network import QatResult, Scaling
from host.nn.parameters import Parameters


def narrowed(parameters: Parameters, scaling: Scaling, top: int) -> tuple[Parameters, Scaling]:
    """Return a net of its own numbers, and its scaling, of the same scores on codes 0..top.

    Offsets are whole numbers: what rounding them changes goes into the first biases.
    """
    architecture = parameters.architecture
    own = architecture.front_end_top
    if own is None or own == top:
        return parameters.copy(), scaling
    place = architecture.fixed - 1
    layers = (*architecture.layers[:place], MinMaxNormalise(top), *architecture.layers[place + 1 :])
    changed = Parameters(
        Architecture(architecture.input_shape, layers), parameters.flat.copy(), parameters.measured.copy()
    )
    found = _scaling(scaling, own, top)
    _move_biases(changed, scaling, found, own, top, 1.0)
    return changed, found


def widened(result: QatResult, architecture: Architecture, scaling: Scaling) -> QatResult:
    """Return a result that was trained on the codes 0..result.top of `narrowed` as one of the net of `architecture` and
    `scaling`, which is given them as codes of its own."""
    own = architecture.front_end_top
    if own is None or own == result.top:
        return result
    numbers = Parameters(architecture, result.parameters.flat.copy(), result.parameters.measured.copy())
    _move_biases(numbers, scaling, _scaling(scaling, own, result.top), own, result.top, -1.0)
    return replace(result, parameters=numbers)


def _scaling(scaling: Scaling, own: int, top: int) -> Scaling:
    offset: float | NDArray[np.int16]
    if isinstance(scaling.offset, np.ndarray):
        offset = np.rint(scaling.offset * (top / own)).astype(np.int16)
    else:
        offset = round(scaling.offset * top / own)
    return Scaling(offset, scaling.divisor * top / own)


def _move_biases(parameters: Parameters, wide: Scaling, narrow: Scaling, own: int, top: int, sign: float) -> None:
    """Put into the first biases, in place, what both scalings' inputs differ by: (o' · own / top − o) / divisor."""
    numbers = parameters.of(parameters.weighted[0])
    apart: NDArray[Any] = (np.asarray(narrow.offset) * (own / top) - np.asarray(wide.offset)) / wide.divisor
    weights = numbers["weights"].astype(np.float64)
    if weights.ndim == 2:
        moved = weights @ np.broadcast_to(apart, weights.shape[1])
    elif apart.ndim == 0:
        moved = weights.sum(axis=(1, 2, 3)) * apart
    else:
        raise InputError(
            "train: qat: found an offset for each input of a convolution, need one; leave activation bits out"
        )
    numbers["bias"][...] += (sign * moved).astype(numbers["bias"].dtype)
