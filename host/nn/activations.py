"""Where a net's activations are rounded on a board, and to what."""

import math

from host.errors import InputError
from host.nn.formats import ACTIVATION_TOPS, FRONT_END_TOPS, bits_in_words
from host.nn.layers import Architecture, Conv2d, Dense, MaxPool2d, MinMaxNormalise, ReLU


def rectifiers(architecture: Architecture) -> tuple[int, ...]:
    """Return the index of the ReLU behind each layer with weights but the last, where activations are rounded.

    Raises InputError where one is missing: it must follow right behind, or behind the max-pool that does.
    """
    found = []
    for index, layer in enumerate(architecture.layers[:-1]):
        if not isinstance(layer, Conv2d | Dense):
            continue
        behind = architecture.layers[index + 1 : index + 3]
        at = index + 1 if isinstance(behind[0], ReLU) else index + 2
        pooled = isinstance(behind[0], MaxPool2d) and len(behind) == 2 and isinstance(behind[1], ReLU)
        if at == index + 2 and not pooled:
            name, need = type(layer).__name__, "ReLU right behind it, or behind its max-pool"
            raise InputError(f"qat: layer {index}: found {name} without ReLU, need {need}; leave --qat out")
        found.append(at)
    return tuple(found)


def activation_tops(architecture: Architecture) -> dict[int, int]:
    """Return activation bits → the largest activation, of those that a net can have: behind a front end that
    normalises one of FRONT_END_TOPS, and none larger than the codes that the net was trained on."""
    normalises = any(isinstance(layer, MinMaxNormalise) for layer in architecture.layers)
    known = FRONT_END_TOPS if normalises else ACTIVATION_TOPS.values()
    return {bits: top for bits, top in ACTIVATION_TOPS.items() if top in known and top <= architecture.top}


def needed_bits(architecture: Architecture) -> str:
    """What a message says that is needed instead of activations which the net cannot have."""
    tops = activation_tops(architecture).values() or FRONT_END_TOPS
    why = "" if len(tops) == len(ACTIVATION_TOPS) else ", as the codes of its fixed front end have"
    return f"need {bits_in_words(tops)} bits{why}"


def code_of_limit(limit: float, step: float, top: int) -> int:
    """Return the code 1..top at which a ReLU's limit holds its outputs, `step` being what one is worth."""
    return max(1, min(top, math.floor(limit / step + 0.5)))
