"""What a net loses where its floats become integers, layer by layer: each op of a Graph beside the layer that it stands
for, over a sample of images.

Both are known by their numbers alone: what one code is worth is whatever makes the two most alike, so that nothing is
asked of how the integers came about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import DigitduinoError
from host.nn import numpy as layers
from host.nn.fixed import codes
from host.nn.formats import ACTIVATION_TOPS
from host.nn.layers import (
    Architecture,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    FixedConv2d,
    LayerSpec,
    MaxPool2d,
    MinMaxNormalise,
    ReLU,
)
from host.nn.layers import Dense as DenseLayer
from host.nn.network import Network
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.quantise.ops import Conv, Dense, Op, Pool, Preconv, elements
from host.quantise.reference import Values, activations, as_maps, conv_sums, dense_sums, scores

_AT_ONCE = 16
"""Images: what a convolution is unrolled into should stay small."""
_SILENT = (ReLU, BatchNorm, Dropout)
"""Layers that an op takes along with the one before them."""


@dataclass(frozen=True)
class Loss:
    """Of one op over the sample. `layer` is the number of the layer that puts out the same, None where none does;
    `error` the root of the mean squared difference over that of the float values, `error_here` the same of the first
    image alone, None without a layer. `clipped` is the share of values that lay outside the range and were cut, None
    where nothing is held to one, `zero` the share of zeros, `used` how far codes get from that of 0.0 over how far the
    range does."""

    layer: int | None
    error: float | None
    error_here: float | None
    clipped: float | None
    zero: float
    used: float | None


def losses(network: Network, graph: Graph, images: NDArray[np.uint8]) -> list[Loss]:
    """One for each op of `graph`, over images (N, H, W) or (N, C, H, W)."""
    architecture = network.architecture
    places = op_layers(architecture, graph.ops)
    if np.any(network.scaling.offset):
        # Of pixels with a mean subtracted no step is worth the codes; behind the first weights it is gone.
        first = next(number for number, op in enumerate(graph.ops) if isinstance(op, Conv | Dense))
        places = [
            None if number < first and place != network.fixed - 1 else place for number, place in enumerate(places)
        ]
    tallies = [_Tally(op, _is_limited(architecture, place)) for op, place in zip(graph.ops, places, strict=True)]
    for start in range(0, len(images), _AT_ONCE):
        batch = images[start : start + _AT_ONCE]
        floats = _float_outputs(network, batch, {place for place in places if place is not None})
        values: Values = as_maps(batch)
        for op, place, tally in zip(graph.ops, places, tallies, strict=True):
            tally.count_clipped(values)
            values = scores(op, values) if op is graph.ops[-1] else activations(op, values)
            tally.count(values, None if place is None else floats[place])
    return [tally.loss(place) for tally, place in zip(tallies, places, strict=True)]


def with_all_units(network: Network, graph: Graph) -> Graph:
    """`graph` before units were left out of it that change no score, so that its ops are of the layers' shapes; itself
    where it is not one of `network`'s."""
    for top in (graph.top, *ACTIVATION_TOPS.values()):
        for per_tensor, post_training in ((False, False), (True, False), (False, True)):
            options = {"top": top, "per_tensor": per_tensor, "post_training": post_training}
            try:
                if lower(network, graph.format, **options).hash == graph.hash:  # type: ignore[arg-type]
                    return lower(network, graph.format, **options, prune=False)  # type: ignore[arg-type]
            except DigitduinoError:
                continue
    return graph


def op_layers(architecture: Architecture, ops: tuple[Op, ...]) -> list[int | None]:
    """For each op the number of the layer behind which the net has what the op puts out; None where no layer has."""
    found: list[int | None] = []
    at = -1
    for op in ops:
        at = _end_of(architecture.layers, at + 1, op)
        is_layer = at < len(architecture.layers)
        same = is_layer and elements(architecture.shapes[at + 1]) == elements(op.output_shape)
        # Of fixed layers only what the last of them puts out is known.
        found.append(at if same and at >= architecture.fixed - 1 else None)
    return found


def _end_of(specs: tuple[LayerSpec, ...], at: int, op: Op) -> int:
    """The last layer that `op` takes, the search beginning at layer `at`; behind the end where there is none."""
    kinds: tuple[type, ...] = {
        Preconv: (MinMaxNormalise,),
        Conv: (Conv2d, FixedConv2d, AveragePool2d),  # a pool that has its own scale is a convolution with ones
        Dense: (DenseLayer,),
        Pool: (MaxPool2d, AveragePool2d),
    }[type(op)]
    while at < len(specs) and not isinstance(specs[at], kinds):
        at += 1
    if isinstance(op, Preconv):
        return at
    has_pool = isinstance(op, Conv) and op.pool != (1, 1)
    while at + 1 < len(specs):
        if has_pool and isinstance(specs[at + 1], MaxPool2d):
            has_pool = False
        elif not isinstance(specs[at + 1], _SILENT):
            break
        at += 1
    return at


def _is_limited(architecture: Architecture, place: int | None) -> bool:
    """Whether the float net too holds these values below a limit."""
    if place is None:
        return True
    near = architecture.layers[max(0, place - 2) : place + 1]
    return any(isinstance(layer, ReLU) and layer.limit is not None for layer in near)


def _float_outputs(network: Network, images: NDArray[np.uint8], wanted: set[int]) -> dict[int, NDArray[Any]]:
    """(N, …) of each wanted layer."""
    given = codes(network.architecture, images)
    found: dict[int, NDArray[Any]] = {network.fixed - 1: given}

    def see(index: int, values: NDArray[Any]) -> None:
        if index in wanted:
            found[index] = np.moveaxis(values, -1, 0).copy()

    net = layers.Sequential(network.parameters, len(images))
    layers.observe(net, network.scaling.apply(given), see)
    return found


class _Tally:
    """Counts over batches what makes an op's Loss."""

    def __init__(self, op: Op, is_limited: bool) -> None:
        self._op, self._is_limited = op, is_limited
        self._sums = np.zeros(3)  # of codes², of codes · floats, of floats²
        self._here: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._count = self._zeros = 0
        self._used = 0.0
        self._is_code = not op.codes.is_float and not (isinstance(op, Dense) and op.rows.requantiser is None)
        self._clipped = self._possible = 0

    def count_clipped(self, given: Values) -> None:
        """Of what an op is given for a batch: the sums that lie outside its range, but those that a ReLU cuts."""
        op = self._op
        if self._is_limited or not isinstance(op, Conv | Dense) or op.rows.requantiser is None:
            return
        sums = conv_sums(op, given) if isinstance(op, Conv) else dense_sums(op, given)
        kind = op.rows.codes
        scaled = op.rows.requantiser.scaled(sums) + kind.zero
        is_outside = scaled > kind.high
        if kind.low < kind.zero:
            is_outside |= scaled < kind.low
        self._clipped += int(is_outside.sum())
        self._possible += scaled.size

    def count(self, found: Values, floats: NDArray[Any] | None) -> None:
        """What the op, and where there is one its layer, put out for a batch."""
        kind = self._op.codes
        self._count += found.size
        self._zeros += int((found == kind.zero).sum())
        if self._is_code:
            for end, reached in ((kind.high, int(found.max())), (kind.low, int(found.min()))):
                if end != kind.zero:
                    self._used = max(self._used, (reached - kind.zero) / (end - kind.zero))
        if floats is None:
            return
        whole = found.astype(np.float64).reshape(len(found), -1) - (kind.zero if self._is_code else 0)
        exact = floats.astype(np.float64).reshape(len(found), -1)
        if self._is_code and kind.low == kind.zero and not isinstance(self._op, Dense):
            exact = np.maximum(exact, 0.0)  # a ReLU that stands behind the pool
        self._sums += [(whole * whole).sum(), (whole * exact).sum(), (exact * exact).sum()]
        if self._here is None:
            self._here = whole[0], exact[0]

    def loss(self, place: int | None) -> Loss:
        squares, products, floats = self._sums
        step = products / squares if squares else 0.0
        error = here = None
        if self._here is not None:
            error = float(np.sqrt(max(0.0, floats - step * products) / floats)) if floats else 0.0
            whole, exact = self._here
            norm = float(np.linalg.norm(exact))
            here = float(np.linalg.norm(exact - step * whole)) / norm if norm else 0.0
        return Loss(
            layer=place,
            error=error,
            error_here=here,
            clipped=self._clipped / self._possible if self._possible else None,
            zero=self._zeros / self._count,
            used=self._used if self._is_code else None,
        )
