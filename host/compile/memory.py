"""Where each map lies: one arena, in which a map grows over the used rows of its predecessor.

A map lies at one end of the arena and its successor at the other, so that the two grow towards each other only as far
as both are needed. A step whose output lies at the low end runs through its rows downwards (first row first), and one
whose output lies at the high end upwards; either way it reaches an input row only after all that it overwrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from host.quantise.ops import Conv, Op, Pool, elements

_ALIGNMENT = 4


@dataclass(frozen=True)
class RowUse:
    """A step as far as memory is concerned: rows of bytes in and out, and which input rows each output row needs.

    `scratch` is what it works in where its output will begin. `stays_near`: it is quickest where that place is right
    behind its input.
    """

    in_rows: int
    in_bytes: int
    out_rows: int
    out_bytes: int
    first_needed: tuple[int, ...]
    last_needed: tuple[int, ...]
    scratch: int = 0
    stays_near: bool = False

    @property
    def in_size(self) -> int:
        return self.in_rows * self.in_bytes


@dataclass(frozen=True)
class Place:
    """Where a step reads and writes: offsets into the arena, None for the image in its own slot and for the scores,
    but that of its scratch where the last step has some."""

    source: int | None
    target: int | None
    backward: bool


@dataclass(frozen=True)
class Layout:
    """One place for each step. `image` is the image's offset where it lies in the arena itself and is overwritten.
    `pair` is the step that runs row by row with the next one, the rows between them at the next one's source."""

    places: tuple[Place, ...]
    arena_bytes: int
    image: int | None
    pair: int | None


@dataclass(frozen=True)
class Pair:
    """Two convolutions in turns: the first one's step, and the second."""

    step: int
    second: Conv

    def between_bytes(self, uses: Sequence[RowUse]) -> int:
        """What is kept of the map between them."""
        return self.second.kernel[0] * uses[self.step].out_bytes


def row_use(ops: Sequence[Op], scratch: int = 0, stays_near: bool = False) -> RowUse:
    """Of the ops that one step runs. All but convolutions and pools count as one row: all inputs are needed to the end.
    Scores are no map."""
    first, last = ops[0], ops[-1]
    item, out_item = first.source.item, last.codes.item
    inputs, outputs = item * elements(first.input_shape), out_item * elements(last.output_shape)
    if len(ops) > 1 or not isinstance(first, Conv | Pool):
        return RowUse(1, inputs, 1, outputs, (0,), (0,), scratch, stays_near)
    channels, height, width = first.input_shape
    units, rows, columns = first.output_shape
    if isinstance(first, Conv):
        step, lead = first.strides[0] * first.pool[0], first.pads[0]
        span = (first.pool[0] - 1) * first.strides[0] + first.kernel[0]
    else:
        step, lead, span = first.strides[0], 0, first.size[0]
    first_needed = tuple(min(height, max(0, row * step - lead)) for row in range(rows))
    last_needed = tuple(max(1, min(height, row * step - lead + span)) - 1 for row in range(rows))
    return RowUse(height, item * width * channels, rows, out_item * columns * units, first_needed, last_needed, scratch)


def lay_out(uses: Sequence[RowUse], keep_image: bool, pair: Pair | None = None) -> Layout:
    """The smaller of the two layouts that begin at either end. With `keep_image` the image stays in a slot of its own
    and whole; else it is the arena's first map. With `pair` that step's rows and the next one's take turns."""
    found = [_Plan(uses, keep_image, pair, starts_low).layout() for starts_low in (True, False)]
    return min((layout for layout in found if layout is not None), key=lambda layout: layout.arena_bytes)


class _Plan:
    """One of the two; offsets below 0 count from the arena's end until its size is known."""

    def __init__(self, uses: Sequence[RowUse], keep_image: bool, pair: Pair | None, starts_low: bool) -> None:
        self._uses, self._keep_image, self._pair = uses, keep_image, pair
        # The steps that read a map that lies whole: all but the second of a pair.
        self._readers = [number for number in range(len(uses)) if pair is None or number != pair.step + 1]
        # low[k]: whether the map that the k-th of them reads lies at the arena's low end; the image is the first map.
        self._low = [starts_low ^ bool(turn % 2) for turn in range(len(self._readers) + 1)]
        self._need, self._at = [0], dict[int, int]()
        self._start = 0  # of a map at the low end

    def layout(self) -> Layout | None:
        """None where the pair would have to run upwards, which it cannot."""
        for turn, number in enumerate(self._readers):
            is_free = turn == 0 and self._keep_image  # the image in its slot: whatever is written does not touch it
            # A map at the high end begins where the scratch of the step that makes it does.
            unused = 0 if is_free else self._place(turn, number)
            if self._pair is not None and number == self._pair.step:
                if (self._low[turn] and not is_free) or not self._low[turn + 1]:
                    return None
                self._start = self._pair.between_bytes(self._uses)
                room = _pair_room(self._uses[number], self._pair.second, self._start, is_free)
                self._need.append(room + unused)
                continue
            self._make_room(turn, number, is_free, unused)
            self._start = 0
        size = -(-max(self._need) // _ALIGNMENT) * _ALIGNMENT or _ALIGNMENT  # C knows no empty array
        return self._finished(size)

    def _place(self, turn: int, number: int) -> int:
        """Place the map that a step reads; how many bytes behind it are lost to it."""
        size = self._uses[number].in_size
        made_in = max(size, self._uses[number - 1].scratch) if number else size
        if self._low[turn]:
            self._at[number] = self._start
            self._need.append(self._start + made_in)
            return 0
        self._at[number] = -made_in
        self._need.append(made_in)
        return made_in - size

    def _make_room(self, turn: int, number: int, is_free: bool, unused: int) -> None:
        use, last = self._uses[number], len(self._uses) - 1
        if number == last:
            if use.scratch:
                self._need.append(use.scratch + (0 if is_free else self._start + use.in_size + unused))
                self._at[last + 1] = self._scratch_at(turn, is_free)
        elif not is_free:
            self._need.append(self._start + _room(use, grows_up=self._low[turn + 1]) + unused)

    def _scratch_at(self, turn: int, is_free: bool) -> int:
        """Of the last step, which makes no map."""
        use = self._uses[-1]
        if is_free or not self._low[turn]:
            return 0
        return self._start + use.in_size if use.stays_near else -use.scratch

    def _finished(self, size: int) -> Layout:
        at = {number: offset if offset >= 0 else size + offset for number, offset in self._at.items()}
        if self._pair is not None:
            at[self._pair.step + 1] = 0
        low = dict(zip(self._readers, self._low, strict=False))
        places = []
        for number in range(len(self._uses)):
            is_free = number == 0 and self._keep_image
            in_pair = self._pair is not None and number in (self._pair.step, self._pair.step + 1)
            follows = number + 1 < len(self._uses)
            backward = follows and not is_free and not in_pair and not low[number + 1]
            places.append(Place(None if is_free else at[number], at.get(number + 1), backward))
        image = None if self._keep_image else at[0]
        return Layout(tuple(places), size, image, None if self._pair is None else self._pair.step)


def _pair_room(use: RowUse, second: Conv, between: int, is_free: bool) -> int:
    """The smallest arena in which the first of a pair reads its map from the high end, while its rows lie at the low
    end and those of the second behind them: all that nn_walk_pair does, in its order."""
    _, rows, columns = second.output_shape
    out_bytes = columns * second.rows.outputs
    if is_free:
        return between + rows * out_bytes

    def still_needed(row: int) -> int:
        return use.in_bytes * (use.in_rows - min(use.first_needed[row:], default=use.in_rows))

    room, oldest, following = 0, 0, 0
    for position in range(rows * second.pool[0]):
        start = position * second.strides[0] - second.pads[0]
        oldest = max(0, start)
        following = max(following, oldest)
        for row in range(following, min(start + second.kernel[0], use.out_rows)):
            room = max(room, (row - oldest + 1) * use.out_bytes + still_needed(row))
            following = row + 1
        room = max(room, between + (position // second.pool[0] + 1) * out_bytes + still_needed(following))
    return room


def _room(use: RowUse, grows_up: bool) -> int:
    """The smallest arena in which this step's output can grow over its input from the opposite end."""
    room = use.in_size + use.scratch if use.scratch else 0
    for row in range(use.out_rows):
        if grows_up:
            written, spared = row + 1, use.in_rows - min(use.first_needed[row:])
        else:
            written, spared = use.out_rows - row, max(use.last_needed[: row + 1]) + 1
        room = max(room, written * use.out_bytes + spared * use.in_bytes)
    return room
