"""Between steps in training and the frozen numbers of a finished rounded net, whose scores deployment must meet."""

import numpy as np
from numpy.typing import NDArray

from host.nn import inference
from host.nn.formats import WEIGHT_TOPS
from host.nn.network import QatResult, Scaling
from host.nn.parameters import Parameters
from host.train.qat.fake_quantise import RoundedSequential
from host.train.qat.scales import Steps, empty


def settled(fmt: str, parameters: Parameters, steps: Steps) -> QatResult:
    """Return what training reached, with every weight replaced by the multiple of its step that it is rounded to."""
    rounded = parameters.copy()
    count = len(parameters.architecture.layers)
    weight_steps: list[NDArray[np.float32] | None] = [None] * count
    output_steps = [0.0] * count
    for index, logs in steps.weights.items():
        step = np.exp(logs).astype(np.float32)
        weights = rounded.of(index)["weights"]
        rows = weights.reshape(len(step), -1)
        codes = np.rint(np.clip(rows / step[:, None], -steps.top, steps.top))
        rows[...] = codes * step[:, None]
        weight_steps[index] = np.broadcast_to(step, len(weights)).copy()
    for index, log in steps.outputs.items():
        output_steps[index] = float(np.exp(log[0]))
    return QatResult(fmt, rounded, tuple(weight_steps), tuple(output_steps))


def steps_of(tuned: QatResult) -> Steps:
    """Return the steps that `settled` was given."""
    steps = empty(tuned.parameters.architecture, WEIGHT_TOPS[tuned.format])
    for index, logs in steps.weights.items():
        known = tuned.weight_steps[index]
        assert known is not None
        logs[...] = np.log(known[: len(logs)])
    for index, log in steps.outputs.items():
        log[...] = np.log(tuned.output_steps[index])
    return steps


def scores(parameters: Parameters, steps: Steps, scaling: Scaling, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 scores (N, classes) of the rounded net for u8 images (N, H, W)."""

    def make(size: int) -> RoundedSequential:
        return RoundedSequential(parameters, steps, 1 / scaling.divisor, size)

    return inference.through(make, parameters.architecture.classes, scaling, images)
