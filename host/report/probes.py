"""What the board said to the probes that went before the data, beside the reference. They enter no other figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.link import wire
from host.quantise.graph import Graph
from host.quantise.probes import Probes, probes
from host.quantise.reference import Predictions, infer


@dataclass(frozen=True)
class ProbeComparison:
    """`device_words` (N, classes) u32, the scores' raw bits; `device_classes` (N,)."""

    probes: Probes
    reference: Predictions
    device_classes: NDArray[np.uint8]
    device_words: NDArray[np.uint32]

    @property
    def n(self) -> int:
        return len(self.probes.names)

    @property
    def differing(self) -> NDArray[np.intp]:
        """Which probes' class or scores differ, ascending."""
        words = (self.device_words != self.reference.words).any(axis=1)
        return np.flatnonzero(words | (self.device_classes != self.reference.classes))

    @property
    def agrees(self) -> bool:
        return not len(self.differing)

    def document(self) -> dict[str, Any]:
        """For the report."""
        first = None
        if not self.agrees:
            at = int(self.differing[0])
            classes = {"quantised": int(self.reference.classes[at]), "device": int(self.device_classes[at])}
            first = {"name": self.probes.names[at], **classes}
        return {
            "n": self.n,
            "equal": self.n - len(self.differing),
            "first_differing": first,
            "tie": self.probes.tie,
            "unreached": list(self.probes.unreached),
        }

    def text(self) -> str:
        """For the terminal, a line or two."""
        lines = [f"probes     {self.n - len(self.differing)} of {self.n} as the reference"]
        if not self.probes.tie:
            lines.append("           no image was found whose two largest scores are equal")
        if self.probes.unreached:
            lines.append(f"           no image was found that passes the clamp of {'; '.join(self.probes.unreached)}")
        return "\n".join([*lines, *([] if self.agrees else [self._first()])])

    def _first(self) -> str:
        at = int(self.differing[0])
        said = f"reference says class {self.reference.classes[at]}, device {self.device_classes[at]}"
        other = np.flatnonzero(self.device_words[at] != self.reference.words[at])
        if not len(other):
            return f"first probe that differs: {self.probes.names[at]}: {said}, and every score is equal"
        score = int(other[0])
        device = self.device_words[at].view(self.reference.scores.dtype)[score]
        which = f"score {score} is {self.reference.scores[at, score]} and {device}"
        return f"first probe that differs: {self.probes.names[at]}: {said}; {which}, {len(other)} scores differ"


def compare_probes(graph: Graph, answers: Sequence[wire.Result]) -> ProbeComparison:
    """Of a board that carries `graph`."""
    asked = probes(graph)
    return ProbeComparison(
        probes=asked,
        reference=infer(graph, asked.images),
        device_classes=np.array([answer.predicted for answer in answers], np.uint8),
        device_words=np.array([answer.scores for answer in answers], np.uint32),
    )
