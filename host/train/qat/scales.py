"""The steps of a net whose weights and activations are rounded: which there are, and where training starts them.

Scales are trained as logarithms, so that they stay positive and one rate suits steps of every size (Jain, Gural, Wu,
Dick: MLSys 2020). One flat vector is what optimisers see, named views into it are what layers see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn.activations import rectifiers
from host.nn.layers import Architecture
from host.nn.parameters import Parameters, slots

_MARGIN = 1e-4
_SHARES = np.geomspace(0.15, 1.0, 60)
"""Of the largest weight: what the largest code may stand for at the start."""


@dataclass(frozen=True, eq=False)
class Scales:
    """Natural logarithms of the steps, or gradients of the loss for them, in one layout.

    `top` is the largest weight code, `activation_top` that of an activation. `weights` are by the index of the layer:
    one for each row (output), (rows,), and (1,) for the last layer, whose sums are compared with each other. `outputs`,
    (1,), are by the index of the ReLU.
    """

    top: int
    activation_top: int
    flat: NDArray[Any]
    weights: Mapping[int, NDArray[Any]]
    outputs: Mapping[int, NDArray[Any]]

    def zeros(self, architecture: Architecture) -> "Scales":
        """Return zeros in the same layout."""
        return empty(architecture, self.top, self.activation_top, self.flat.dtype.type)

    def bound(self, input_step: float) -> None:
        """Raise output steps, where need be, until none is smaller than one step of a sum before it.

        Boards multiply sums by less than one. `input_step` is what one step of a pixel is worth.
        """
        before = np.log(input_step)
        for logs, output in zip(self.weights.values(), self.outputs.values(), strict=False):  # the scores have none
            np.maximum(output, logs.max() + before + _MARGIN, out=output)
            before = output[0]


def empty(
    architecture: Architecture, top: int, activation_top: int, dtype: type[np.floating[Any]] = np.float32
) -> Scales:
    """Return zeros. Raises InputError for a net that rounding on a board has no place in."""
    relus = rectifiers(architecture)
    last = len(architecture.layers) - 1
    sizes = {slot.layer: 1 if slot.layer == last else slot.shape[0] for slot in _weights(architecture)}
    flat = np.zeros(sum(sizes.values()) + len(relus), dtype)
    ends = np.cumsum([*sizes.values(), *(1 for _ in relus)])
    views = np.split(flat, ends[:-1])
    return Scales(
        top,
        activation_top,
        flat,
        dict(zip(sizes, views, strict=False)),
        dict(zip(relus, views[len(sizes) :], strict=True)),
    )


def start(
    parameters: Parameters, top: int, activation_top: int, output_tops: Mapping[int, float], input_step: float
) -> Scales:
    """Return the steps from which training sets out, `output_tops` being what the largest code shall stand for at each
    ReLU.

    `input_step` is what one step of a pixel is worth.
    """
    scales = empty(parameters.architecture, top, activation_top, parameters.flat.dtype.type)
    for layer, logs in scales.weights.items():
        rows = parameters.of(layer)["weights"].reshape(len(logs), -1)
        logs[...] = np.log(closest_steps(rows, top))
    for relu, log in scales.outputs.items():
        reach = output_tops[relu]
        log[...] = np.log((reach if reach > 0 else 1.0) / activation_top)
    scales.bound(input_step)
    return scales


def closest_steps(rows: NDArray[Any], top: int) -> NDArray[np.float64]:
    """Return for rows (R, n) the steps (R,) that change them least, by the sum of squares, when rounded to ±`top`.

    For `top` 1 and normal weights this is close to the threshold of Ternary Weight Networks (Li, Zhang, Liu, 2016).
    """
    wide = rows.astype(np.float64)
    largest = np.abs(wide).max(axis=1)
    whole = np.where(largest > 0, largest, 1.0) / top
    errors = []
    for share in _SHARES:
        step = (whole * share)[:, None]
        errors.append(((np.clip(np.rint(wide / step), -top, top) * step - wide) ** 2).sum(axis=1))
    best: NDArray[np.float64] = whole * _SHARES[np.argmin(errors, axis=0)]
    return best


def _weights(architecture: Architecture) -> list[Any]:
    return [slot for slot in slots(architecture) if slot.name == "weights"]
