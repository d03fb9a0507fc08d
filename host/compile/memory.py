"""Where each map of a learned net lies: one arena, in which a map grows over the used rows of its predecessor.

A map lies at one end of the arena and its successor at the other, so that the two grow towards each other only as far
as both are needed. A stage whose output lies at the low end runs through its rows downwards (first row first), and one
whose output lies at the high end upwards; either way it reaches an input row only after all that it overwrote.
"""

from __future__ import annotations

from dataclasses import dataclass

from host.deploy.learned_nets import ConvStage, LearnedNet, PoolStage, Stage, elements

_ALIGNMENT = 4


@dataclass(frozen=True)
class RowUse:
    """A stage as far as memory is concerned: rows of bytes in and out, and which input rows each output row needs."""

    in_rows: int
    in_bytes: int
    out_rows: int
    out_bytes: int
    first_needed: tuple[int, ...]
    last_needed: tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where a stage reads and writes: offsets into the arena, None for the image in its own slot and for the scores."""

    source: int | None
    target: int | None
    backward: bool


@dataclass(frozen=True)
class Layout:
    """One place for each stage. `image` is the image's offset where it lies in the arena itself and is overwritten.
    `pair` is the stage that runs row by row with the next one, the rows between them at the next one's source."""

    places: tuple[Place, ...]
    arena_bytes: int
    image: int | None
    pair: int | None


def row_use(stage: Stage) -> RowUse:
    """Dense stages count as one row: all inputs are needed to the end."""
    if not isinstance(stage, ConvStage | PoolStage):
        inputs, outputs = elements(stage.input_shape), elements(stage.output_shape)
        return RowUse(1, inputs, 1, outputs, (0,), (0,))
    channels, height, width = stage.input_shape
    outputs, rows, columns = stage.output_shape
    if isinstance(stage, ConvStage):
        step, lead, span = stage.stride * stage.pool, stage.padding, (stage.pool - 1) * stage.stride + stage.kernel
    else:
        step, lead, span = stage.stride, 0, stage.size
    first = tuple(max(0, row * step - lead) for row in range(rows))
    last = tuple(min(height, row * step - lead + span) - 1 for row in range(rows))
    return RowUse(height, width * channels, rows, columns * outputs, first, last)


def lay_out(net: LearnedNet, keep_image: bool, pair: int | None = None) -> Layout:
    """The smaller of the two layouts that begin at either end. With `keep_image` the image stays in a slot of its own
    and whole; else it is the arena's first map. With `pair` that stage's rows and the next one's take turns."""
    found = [_layout(net.stages, keep_image, pair, starts_low) for starts_low in (True, False)]
    return min((layout for layout in found if layout is not None), key=lambda layout: layout.arena_bytes)


def between_bytes(first: Stage, second: ConvStage) -> int:
    """What nn_conv_i8_pair keeps of the map between its two stages."""
    return second.kernel * row_use(first).out_bytes


def _layout(stages: tuple[Stage, ...], keep_image: bool, pair: int | None, starts_low: bool) -> Layout | None:
    """None where the pair would have to run upwards, which it cannot."""
    uses = [row_use(stage) for stage in stages]
    # The stages that read a map that lies whole: all but the second of a pair.
    readers = [number for number in range(len(uses)) if pair is None or number != pair + 1]
    # low[k]: whether the map that the k-th of them reads lies at the arena's low end; the image is the first map.
    low = [starts_low ^ bool(turn % 2) for turn in range(len(readers))]
    need, at = [0], {}
    start = 0  # of a map at the low end
    for turn, number in enumerate(readers):
        is_free = turn == 0 and keep_image  # the image in its slot: whatever is written does not touch it
        is_last = number == len(uses) - 1
        size = uses[number].in_rows * uses[number].in_bytes
        at[number] = start if low[turn] else -size
        if not is_free:
            need.append(start + size if low[turn] else size)
        second = stages[number + 1] if number == pair else None
        if isinstance(second, ConvStage):
            if (low[turn] and not is_free) or not low[turn + 1]:
                return None
            start = between_bytes(stages[number], second)
            need.append(_pair_room(uses[number], second, start, is_free))
        elif not is_last and not is_free:
            need.append(start + _room(uses[number], grows_up=low[turn + 1]))
            start = 0
        else:
            start = 0
    size = -(-max(need) // _ALIGNMENT) * _ALIGNMENT or _ALIGNMENT  # C knows no empty array
    at = {number: offset if offset >= 0 else size + offset for number, offset in at.items()}
    if pair is not None:
        at[pair + 1] = 0
    return Layout(
        _places(at, keep_image, pair, dict(zip(readers, low, strict=True))), size, *_ends(at, keep_image, pair)
    )


def _places(at: dict[int, int], keep_image: bool, pair: int | None, low: dict[int, bool]) -> tuple[Place, ...]:
    places = []
    for number in range(len(at)):
        is_free = number == 0 and keep_image
        follows = number + 1 < len(at)
        in_pair = pair is not None and number in (pair, pair + 1)
        backward = follows and not is_free and not in_pair and not low[number + 1]
        places.append(Place(None if is_free else at[number], at[number + 1] if follows else None, backward))
    return tuple(places)


def _ends(at: dict[int, int], keep_image: bool, pair: int | None) -> tuple[int | None, int | None]:
    return None if keep_image else at[0], pair


def _pair_room(use: RowUse, second: ConvStage, between: int, is_free: bool) -> int:
    """The smallest arena in which the first of a pair reads its map from the high end, while its rows lie at the low
    end and those of the second behind them: all that nn_walk_pair does, in its order."""
    _, rows, columns = second.output_shape
    out_bytes = columns * second.rows.outputs
    if is_free:
        return between + rows * out_bytes

    def still_needed(row: int) -> int:
        return use.in_bytes * (use.in_rows - min(use.first_needed[row:], default=use.in_rows))

    room, oldest, following = 0, 0, 0
    for position in range(rows * second.pool):
        start = position * second.stride - second.padding
        oldest = max(0, start)
        following = max(following, oldest)
        for row in range(following, min(start + second.kernel, use.out_rows)):
            room = max(room, (row - oldest + 1) * use.out_bytes + still_needed(row))
            following = row + 1
        room = max(room, between + (position // second.pool + 1) * out_bytes + still_needed(following))
    return room


def _room(use: RowUse, grows_up: bool) -> int:
    """The smallest arena in which this stage's output can grow over its input from the opposite end."""
    room = 0
    for row in range(use.out_rows):
        if grows_up:
            written, spared = row + 1, use.in_rows - min(use.first_needed[row:])
        else:
            written, spared = use.out_rows - row, max(use.last_needed[: row + 1]) + 1
        room = max(room, written * use.out_bytes + spared * use.in_bytes)
    return room
