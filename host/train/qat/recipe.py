"""How a trained net is trained on for the weights that a board stores: which formats there are, and the recipe of each.

See docs/quantisation.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from host.errors import InputError
from host.nn.formats import WEIGHT_TOPS
from host.train.optimisers import Adam, OptimiserSpec, Schedule

_ADAM = Adam(0.9, 0.99)
_MOST_EPOCHS = 15
_RATES = {"int8": (5e-4, 1.0), "int4": (1.5e-3, 5.0), "ternary": (5e-3, 2.0)}
"""The rate and the steps' factor: of a few tried on USPS those of the lowest training loss (docs/quantisation.md)."""
_UNTRIED = _RATES["int8"]
"""For formats for which nothing was tried: the gentlest."""


@dataclass(frozen=True)
class Tuning:
    """A second, short training, on the net as its weights are rounded to one format. Takes the images, the batches and
    the teacher of the first one."""

    format: str
    epochs: int
    schedule: Schedule
    optimiser: OptimiserSpec = _ADAM
    step_factor: float = 1.0  # the rate of the steps' logarithms, in rates

    def __post_init__(self) -> None:
        if self.format not in WEIGHT_TOPS:
            need = f"one of {', '.join(WEIGHT_TOPS)}"
            raise InputError(f"train: tuning: found '{self.format}', need {need}; choose one")


def standard(fmt: str, epochs: int) -> Tuning:
    """Return the recipe for a format, behind a training of `epochs`. Raises InputError for an unknown format."""
    share = 0.4 if fmt == "int8" else 0.7
    rate, factor = _RATES.get(fmt, _UNTRIED)
    schedule = Schedule(rate, "cosine", 0.05)
    return Tuning(fmt, min(_MOST_EPOCHS, math.ceil(share * epochs)), schedule, step_factor=factor)


def named(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the formats that texts such as "int8" or "int8,int4" name, in the order of `WEIGHT_TOPS`.

    "none" names none, and stands alone. Raises InputError on anything else.

    >>> named(["int4", "int8,int4"])
    ('int8', 'int4')
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    if words == ["none"]:
        return ()
    for word in words:
        if word not in WEIGHT_TOPS:
            need = f"formats among {', '.join(WEIGHT_TOPS)}, or none alone"
            raise InputError(f"train: qat: found '{word}', need {need}; choose among them")
    return tuple(fmt for fmt in WEIGHT_TOPS if fmt in words)
