"""Images that drive an op's activations into its clamp, so that a clamp which is one off shows in the scores.

An image does if the scores change where the clamp lies one lower, and one higher. First those at hand are asked; where
none does, pixels of the best of them are inverted as long as that raises its largest activation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from host.nn.formats import FULL_TOP
from host.quantise.graph import Graph
from host.quantise.ops import Conv, Dense, Op
from host.quantise.reference import Scores, Values, activations, as_maps, op_inputs, scores

_SEED = 12
_ASKED = 8
"""So many images at most are asked what a wrong clamp would change."""


@dataclass(frozen=True)
class Clamp:
    """Op number `at` of a graph, and an image that reaches its clamp: the one at hand of that index, or a new one; None
    where none was found."""

    at: int
    known: int | None = None
    image: NDArray[np.uint8] | None = None


@dataclass
class Tries:
    """How many images may still be run through the graph."""

    left: int


def clamps(graph: Graph, inputs: Sequence[Values], said: Scores, batch: int, tries: Tries) -> Iterator[Clamp]:
    """Of each op of whole numbers that clamps, but where its sums cannot reach the clamp. `inputs` of each op for the
    images at hand, which are the first op's, and the scores that come of them; the first images are taken rather."""
    for at, op in enumerate(graph.ops[:-1]):
        if not _can_saturate(op):
            continue
        reached = _largest(_unclamped(op), inputs[at]) >= op.codes.high
        asked = np.flatnonzero(reached)[:_ASKED]
        tells = _tells(graph, at, inputs[at][asked], said[asked])
        if tells.any():
            yield Clamp(at, known=int(asked[tells.argmax()]))
        else:
            yield Clamp(at, image=_climbed(graph, at, inputs[0], inputs[at], batch, tries))


def _can_saturate(op: Op) -> bool:
    if not isinstance(op, Conv | Dense) or op.rows.requantiser is None:
        return False
    highest = op.rows.requantiser.scaled(op.rows.sum_bounds(op.source.high)[1][None])
    return bool((highest + op.codes.zero >= op.codes.high).any())


def _clamped_at(op: Op, high: int) -> Op:
    assert isinstance(op, Conv | Dense)
    return replace(op, rows=replace(op.rows, codes=replace(op.codes, high=high)))


def _unclamped(op: Op) -> Op:
    """With as much room above its clamp as a byte has."""
    return _clamped_at(op, FULL_TOP)


def _largest(op: Op, values: Values) -> NDArray[np.int64]:
    """The largest activation of each image, (N,)."""
    largest: NDArray[np.int64] = activations(op, values).reshape(len(values), -1).max(axis=1).astype(np.int64)
    return largest


def _tells(graph: Graph, at: int, values: Values, said: Scores) -> NDArray[np.bool_]:
    """Which images' scores are others with the clamp one lower, and one higher (where a byte ends there, wrapped)."""
    tells = np.ones(len(values), bool)
    if not len(values):
        return tells
    for high in (graph.ops[at].codes.high - 1, graph.ops[at].codes.high + 1):
        found = activations(_clamped_at(graph.ops[at], high), values)
        for op in graph.ops[at + 1 : -1]:
            found = activations(op, found)
        tells &= (scores(graph.ops[-1], found) != said).any(axis=1)
    return tells


def _climbed(
    graph: Graph, at: int, images: NDArray[np.uint8], inputs: Values, batch: int, tries: Tries
) -> NDArray[np.uint8] | None:
    """An image that was made to reach the clamp of an op and tells; None where `tries` did not suffice."""
    op, random = _unclamped(graph.ops[at]), np.random.default_rng(_SEED)
    values = activations(op, inputs).reshape(len(images), -1)
    best, unit = np.unravel_index(int(values.argmax()), values.shape)
    image: NDArray[np.uint8] = images[best]
    reached = int(values[best, unit])
    places = random.permutation(image.size)
    while tries.left > 2 * batch:
        turned, places = places[:batch], np.roll(places, -batch)
        near = np.repeat(image.reshape(1, -1), len(turned) + 1, axis=0)
        near[np.arange(len(turned)), turned] ^= 255
        gains = _unit(graph, at, near.reshape(-1, *image.shape), unit)[:-1] - reached
        together = near[-1].copy()
        together[turned[gains > 0]] ^= 255
        both = np.stack([together, near[int(gains.argmax())]]).reshape(-1, *image.shape)
        found = _unit(graph, at, both, unit)
        tries.left -= len(near) + 2
        if found.max() > reached:
            image, reached = both[int(found.argmax())], int(found.max())
        if reached >= graph.ops[at].codes.high and _tells_image(graph, at, image):
            return image
    return None


def _unit(graph: Graph, at: int, images: NDArray[np.uint8], unit: np.intp) -> NDArray[np.int64]:
    """One activation of an op without its clamp, (N,)."""
    values: Values = as_maps(images)
    for op in graph.ops[:at]:
        values = activations(op, values)
    found: NDArray[np.int64] = activations(_unclamped(graph.ops[at]), values).reshape(len(images), -1)[:, unit]
    return found.astype(np.int64)


def _tells_image(graph: Graph, at: int, image: NDArray[np.uint8]) -> bool:
    inputs = op_inputs(graph, image[None])
    return bool(_tells(graph, at, inputs[at], scores(graph.ops[-1], inputs[-1]))[0])
