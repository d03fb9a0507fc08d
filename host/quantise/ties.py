"""An image whose two largest scores are equal: there the first maximum is told from the last.

The search is bounded by images tried, and the same for the same graph: from images of two classes to a place between
them where the class changes, then changes of single pixels, one or several at once, whose effects together make the
difference 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from host.quantise.reference import Scores

Infer = Callable[[NDArray[np.uint8]], Scores]
"""Images (N, channels, height, width) → scores (N, classes)."""
_SEED = 11
_STEPS = (1, 2, 4, 8)
"""By how much a pixel is changed, in multiples of what has shown in the scores."""
_MOST = 32
"""Of these multiples."""
_ROUNDS = 6
"""Of changes around one place."""
_MISTRUST = 0.05
"""How much effects together may differ from their sum, as a share of it."""
_TOGETHER = 3
"""So many changes at once at most."""


@dataclass
class _Search:
    """Where the search stands, the image with the smallest lead so far, and how many more may be tried."""

    infer: Infer
    batch: int
    left: int
    image: NDArray[np.uint8]
    scores: Scores
    best: NDArray[np.uint8]
    least: float
    reach: int = 1

    def go_to(self, image: NDArray[np.uint8], scores: Scores) -> None:
        self.image, self.scores = image, scores

    @property
    def lead(self) -> float:
        return float(gaps(self.scores[None])[0])

    @property
    def has_time(self) -> bool:
        return self.least > 0 and self.left >= 2 * self.batch

    def tried(self, images: NDArray[np.uint8]) -> Scores:
        """Scores of images, to the best of which the search moves if it is better."""
        scores = self.infer(images)
        self.left -= len(images)
        leads = gaps(scores)
        at = int(leads.argmin())
        if leads[at] < self.lead:
            self.go_to(images[at], scores[at])
        if leads[at] < self.least:
            self.best, self.least = images[at], float(leads[at])
        return scores


def gaps(scores: Scores) -> NDArray[np.float64]:
    """By how much the largest score leads, (N,), for scores (N, classes); one class alone leads without end."""
    if scores.shape[1] < 2:
        return np.full(len(scores), np.inf)
    ordered = np.sort(scores.astype(np.float64), axis=1)
    leads: NDArray[np.float64] = ordered[:, -1] - ordered[:, -2]
    return leads


def closest(
    infer: Infer, images: NDArray[np.uint8], scores: Scores, batch: int, tries: int
) -> tuple[NDArray[np.uint8], float]:
    """The image whose largest score leads least that is found from `images`, of which `scores` are known, and its lead,
    0 where it is a tie. At most `tries` images more are tried, up to `batch` at a time."""
    leads = gaps(scores)
    at = int(leads.argmin())
    search = _Search(infer, batch, tries, images[at], scores[at], images[at], float(leads[at]))
    random = np.random.default_rng(_SEED)
    for first, second in _pairs(scores, random):
        if not search.has_time:
            break
        search.go_to(images[first], scores[first])
        _approach(search, images[first], images[second])
        for _ in range(_ROUNDS):
            if search.has_time:
                _refine(search, random)
    return search.best, search.least


def _pairs(scores: Scores, random: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Images of two classes: first of each class the one that leads least, those before that lead least together; then
    any."""
    classes, leads = scores.argmax(axis=1), gaps(scores)
    least = [int(min(np.flatnonzero(classes == each), key=lambda at: leads[at])) for each in np.unique(classes)]
    yield from sorted(combinations(least, 2), key=lambda pair: (leads[pair[0]] + leads[pair[1]], pair))
    first, second = np.nonzero(classes[:, None] < classes)
    for at in random.permutation(len(first)):
        yield int(first[at]), int(second[at])


def _approach(search: _Search, one: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
    """To the place between two images where the class changes: first of their blends, then pixel by pixel."""
    for blend in (_faded, _exchanged):
        if not search.has_time:
            return
        between = blend(one, other, search.batch)
        classes = search.tried(between).argmax(axis=1)
        turns = np.flatnonzero(classes[1:] != classes[:-1])
        if not len(turns):
            return
        one, other = between[turns[0]], between[turns[0] + 1]


def _faded(one: NDArray[np.uint8], other: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    share = np.linspace(0, 1, count)[:, None, None, None]
    return np.rint(one + share * (other.astype(float) - one)).astype(np.uint8)


def _exchanged(one: NDArray[np.uint8], other: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """More and more pixels of the other one."""
    ends = np.linspace(0, one.size, count).astype(int)
    is_others = np.arange(one.size) < ends[:, None]
    return np.where(is_others, other.reshape(-1), one.reshape(-1)).reshape(count, *one.shape)


def _refine(search: _Search, random: np.random.Generator) -> None:
    """Try changes of single pixels, then those together that promise a lead of 0."""
    start, second, first = search.image, *np.argsort(search.scores)[-2:]
    lead = search.lead
    places = random.permutation(start.size)[: search.batch]
    values = start.reshape(-1)[places].astype(int)
    steps = (
        search.reach * random.choice(_STEPS, len(places)) * np.where(random.random(len(places)) < values / 255, -1, 1)
    )
    values = np.clip(values + steps, 0, 255).astype(np.uint8)
    scores = search.tried(_changed(start, places, values, [(each,) for each in range(len(places))]))
    effects = scores[:, first].astype(float) - scores[:, second].astype(float) - lead
    useful = np.flatnonzero(effects)
    # Many different effects add up to any lead, few to some; and smaller ones to more.
    is_coarse = len(np.unique(effects[useful])) < len(places) // 4
    search.reach = min(2 * search.reach, _MOST) if is_coarse else max(search.reach // 2, 1)
    if len(useful) and search.least > 0:
        search.tried(_changed(start, places, values, _promising(effects, useful, lead, search.batch)))


def _promising(
    effects: NDArray[np.float64], useful: NDArray[np.intp], lead: float, count: int
) -> list[tuple[int, ...]]:
    """The sets of changes whose effects together can be expected to come closest to taking the lead away."""
    found: list[tuple[float, tuple[int, ...]]] = []
    for together in range(1, min(_TOGETHER, len(useful)) + 1):
        sets = useful[np.array(list(combinations(range(len(useful)), together)))]
        rests = abs(lead + effects[sets].sum(axis=1)) + _MISTRUST * abs(effects[sets]).sum(axis=1)
        found += [(float(rests[at]), tuple(map(int, sets[at]))) for at in np.argsort(rests, kind="stable")[:count]]
    return [chosen for _, chosen in sorted(found)[:count]]


def _changed(
    start: NDArray[np.uint8], places: NDArray[np.intp], values: NDArray[np.uint8], sets: list[tuple[int, ...]]
) -> NDArray[np.uint8]:
    """A copy for each set of changes, with these made."""
    flat = np.repeat(start.reshape(1, -1), len(sets), axis=0)
    for row, chosen in zip(flat, sets, strict=True):
        row[places[list(chosen)]] = values[list(chosen)]
    return flat.reshape(-1, *start.shape)
