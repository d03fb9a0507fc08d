"""A net as integers (or rounded floats): the ops that determine its scores, from the image to the scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from host.nn.formats import FULL_TOP, WeightFormat
from host.quantise.graph_hash import graph_hash
from host.quantise.ops import MapShape, Op, Pair

AWARE = "quantisation-aware"
AFTER = "post-training"
PER_TENSOR = "post-training, per tensor"
GIVEN = "as imported"
"""How weights came about: trained for their format; rounded when training was over, each row or a whole layer with its
own scale; whole numbers of an imported net."""


@dataclass(frozen=True, eq=False)
class Graph:
    """What a board computes with. The last op is a Dense whose sums (or codes) are the scores.

    `rounding` says how whole weights came about, None for floats. `score_step` is what one step of a score is worth in
    the trained net's unit: probabilities are the softmax of scores times it. Neither enters a score or the hash.
    """

    input_shape: MapShape
    ops: tuple[Op, ...]
    labels: tuple[str, ...]
    preset: str
    format: WeightFormat
    rounding: str | None = AFTER
    score_step: float = 1.0

    @property
    def image_shape(self) -> Pair:
        return self.input_shape[1], self.input_shape[2]

    @property
    def classes(self) -> int:
        return int(self.ops[-1].output_shape[0])

    @property
    def top(self) -> int:
        """The largest activation that any op but the last puts out."""
        return max((op.codes.high for op in self.ops[:-1]), default=FULL_TOP)

    @property
    def macs(self) -> int:
        return sum(op.macs for op in self.ops)

    @cached_property
    def hash(self) -> str:
        """SHA-256, hexadecimal, over the numbers that determine the scores and nothing else (graph_hash.py)."""
        return graph_hash(self.format, self.input_shape, self.top, self.ops)

    @property
    def hash_bytes(self) -> bytes:
        """The first eight bytes of the hash: what the header carries and READY answers."""
        return bytes.fromhex(self.hash)[:8]
