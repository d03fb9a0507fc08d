"""How codes become a net's inputs in training, and how what was learned is written down for plain codes."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.network import QatResult, Scaling
from host.nn.parameters import Parameters

SCALINGS = ("unit", "standard", "centred", "raw")


def scaling_of(rule: str, codes: NDArray[Any], top: int) -> Scaling:
    """Return the scaling of a rule for the codes 0..top (N, ...) to be trained on.

    `unit` divides by the top. `standard` subtracts the mean of all and divides by the deviation, in whole numbers as
    seed 001 did. `centred` subtracts from each input its own mean and divides by a quarter of the range. `raw` does
    nothing, as seed 000.
    """
    if rule not in SCALINGS:
        raise InputError(f"train: scaling: found '{rule}', need one of {', '.join(SCALINGS)}; choose one")
    if rule == "unit":
        return Scaling(0, float(top))
    if rule == "raw":
        return Scaling(0, 1.0)
    if rule == "standard":
        return Scaling(int(codes.mean()), float(max(1, int(codes.std()))))
    return Scaling(np.rint(codes.reshape(len(codes), -1).mean(axis=0)).astype(np.int16), (top + 1) / 4)


def folded(
    parameters: Parameters, scaling: Scaling, qat: tuple[QatResult, ...]
) -> tuple[Parameters, Scaling, tuple[QatResult, ...]]:
    """Return the same net with the divisor in its first weights, where each input has its own offset.

    The divisor of such a net is a power of two: all numbers stay what they are but for their exponents.
    """
    if not scaling.is_by_input or scaling.divisor == 1.0:
        return parameters, scaling, qat
    results = tuple(_folded_result(result, scaling.divisor) for result in qat)
    return _folded_numbers(parameters, scaling.divisor), Scaling(scaling.offset, 1.0), results


def _folded_numbers(parameters: Parameters, divisor: float) -> Parameters:
    found = parameters.copy()
    found.of(found.weighted[0])["weights"][...] /= found.flat.dtype.type(divisor)
    return found


def _folded_result(result: QatResult, divisor: float) -> QatResult:
    first = result.parameters.weighted[0]
    steps = list(result.weight_steps)
    rows = steps[first]
    assert rows is not None
    steps[first] = rows / np.float32(divisor)
    return replace(result, parameters=_folded_numbers(result.parameters, divisor), weight_steps=tuple(steps))
