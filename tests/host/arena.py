"""A layout of the arena played through: with the names of rows, or with real bytes."""

import numpy as np
from definition import run_op

from host.compile.memory import lay_out, row_use
from host.quantise import ops
from host.quantise.ops import elements


def uses_of(graph, scratch=0):
    """One step an op; dense ones and the front end work in `scratch` bytes for each output."""
    works = [isinstance(op, ops.Dense | ops.Preconv) for op in graph.ops]
    return [
        row_use((op,), scratch * elements(op.output_shape) if each else 0)
        for op, each in zip(graph.ops, works, strict=True)
    ]


class Played:
    """All reads and writes of a layout, with the names of rows, (map, row), instead of numbers."""

    def __init__(self, uses, keep_image, pair=None):
        self.layout = lay_out(uses, keep_image, pair)
        self.uses, self.arena = uses, [None] * self.layout.arena_bytes
        assert (self.layout.image is None) == keep_image and len(self.arena) % 4 == 0
        if not keep_image:
            self.write(self.layout.image, [(0, row) for row in range(uses[0].in_rows) for _ in range(uses[0].in_bytes)])
        for number in range(len(uses)):
            if pair is not None and number == pair.step:
                self.play_pair(pair)
            elif pair is None or number != pair.step + 1:
                self.play(number)

    def write(self, at, names):
        assert at >= 0 and at + len(names) <= len(self.arena)
        self.arena[at : at + len(names)] = names

    def expect(self, number, rows):
        """The map that a step reads still has these rows."""
        use, at = self.uses[number], self.layout.places[number].source
        for row in rows if at is not None else ():
            start = at + row * use.in_bytes
            assert self.arena[start : start + use.in_bytes] == [(number, row)] * use.in_bytes, (number, row)

    def needed(self, number, row):
        return range(self.uses[number].first_needed[row], self.uses[number].last_needed[row] + 1)

    def play(self, number):
        use, place, is_last = self.uses[number], self.layout.places[number], number == len(self.uses) - 1
        if use.scratch:
            self.write(place.target, ["work"] * use.scratch)
            self.expect(number, range(use.in_rows))
        if is_last:
            return self.expect(number, range(use.in_rows))
        for row in reversed(range(use.out_rows)) if place.backward else range(use.out_rows):
            self.write_row(number, place.target, row, self.needed(number, row))
        return None

    def write_row(self, number, target, row, needed):
        """All that a row needs is there before its first byte is written, and still behind its last."""
        self.expect(number, needed)
        use, following = self.uses[number], self.uses[number + 1]
        names = [(number + 1, (row * use.out_bytes + byte) // following.in_bytes) for byte in range(use.out_bytes)]
        self.write(target + row * use.out_bytes, names)
        self.expect(number, needed)

    def play_pair(self, pair):
        """nn_walk_pair: rows between move down as they are used up."""
        first, second = self.uses[pair.step], self.uses[pair.step + 1]
        between, out = self.layout.places[pair.step].target, self.layout.places[pair.step + 1].target
        assert self.layout.places[pair.step + 1].source == between
        held = []
        for position in range(second.out_rows * pair.second.pool[0]):
            start = position * pair.second.strides[0] - pair.second.pads[0]
            wanted = range(max(start, 0), min(start + pair.second.kernel[0], first.out_rows))
            held = [row for row in held if row in wanted]
            self.write(between, [(pair.step + 1, row) for row in held for _ in range(first.out_bytes)])
            for row in wanted:
                if row not in held:
                    self.expect(pair.step, self.needed(pair.step, row))
                    names = [(pair.step + 1, row)] * first.out_bytes
                    self.write(between + len(held) * first.out_bytes, names)
                    self.expect(pair.step, self.needed(pair.step, row))
                    held.append(row)
            rows = [(pair.step + 1, row) for row in wanted for _ in range(first.out_bytes)]
            assert self.arena[between : between + len(rows)] == rows
            self.write_line(pair, out, position, rows, between)

    def write_line(self, pair, out, position, rows, between):
        """A line of positions, into the row of the map that its windows lie in."""
        row = position // pair.second.pool[0]
        size = self.uses[pair.step + 1].out_bytes
        following = self.uses[pair.step + 2]
        names = [(pair.step + 2, (row * size + byte) // following.in_bytes) for byte in range(size)]
        self.write(out + row * size, names)
        assert self.arena[between : between + len(rows)] == rows


def run_in_arena(graph, image, keep_image):
    """The scores, computed row by row in a real arena of bytes."""
    uses = uses_of(graph)
    layout = lay_out(uses, keep_image)
    arena = np.full(layout.arena_bytes, 0xA5, np.uint8)
    if layout.image is not None:
        arena[layout.image :][: image.size] = image.transpose(1, 2, 0).ravel()
    for op, use, place in zip(graph.ops, uses, layout.places, strict=True):

        def read(op=op, place=place):
            memory = image.transpose(1, 2, 0).ravel() if place.source is None else arena[place.source :]
            values = memory[: elements(op.input_shape)]
            if len(op.input_shape) == 1:
                return values.copy()
            channels, height, width = op.input_shape
            return values.reshape(height, width, channels).transpose(2, 0, 1).copy()

        if op is graph.ops[-1]:
            return run_op(op, read()).tolist()
        rows = range(use.out_rows)
        for row in reversed(rows) if place.backward else rows:
            found = run_op(op, read())
            line = found if found.ndim == 1 else found.transpose(1, 2, 0).reshape(use.out_rows, -1)[row]
            arena[place.target + row * use.out_bytes :][: use.out_bytes] = line
    raise AssertionError("no scores")
