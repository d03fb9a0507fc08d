"""Images whose sums pass an end of an op's codes, so that a clamp which is wrong there shows in the scores.

An image does if the scores change where the end lies one lower, where it lies one higher, and where only what is beyond
it becomes the code next to it. First those at hand are asked; where none does, pixels of the best of them are inverted
as long as that brings one of its sums further.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn.windows import largest
from host.quantise.graph import Graph
from host.quantise.ops import Conv, Dense, Op, op_name
from host.quantise.reference import (
    Scores,
    Values,
    activations,
    as_maps,
    conv_sums,
    dense_sums,
    op_inputs,
    scores,
)

_SEED = 12
_ASKED = 8
"""So many images at most are asked what a wrong clamp would change."""


@dataclass(frozen=True)
class Clamp:
    """One end of the codes of op number `at`."""

    at: int
    is_upper: bool

    def name(self, graph: Graph) -> str:
        """The op by its number and name, and the end where it is the lower one."""
        return f"op {self.at}, {op_name(graph.ops[self.at])}" + ("" if self.is_upper else ", lower end")

    @property
    def sign(self) -> int:
        """Which way is outwards."""
        return 1 if self.is_upper else -1

    def end(self, op: Op) -> int:
        """The last code that the op may put out."""
        return op.codes.high if self.is_upper else op.codes.low


@dataclass(frozen=True)
class AtHand:
    """Images (N, channels, height, width), what each op is given for them, and their scores."""

    inputs: list[Values]
    said: Scores

    @classmethod
    def of(cls, graph: Graph, images: NDArray[np.uint8]) -> AtHand:
        inputs = op_inputs(graph, images)
        return cls(inputs, scores(graph.ops[-1], inputs[-1]))

    @property
    def images(self) -> NDArray[np.uint8]:
        return self.inputs[0]


def clamps(graph: Graph) -> list[Clamp]:
    """The ends that some sum can pass, of all ops of whole numbers that make codes."""
    found = []
    for at, op in enumerate(graph.ops):
        if isinstance(op, Conv | Dense) and op.rows.requantiser is not None:
            least, most = op.rows.requantiser.scaled(op.rows.sum_bounds(op.source.high)) + op.codes.zero
            found += [Clamp(at, True)] if (most > op.codes.high).any() else []
            found += [Clamp(at, False)] if (least < op.codes.low).any() else []
    return found


def telling(graph: Graph, clamp: Clamp, there: AtHand, order: NDArray[np.intp]) -> int | None:
    """The first of the images in this order that tells a wrong clamp, None where the first few do not that reach it."""
    op = graph.ops[clamp.at]
    beyond = _furthest(clamp, _spread(op, there.inputs[clamp.at])) > clamp.sign * clamp.end(op)
    for each in order[beyond[order]][:_ASKED]:
        if _tells(graph, clamp, there.inputs[clamp.at][each : each + 1], there.said[each]):
            return int(each)
    return None


def climbed(graph: Graph, clamp: Clamp, there: AtHand, batch: int, tries: int) -> tuple[NDArray[np.uint8] | None, int]:
    """An image that was made to pass the clamp and tells, None where so many tries did not suffice; and the tries that
    are left."""
    random = np.random.default_rng(_SEED)
    values = clamp.sign * _spread(graph.ops[clamp.at], there.inputs[clamp.at])
    best, unit = np.unravel_index(int(values.argmax()), values.shape)
    image: NDArray[np.uint8] = there.images[best]
    reached = int(values[best, unit])
    places = random.permutation(image.size)
    while tries > 2 * batch:
        turned, places = places[:batch], np.roll(places, -batch)
        near = np.repeat(image.reshape(1, -1), len(turned) + 1, axis=0)
        near[np.arange(len(turned)), turned] ^= 255
        gains = _unit(graph, clamp, near.reshape(-1, *image.shape), unit)[:-1] - reached
        together = near[-1].copy()
        together[turned[gains > 0]] ^= 255
        both = np.stack([together, near[int(gains.argmax())]]).reshape(-1, *image.shape)
        found = _unit(graph, clamp, both, unit)
        tries -= len(near) + 2
        if found.max() > reached:
            image, reached = both[int(found.argmax())], int(found.max())
        beyond = reached > clamp.sign * clamp.end(graph.ops[clamp.at])
        if beyond and telling(graph, clamp, AtHand.of(graph, image[None]), np.arange(1)) is not None:
            return image, tries
    return None, tries


def _scaled(op: Op, values: Values) -> NDArray[np.int64]:
    """Sums brought to codes, not yet held to their range, (N, outputs, …)."""
    assert isinstance(op, Conv | Dense) and op.rows.requantiser is not None
    sums = conv_sums(op, values) if isinstance(op, Conv) else dense_sums(op, values)
    return op.rows.requantiser.scaled(sums) + op.rows.codes.zero


def _pooled(op: Op, maps: NDArray[Any]) -> NDArray[Any]:
    return largest(maps, op.pool, op.pool) if isinstance(op, Conv) else maps


def _spread(op: Op, values: Values) -> NDArray[np.int64]:
    """What an op would put out if codes had no end, (N, units)."""
    return _pooled(op, _scaled(op, values)).reshape(len(values), -1)


def _furthest(clamp: Clamp, spread: NDArray[np.int64]) -> NDArray[np.int64]:
    """How far outwards each image gets, (N,)."""
    found: NDArray[np.int64] = (clamp.sign * spread).max(axis=1)
    return found


def _unit(graph: Graph, clamp: Clamp, images: NDArray[np.uint8], unit: np.intp) -> NDArray[np.int64]:
    """How far outwards one output of the op gets, (N,)."""
    values: Values = as_maps(images)
    for op in graph.ops[: clamp.at]:
        values = activations(op, values)
    return clamp.sign * _spread(graph.ops[clamp.at], values)[:, unit]


def _tells(graph: Graph, clamp: Clamp, values: Values, said: NDArray[Any]) -> bool:
    """Whether an image, of which the op is given `values`, has other scores by each wrong clamp."""
    op = graph.ops[clamp.at]
    found = _pooled(op, _misheld(op, clamp, _scaled(op, values)))
    for each in graph.ops[clamp.at + 1 : -1]:
        found = activations(each, found)
    if clamp.at < len(graph.ops) - 1:
        found = scores(graph.ops[-1], found)
    return bool((found != said).any(axis=1).all())


def _misheld(op: Op, clamp: Clamp, scaled: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The codes of one image by three wrong clamps, (3, outputs, …); where a byte ends, the next code is wrapped."""
    held = np.clip(scaled, op.codes.low, op.codes.high)
    end, sign = clamp.end(op), clamp.sign
    is_beyond = sign * scaled > sign * end
    nearer = np.where(sign * held >= sign * end, end - sign, held)
    wrong = [nearer, np.where(is_beyond, end + sign, held), np.where(is_beyond, end - sign, held)]
    return np.concatenate(wrong).astype(np.uint8)
