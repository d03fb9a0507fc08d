"""How a trained net is trained on for the weights that a board stores: which formats there are, and the recipe of each.

See docs/quantisation.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from host.errors import InputError
from host.nn.formats import ACTIVATION_TOPS, BITS_IN_WORDS, WEIGHT_TOPS
from host.train.optimisers import Adam, OptimiserSpec, Schedule

_ADAM = Adam(0.9, 0.99)
_MOST_EPOCHS = 15
_RATES = {"int8": (5e-4, 1.0), "int4": (1.5e-3, 5.0), "ternary": (5e-3, 2.0)}
"""The rate and the steps' factor: of a few tried on USPS those of the lowest training loss (docs/quantisation.md)."""
_UNTRIED = _RATES["int8"]
"""For formats for which nothing was tried: the gentlest."""


@dataclass(frozen=True)
class QatRecipe:
    """A second, short training, on the net as its weights are rounded to one format and its activations to codes of so
    many bits. Takes the images, the batches and the teacher of the first one."""

    format: str
    epochs: int
    schedule: Schedule
    optimiser: OptimiserSpec = _ADAM
    step_factor: float = 1.0  # the rate of the steps' logarithms, in rates
    bits: int | None = None  # of activations; None: the net's own

    def __post_init__(self) -> None:
        if self.format not in WEIGHT_TOPS:
            need = f"one of {', '.join(WEIGHT_TOPS)}"
            raise InputError(f"train: qat: found '{self.format}', need {need}; choose one")
        if self.bits is not None and self.bits not in ACTIVATION_TOPS:
            raise InputError(f"train: qat: found activations of {self.bits} bits, need {BITS_IN_WORDS}; choose one")

    @property
    def name(self) -> str:
        """What it is called in files, histories and options: `int4`, or `int4-6` with the bits of activations."""
        return self.format if self.bits is None else f"{self.format}-{self.bits}"


def standard(name: str, epochs: int) -> QatRecipe:
    """Return the recipe of a name, behind a training of `epochs`. Raises InputError for an unknown one."""
    fmt, bits = _parsed(name)
    share = 0.4 if fmt == "int8" else 0.7
    rate, factor = _RATES.get(fmt, _UNTRIED)
    schedule = Schedule(rate, "cosine", 0.05)
    return QatRecipe(fmt, min(_MOST_EPOCHS, math.ceil(share * epochs)), schedule, step_factor=factor, bits=bits)


def named(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the names that texts such as "int8" or "int8,int4-6" hold, in the order of `WEIGHT_TOPS`, most bits first.

    "none" names none, and stands alone. Raises InputError on anything else.

    >>> named(["int4", "int8,int4-6,int4"])
    ('int8', 'int4', 'int4-6')
    """
    words = {word.strip() for text in texts for word in text.split(",")}
    if words == {"none"}:
        return ()
    found = {word: _parsed(word) for word in words}
    order = list(WEIGHT_TOPS)
    return tuple(sorted(words, key=lambda word: (order.index(found[word][0]), -(found[word][1] or 99))))


def _parsed(name: str) -> tuple[str, int | None]:
    """Return the format and the bits of activations that a name gives."""
    fmt, dash, bits = name.partition("-")
    is_known = fmt in WEIGHT_TOPS and (not dash or bits in map(str, ACTIVATION_TOPS))
    if not is_known:
        need = f"formats among {', '.join(WEIGHT_TOPS)}, each alone or, as in int4-6, with activation bits"
        raise InputError(f"train: qat: found '{name}', need {need} ({BITS_IN_WORDS}), or none alone; choose among them")
    return fmt, int(bits) if dash else None
