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
    """One place for each stage. `image` is the image's offset where it lies in the arena itself and is overwritten."""

    places: tuple[Place, ...]
    arena_bytes: int
    image: int | None


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
        step, lead, span = stage.size, 0, stage.size
    first = tuple(max(0, row * step - lead) for row in range(rows))
    last = tuple(min(height, row * step - lead + span) - 1 for row in range(rows))
    return RowUse(height, width * channels, rows, columns * outputs, first, last)


def lay_out(net: LearnedNet, keep_image: bool) -> Layout:
    """The smaller of the two layouts that begin at either end. With `keep_image` the image stays in a slot of its own
    and whole; else it is the arena's first map."""
    uses = [row_use(stage) for stage in net.stages]
    return min((_layout(uses, keep_image, starts_low) for starts_low in (True, False)), key=lambda it: it.arena_bytes)


def _layout(uses: list[RowUse], keep_image: bool, starts_low: bool) -> Layout:
    hidden = uses[:-1]  # the last stage writes scores
    # low[k]: whether the k-th map, the image first, lies at the arena's low end.
    low = [starts_low ^ bool(number % 2) for number in range(len(uses))]
    sizes = [use.in_rows * use.in_bytes for use in uses]
    maps = range(1 if keep_image else 0, len(uses))
    need = [sizes[number] for number in maps]
    for number, use in enumerate(hidden):
        if number > 0 or not keep_image:
            need.append(_room(use, grows_up=low[number + 1]))
    size = -(-max(need, default=1) // _ALIGNMENT) * _ALIGNMENT  # C knows no empty array
    at = [0 if low[number] else size - sizes[number] for number in range(len(uses))]
    places = tuple(
        Place(
            source=None if number == 0 and keep_image else at[number],
            target=at[number + 1] if number < len(hidden) else None,
            backward=number < len(hidden) and not low[number + 1] and (number > 0 or not keep_image),
        )
        for number in range(len(uses))
    )
    return Layout(places, size, None if keep_image else at[0])


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
