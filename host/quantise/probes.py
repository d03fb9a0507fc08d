"""The images that go before a data set: synthetic ones that a net may never see, and that wrong arithmetic betrays.

Plain patterns for every net; for each clamp that none of them reaches one that does; and one whose two largest scores
are equal. Which they are follows from the graph alone, and the search is bounded by the products that it computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from host.quantise.graph import Graph
from host.quantise.ops import op_name
from host.quantise.patterns import plain_patterns, varied_patterns
from host.quantise.reference import infer, op_inputs, scores
from host.quantise.saturation import Clamp, Tries, clamps
from host.quantise.ties import closest

PRODUCTS = 400_000_000
"""Of weights and activations that the search may compute: less than a second."""
MOST_TRIES = 1 << 13
"""Images that may be tried of however small a net."""
_VARIED = 48
_BATCH = 64


@dataclass(frozen=True)
class Probes:
    """`images` (N, H, W), or (N, C, H, W) of several channels, each with a name. `tie`: whether the last one's two
    largest scores are equal; `unreached` names the ops whose clamp no image was found to reach."""

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    tie: bool
    unreached: tuple[str, ...]


@lru_cache(maxsize=4)
def probes(graph: Graph) -> Probes:
    """Those of a graph, the same each time; remembered by the graph's identity."""
    tries = min(PRODUCTS // max(graph.macs, 1), MOST_TRIES)
    named = dict(plain_patterns(graph.input_shape))
    images = np.stack([*named.values(), *_varied(graph, min(_VARIED, tries // 4))])
    batch = max(2, min(_BATCH, tries // 8))
    inputs = op_inputs(graph, images)
    said = scores(graph.ops[-1], inputs[-1])
    left = Tries(tries // 4)
    unreached = []
    plain = len(named)
    for clamp in clamps(graph, inputs, said, batch, left):
        name = op_name(graph.ops[clamp.at])
        image = _image_of(clamp, images)
        if image is None:
            unreached.append(name)
        elif clamp.known is None or clamp.known >= plain:
            named[f"saturating op {clamp.at + 1}, {name}"] = image
    rest = tries - len(images) - (tries // 4 - left.left)
    tie, lead = closest(lambda each: infer(graph, each).scores, images, said, batch, rest)
    named["tie" if lead == 0 else "nearest to a tie"] = tie
    found = np.stack(list(named.values()))
    shown = found if graph.input_shape[0] > 1 else found[:, 0]
    return Probes(tuple(named), shown, lead == 0, tuple(unreached))


def _varied(graph: Graph, count: int) -> list[NDArray[np.uint8]]:
    return [image for _, image in islice(varied_patterns(graph.input_shape), count)]


def _image_of(clamp: Clamp, images: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    return clamp.image if clamp.known is None else images[clamp.known]
