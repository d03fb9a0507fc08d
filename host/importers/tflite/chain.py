"""The layers that were found so far, and what travels behind the last of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from host.importers.base import Options, Piece, network_of
from host.importers.tflite import integers
from host.importers.tflite.file import File, Operator
from host.importers.tflite.layers import Numbers
from host.nn.given import Given, GivenRows
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, MaxPool2d, ReLU
from host.nn.network import Network
from host.nn.scaling import Scaling
from host.nn.shapes import Pair

SOURCE, ENGINE = "TensorFlow Lite", "tflite"
MapShape = tuple[int, int, int]
_END = "end the net with a dense layer, or a convolution over its whole map, and softmax at most"


class Chain:
    """`map` is what travels, (channels, height, width), `size` how many numbers it has; behind a flattening `map` is
    None. `codes` are the lowest and highest code that an int8 net has there."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._input: MapShape | None = None
        self.map: MapShape | None = None
        self.size = 0
        self.codes = (0, 255)
        self._reach = 0.0
        self._pieces: list[Piece] = []
        self._rows: list[GivenRows | None] = []
        self._ops: list[Operator] = []
        self._before: list[MapShape | None] = []
        """What travels before each piece."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no layer yet."""
        return not self._pieces

    @property
    def operators(self) -> int:
        """How many operators compute something."""
        return len({op.index for op in self._ops})

    def begin(self, shape: MapShape) -> None:
        """Say what the first layer is given, (channels, height, width)."""
        self._input = self.map = shape
        self.size = math.prod(shape)

    def flatten(self, op: Operator) -> None:
        """Make a vector of what travels, if it is none."""
        if self.map is not None:
            self._append(op, Piece(Flatten()), None)
            self.map = None

    def add(
        self, op: Operator, spec: Conv2d | Dense, numbers: Numbers, relu: ReLU | None, sides: Pair = (1, 1)
    ) -> None:
        """A layer with weights, and its activation; `sides` are (height, width) of a convolution's output."""
        if numbers.rows is not None:
            self.codes, self._reach = (numbers.rows.low, numbers.rows.high), numbers.rows.reach
        reach = self._reach if relu is None else 0.0  # nobody knows how far the sums reach before it
        self._append(op, Piece(spec, numbers.weights, numbers.bias, reach), numbers.rows)
        if relu is not None:
            self._append(op, Piece(relu, output_max=self._reach), None)
        outputs = spec.channels if isinstance(spec, Conv2d) else spec.units
        self.map = (outputs, *sides) if isinstance(spec, Conv2d) else None
        self.size = outputs * math.prod(sides)

    def pool(self, op: Operator, spec: MaxPool2d | AveragePool2d, sides: Pair, rows: GivenRows | None = None) -> None:
        """A pool whose output is (height, width), with `rows` where it has its own scale."""
        assert self.map is not None
        if rows is not None:
            self.codes, self._reach = (rows.low, rows.high), rows.reach
        self._append(op, Piece(spec, output_max=self._reach), rows)
        self.map = (self.map[0], *sides)
        self.size = math.prod(self.map)

    def hold(self, op: Operator, relu: ReLU, codes: tuple[int, int] | None) -> None:
        """An activation by itself; `codes` are those of an int8 net that it lets through."""
        if codes is not None and not (codes[0] <= self.codes[0] and codes[1] >= self.codes[1]):
            self._clamp(op, codes)
        before = self._pieces[-1] if self._pieces else None
        if before is not None and isinstance(before.spec, ReLU):
            limits = [each for each in (before.spec.limit, relu.limit) if each is not None]
            self._pieces[-1] = replace(before, spec=ReLU(min(limits) if limits else None))
        elif codes is None or self._pieces:
            self._append(op, Piece(relu, output_max=self._reach), None)

    def affine(self, op: Operator, gain: NDArray[np.float32], offset: NDArray[np.float32]) -> None:
        """Behind it, x · gain + offset, each one number or one for each output of the layer whose numbers take it."""
        last = self._pieces[-1]
        if not isinstance(last.spec, Conv2d | Dense) or last.weights is None or last.bias is None:
            found = f"it behind {type(last.spec).__name__}"
            need = "it right behind a convolution or dense layer without activation"
            raise self._file.refused(op, found, need, "convert the net with batch normalisation before the activation")
        if {gain.size, offset.size} - {1, len(last.bias)}:
            found, need = f"{max(gain.size, offset.size)} numbers", f"1 or {len(last.bias)}"
            raise self._file.refused(op, found, need, "convert the net again")
        column = gain if gain.size == 1 else gain.reshape(-1, *(1,) * (last.weights.ndim - 1))
        self._pieces[-1] = replace(last, weights=last.weights * column, bias=last.bias * gain + offset)

    def network(self, options: Options, scaling: Scaling) -> Network:
        """Raise InputError where the layers make no classifier."""
        self._end_in_dense()
        assert self._input is not None
        rows = tuple(self._rows)
        given = Given(SOURCE, rows, integers.CENTER) if any(each is not None for each in rows) else None
        return network_of(self._file.path, ENGINE, self._input, self._pieces, scaling, options.labels, given)

    def _append(self, op: Operator, piece: Piece, rows: GivenRows | None) -> None:
        self._pieces.append(piece)
        self._rows.append(rows)
        self._ops.append(op)
        self._before.append(self.map)

    def _clamp(self, op: Operator, codes: tuple[int, int]) -> None:
        """Hold the codes of the last layer with weights: exact through max-pools, which keep the order of codes."""
        at = next((at for at in reversed(range(len(self._rows))) if self._rows[at] is not None), None)
        between = [] if at is None else [piece.spec for piece in self._pieces[at + 1 :]]
        if at is None or any(isinstance(spec, AveragePool2d) for spec in between):
            found = f"{op.name} behind an average pool, or the input, that it would change"
            raise self._file.refused(op, found, "it right behind a layer with weights", "train the net that way")
        rows = self._rows[at]
        assert rows is not None
        low, high = max(rows.low, codes[0]), min(rows.high, codes[1])
        if low > high:
            raise self._file.refused(
                op, f"codes {codes[0]}..{codes[1]}", "some that can occur", "convert the net again"
            )
        self._rows[at] = rows = replace(rows, low=low, high=high)
        self.codes, self._reach = (low, high), rows.reach

    def _end_in_dense(self) -> None:
        """A convolution over the whole map, at the end, is a dense layer with the same numbers."""
        if not self._pieces:
            found, need = "no layer", "a net of dense layers, convolutions and pools"
            raise self._file.refused(None, found, need, "convert another net")
        op, last = self._ops[-1], self._pieces[-1]
        if isinstance(last.spec, ReLU):
            raise self._file.refused(op, "an activation behind the scores", "none", _END)
        before = self._before[-1]
        if isinstance(last.spec, Conv2d) and before is not None and last.spec.groups == 1:
            is_whole = before[1:] == last.spec.kernel_size and not any(last.spec.pads)
            if is_whole:
                self._flatten_last(last)
        if not isinstance(self._pieces[-1].spec, Dense):
            raise self._file.refused(op, "it at the end", "a dense layer there", _END)

    def _flatten_last(self, last: Piece) -> None:
        assert last.weights is not None
        flat = last.weights.reshape(len(last.weights), -1)
        self._pieces[-1:] = [Piece(Flatten()), replace(last, spec=Dense(len(flat)), weights=flat)]
        if (rows := self._rows[-1]) is not None and rows.weights is not None:
            rows = replace(rows, weights=rows.weights.reshape(len(flat), -1))
        self._rows[-1:] = [None, rows]
