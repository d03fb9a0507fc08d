"""The images that go before a data set: synthetic ones that a net may never see, and that wrong arithmetic betrays.

Plain patterns for every net; for each end of codes that none of them passes one that does; and one whose two largest
scores are equal. Which they are follows from the graph alone; the search is bounded by the products that it computes,
and what goes to the board by a number and by bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from host.quantise.graph import Graph
from host.quantise.patterns import plain_patterns, varied_patterns
from host.quantise.reference import infer
from host.quantise.saturation import AtHand, Clamp, clamps, climbed, telling
from host.quantise.ties import closest

PRODUCTS = 400_000_000
"""Of weights and activations that the search may compute: less than a second."""
MOST_TRIES = 1 << 13
"""Images that may be tried of however small a net."""
MOST_PROBES = 32
MOST_BYTES = 1 << 16
"""Of all probes together; two go in any case."""
_VARIED = 48
_BATCH = 64


@dataclass(frozen=True)
class Probes:
    """`images` (N, H, W), or (N, C, H, W) of several channels, no two of them equal, each with a name. `tie`: whether
    the last one's two largest scores are equal; `unreached` names the ends of codes that no image was found to pass,
    or for which there was no room."""

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    tie: bool
    unreached: tuple[str, ...]


@dataclass
class _Chosen:
    """Images with their names, of which no more than `most` are taken and none twice."""

    most: int
    named: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    @property
    def has_room(self) -> bool:
        return len(self.named) < self.most

    def take(self, name: str, image: NDArray[np.uint8]) -> bool:
        """Whether the image is among them now."""
        if any(np.array_equal(image, each) for each in self.named.values()):
            return True
        if self.has_room:
            self.named[name] = image
            return True
        return False

    def take_last(self, name: str, image: NDArray[np.uint8]) -> None:
        """In any case, and as the last one."""
        self.named = {each: other for each, other in self.named.items() if not np.array_equal(other, image)}
        self.named[name] = image


@lru_cache(maxsize=4)
def probes(graph: Graph) -> Probes:
    """Those of a graph, the same each time; remembered by the graph's identity."""
    most = max(2, min(MOST_PROBES, MOST_BYTES // int(np.prod(graph.input_shape))))
    chosen = _Chosen(most=1 + (most - 1) * 2 // 3)
    for name, image in plain_patterns(graph.input_shape):
        chosen.take(name, image)
    plain = [*chosen.named.values()]
    chosen.most = most - 1
    tries = min(PRODUCTS // max(graph.macs, 1), MOST_TRIES)
    there = AtHand.of(graph, np.stack([*plain, *_varied(graph, min(_VARIED, tries // 4))]))
    batch = max(2, min(_BATCH, tries // 8))
    left, unreached = _saturate(graph, there, chosen, batch, tries // 4)
    rest = tries - len(there.images) - (tries // 4 - left)
    tie, lead = closest(lambda each: infer(graph, each).scores, there.images, there.said, batch, rest)
    chosen.take_last("tie" if lead == 0 else "nearest to a tie", tie)
    found = np.stack(list(chosen.named.values()))
    shown = found if graph.input_shape[0] > 1 else found[:, 0]
    return Probes(tuple(chosen.named), shown, lead == 0, tuple(unreached))


def _saturate(graph: Graph, there: AtHand, chosen: _Chosen, batch: int, tries: int) -> tuple[int, list[str]]:
    """Take an image for each end of codes that those taken do not pass: (tries that are left, ends without one)."""
    missing: list[Clamp] = []
    made: list[AtHand] = []
    unreached: list[str] = []
    order = np.arange(len(there.images))
    for clamp in clamps(graph):
        found = telling(graph, clamp, there, order)
        if found is None:
            missing.append(clamp)
        elif chosen.take(_name(graph, clamp), there.images[found]):
            order = np.concatenate([[found], order[order != found]])  # of the others those come first that go anyway
        else:
            unreached.append(clamp.name(graph))
    for number, clamp in enumerate(missing):
        if any(telling(graph, clamp, each, np.arange(1)) is not None for each in made):
            continue
        share = tries // (len(missing) - number) if chosen.has_room else 0
        image, left = climbed(graph, clamp, there, batch, share)
        tries -= share - left
        if image is None:
            unreached.append(clamp.name(graph))
        else:
            chosen.take(_name(graph, clamp), image)
            made.append(AtHand.of(graph, image[None]))
    return tries, unreached


def _name(graph: Graph, clamp: Clamp) -> str:
    return f"saturating {clamp.name(graph)}"


def _varied(graph: Graph, count: int) -> list[NDArray[np.uint8]]:
    return [image for _, image in islice(varied_patterns(graph.input_shape), count)]
