"""Where a walk along a graph stands: what is constant, what travels, and how the axes of that are named."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.importers.base import Options, refused, scaling_of, shape_notes, vector_shape
from host.importers.chain import Chain
from host.importers.codes import Codes
from host.importers.onnx.constants import Constant
from host.importers.onnx.graph import Graph, Node
from host.nn.limits import MAX_ELEMENTS

BRANCH = "train a net that is one chain, without branches"
_FEW = (1, 3, 4)
"""Channels that an image may have, by which a map that is flattened before anything else is known for one of rows,
columns and channels."""

Kind = Chain | Codes
Axes = str
"""A letter for each axis of what travels: N images, C channels, H rows, W columns, or F features of a vector."""


class Behind(Enum):
    """What a tensor behind the last layer is."""

    SCORES = "scores"
    """(N, classes), or as the last layer has it; of the same order as the last layer's."""
    SHAPED = "scores of another shape"
    CLASS = "the chosen class"
    ONE = "a sigmoid over one score"
    COMPLEMENT = "1 − the sigmoid"


class State:
    """`head` is the tensor that travels. Until the first operator that computes, only its sizes are known: `begin` says
    then what they mean."""

    def __init__(self, path: Path, graph: Graph, options: Options) -> None:
        self.path, self.graph = path, graph
        self.constants = {name: Constant(values) for name, values in graph.constants.items()}
        self.head = graph.input
        self.tail: dict[str, Behind] = {}
        """Tensors behind the scores."""
        self.left: list[str] = []
        self.labels: tuple[str, ...] | None = None
        self.is_quantised = any(node.op == "QuantizeLinear" for node in graph.nodes)
        self._options = options
        self._batch = max(graph.sizes[0], 1) if graph.sizes else 1
        self._sizes = (self._batch, *graph.sizes[1:])
        self._axes: Axes | None = None
        self._chain: Kind | None = None
        self._before: list[Callable[[Kind], None]] = []
        if len(graph.sizes) < 2 or min(self._sizes) < 1 or math.prod(self._sizes[1:]) > MAX_ELEMENTS:
            found, need = f"the shape {list(graph.sizes)}", "fixed sizes behind the first, for example 1,1,28,28"
            raise refused(path, "input", found, need, "export the net with a fixed input shape")

    @property
    def chain(self) -> Kind:
        """The steps so far."""
        assert self._chain is not None
        return self._chain

    @property
    def has_begun(self) -> bool:
        return self._chain is not None

    @property
    def axes(self) -> Axes:
        """Of what travels, once it has begun."""
        assert self._axes is not None
        return self._axes

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of what travels, images first."""
        if self._chain is None:
            return self._sizes
        shape = self._chain.shape
        by_letter = {"N": self._batch, "F": math.prod(shape), "C": shape[0]}
        if len(shape) == 3:
            by_letter |= {"H": shape[1], "W": shape[2]}
        return tuple(by_letter[letter] for letter in self.axes)

    def begin(self, axes: Axes) -> None:
        """Say what the axes of the input mean: from here on there are steps."""
        by_letter = dict(zip(axes, self._sizes, strict=True))
        self._axes = axes
        if "F" in axes:
            shape = vector_shape(self.path, self._options, by_letter["F"])
        else:
            shape = (by_letter.get("C", 1), by_letter.get("H", 1), by_letter.get("W", 1))
        self._chain = (
            Codes(self.path, shape) if self.is_quantised else Chain(self.path, shape, scaling_of(self._options))
        )
        for put in self._before:
            put(self._chain)
        if "F" in axes:
            self._chain.notes += shape_notes(self._options, shape)
            self._chain.flatten("input")

    def begin_map(self, node: Node) -> None:
        """Begin, if that is not done, with images or signals, channels first."""
        if not self.has_begun:
            if len(self._sizes) not in (3, 4):
                raise node.wrong(f"an input of {self.shown(self._sizes)}", "images, channels first")
            self.begin("NCHW" if len(self._sizes) == 4 else "NCW")
        if self.axes not in ("NCHW", "NCW"):
            found = f"axes {', '.join(self.axes)}"
            raise node.wrong(found, "images, channels, rows, columns", "export the net with channels first")

    def begin_vector(self, node: Node) -> None:
        """Begin, if that is not done, with features; else there must be a vector."""
        if not self.has_begun and len(self._sizes) == 2:
            self.begin("NF")
        if not self.has_begun or self.axes not in ("NF", "NC"):
            raise node.wrong(f"an input of {self.shown(self.sizes)}", "one vector an image", "flatten the map before")

    def put(self, step: Callable[[Kind], None]) -> None:
        """Do something to the steps that needs no meaning of the axes: now, or as soon as there are some."""
        if self._chain is None:
            self._before.append(step)
        else:
            step(self._chain)

    def rename(self, axes: Axes) -> None:
        """The same numbers with other axes."""
        self._axes = axes

    def reshape(self, node: Node, target: list[int]) -> None:
        """To a shape of which one size may be −1: as many numbers in the same order."""
        sizes = self.sizes
        known = math.prod(each for each in target if each != -1)
        if target.count(-1) > 1 or known <= 0 or math.prod(sizes) % known:
            raise node.wrong(f"{self.shown(sizes)} made {self.shown(target)}", "as many numbers")
        full = tuple(math.prod(sizes) // known if each == -1 else each for each in target)
        if math.prod(full) != math.prod(sizes) or full[:1] != sizes[:1] or len(full) < 2:
            raise node.wrong(f"{self.shown(sizes)} made {self.shown(full)}", "as many numbers of each image")
        if full == sizes:
            return
        if not self.has_begun:
            if len(full) > 2 or len(sizes) == 2:
                self._sizes = full
                return
            self._begin_flattened(node)
        if len(full) == 2:
            self.chain.flatten(node.place, channels_last=self.axes[-1] == "C")
            self._axes = "NF"
        else:
            self._axes = self._renamed(node, full)

    def constant(self, name: str) -> Constant | None:
        """None for an input that is left out, or that is no constant."""
        return self.constants.get(name) if name else None

    def shown(self, sizes: tuple[int, ...] | list[int]) -> str:
        return "x".join(map(str, sizes[:8]))

    def by_channel(self, node: Node, values: NDArray[Any]) -> NDArray[Any]:
        """One number for all, or for each channel (or feature): of a constant that is combined with what travels."""
        if values.dtype.kind not in "fiu":
            raise node.wrong(f"constants of {values.dtype}", "numbers")
        if values.size == 1:
            return values.reshape(1)
        sizes = self.sizes
        wide = values.reshape((1,) * (len(sizes) - values.ndim) + values.shape) if values.ndim <= len(sizes) else values
        along = [at for at, side in enumerate(wide.shape) if side > 1]
        if len(wide.shape) != len(sizes) or len(along) != 1 or wide.shape[along[0]] != sizes[along[0]]:
            raise node.wrong(f"constants {values.shape} for {self.shown(sizes)}", "one for all, or one a channel")
        if not self.has_begun:
            self.begin({2: "NF", 3: "NCW", 4: "NHWC" if along[0] == 3 else "NCHW"}.get(len(sizes), "NF"))
        if self.axes[along[0]] not in "CF":
            raise node.wrong(f"constants along {self.axes[along[0]]}", "one for all, or one a channel")
        return values.reshape(-1)

    def _begin_flattened(self, node: Node) -> None:
        """A map that is flattened before anything is computed of it."""
        sizes = self._sizes
        if len(sizes) == 3:
            self.begin("NHW")
        elif len(sizes) == 4:
            self.begin("NHWC" if sizes[3] in _FEW and sizes[1] not in _FEW else "NCHW")
        else:
            raise node.wrong(f"an input of {self.shown(sizes)}", "images, channels first")

    def _renamed(self, node: Node, full: tuple[int, ...]) -> Axes:
        """The letters of the same sizes with ones put in or left out."""
        shape = self.chain.shape
        large = [letter for letter, side in zip(self.axes, self.sizes, strict=True) if side > 1 and letter != "N"]
        sides = [side for side in full[1:] if side > 1]
        if len(shape) != 3 or sides != [self.sizes[self.axes.index(letter)] for letter in large] or len(full) > 4:
            raise node.wrong(f"{self.shown(self.sizes)} made {self.shown(full)}", "a flattening", "leave it out")
        ones = [letter for letter in "CHW" if letter not in large]
        letters = ["N"]
        for side in full[1:]:
            letters.append(large.pop(0) if side > 1 else ones.pop(0))
        return "".join(letters)


def numbers(node: Node, constant: Constant | None, what: str) -> NDArray[Any]:
    """The array of an input that must be constant."""
    if constant is None or constant.values.dtype.kind not in "fiu":
        raise node.wrong(f"{what} that are computed, or missing", "constants", "export the net for inference")
    return constant.values


def scalar(node: Node, values: NDArray[Any], what: str) -> float:
    if values.size != 1 or values.dtype.kind not in "fiu" or np.isnan(values).any():
        raise node.wrong(f"{what} {values.shape}", "one number")
    return float(values.reshape(-1)[0])
