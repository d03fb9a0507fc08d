"""The frozen numbers of a finished rounded net, and its scores, which deployment must meet."""

import numpy as np
from numpy.typing import NDArray

from host.nn import inference
from host.nn.network import QatResult, Scaling
from host.nn.parameters import Parameters
from host.train.qat.fake_quantise import RoundedSequential
from host.train.qat.scales import Scales


def freeze(fmt: str, parameters: Parameters, scales: Scales) -> QatResult:
    """Return what training reached, with every weight replaced by the multiple of its step that it is rounded to."""
    rounded = parameters.copy()
    count = len(parameters.architecture.layers)
    weight_steps: list[NDArray[np.float32] | None] = [None] * count
    output_steps = [0.0] * count
    for index, logs in scales.weights.items():
        step = np.exp(logs).astype(np.float32)
        weights = rounded.of(index)["weights"]
        rows = weights.reshape(len(step), -1)
        codes = np.rint(np.clip(rows / step[:, None], -scales.top, scales.top))
        rows[...] = codes * step[:, None]
        weight_steps[index] = np.broadcast_to(step, len(weights)).copy()
    for index, log in scales.outputs.items():
        output_steps[index] = float(np.exp(log[0]))
    return QatResult(fmt, rounded, tuple(weight_steps), tuple(output_steps), scales.activation_top)


def scores(parameters: Parameters, scales: Scales, scaling: Scaling, given: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) of the rounded net for codes (N, ...)."""

    def make(size: int) -> RoundedSequential:
        return RoundedSequential(parameters, scales, 1 / scaling.divisor, size)

    return inference.through(make, parameters.architecture, scaling, given)
