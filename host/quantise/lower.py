"""From a trained Network to a Graph: which layers run in one op, and by which rule each one's numbers are rounded."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.activations import activation_tops, needed_bits
from host.nn.formats import ACTIVATION_TOPS, FULL_TOP, WeightFormat, bits_in_words
from host.nn.layers import (
    PRECONV_KERNEL,
    AveragePool2d,
    Conv2d,
    FixedConv2d,
    Flatten,
    LayerSpec,
    MaxPool2d,
    MinMaxNormalise,
    ReLU,
)
from host.nn.layers import Dense as DenseLayer
from host.nn.network import Network
from host.nn.shapes import Shape
from host.quantise.given_rules import GivenRules
from host.quantise.graph import AFTER, AWARE, GIVEN, PER_TENSOR, Graph
from host.quantise.ops import Codes, Conv, Dense, MapShape, Op, Pool, Preconv
from host.quantise.prune import pruned
from host.quantise.requantisers import HalfUp, twice
from host.quantise.rules import Rules

_FRONT_END = 3
"""Layers that Preconv takes together."""


def lower(
    network: Network,
    fmt: WeightFormat = WeightFormat.INT8,
    *,
    top: int | None = None,
    per_tensor: bool = False,
    post_training: bool = False,
    prune: bool = True,
) -> Graph:
    """Round `network` to a format, with activations of 0..top (by default the network's own; floats have no other).

    With `per_tensor` a layer's weights share one scale, else each row of a hidden layer has its own. Numbers that were
    trained for the format, or that an imported net brought along, are taken where there are any, unless `per_tensor` or
    `post_training` asks for a rounding of the float net's. With `prune`, hidden units that provably cannot change any
    score are left out. Raise InputError, naming the layer, for one that no op can be made of, or a top that the net
    cannot have.
    """
    top = network.top if top is None or not fmt.is_integer else top
    if top not in activation_tops(network.architecture).values():
        found = f"found {bits_in_words([top])} bits" if top in ACTIVATION_TOPS.values() else f"found codes up to {top}"
        raise InputError(f"{fmt.label}: activations: {found}, {needed_bits(network.architecture)}; choose those")
    rules = _rules(network, fmt, top, per_tensor, post_training)
    walk = _Walk(network, fmt, top, rules)
    while walk.index < len(network.architecture.layers):
        walk.take_layer()
    last = network.architecture.layers[-1]
    if not isinstance(last, DenseLayer):
        found = f"{type(last).__name__} behind the scores"
        raise InputError(f"{fmt.label}: last layer: found {found}, need none; train another net")
    graph = Graph(
        input_shape=network.architecture.input_shape,
        ops=_with_densities(network, top, walk.ops),
        labels=network.labels,
        preset=network.provenance.preset,
        format=fmt,
        rounding=_rounding(rules, per_tensor) if fmt.is_integer else None,
        score_step=rules.inputs.scale,
    )
    return pruned(graph) if prune else graph


def _rules(network: Network, fmt: WeightFormat, top: int, per_tensor: bool, post_training: bool) -> Rules | GivenRules:
    anew = per_tensor or post_training or not fmt.is_integer
    if network.given is not None and not anew and (fmt, top) == (WeightFormat.INT8, FULL_TOP):
        return GivenRules(network, network.given)
    return Rules(network, fmt, top, per_tensor, None if anew else network.qat_for(fmt.label, top))


def _rounding(rules: Rules | GivenRules, per_tensor: bool) -> str:
    if isinstance(rules, GivenRules):
        return GIVEN
    if rules.qat is not None:
        return AWARE
    return PER_TENSOR if per_tensor or rules.is_by_layer else AFTER


def _with_densities(network: Network, top: int, ops: list[Op]) -> tuple[Op, ...]:
    """With what was measured of the int8 net, with such activations if of any: it holds for others nearly."""
    measured = {known.top: known.densities for known in network.calibrations}
    known = measured.get(top) or next(iter(measured.values()), ())
    if len(known) != len(ops):
        return tuple(ops)
    found: list[Op] = []
    for op, density in zip(ops, known, strict=True):
        if isinstance(op, Conv | Pool):
            op = replace(op, density=float(density.mean()))
        elif isinstance(op, Dense):
            if density.size not in (1, op.inputs):
                wrong = f"calibrations: found {density.size} shares for a dense layer of {op.inputs} inputs"
                raise InputError(f"{wrong}, need one for each; train it again with `host train`")
            op = replace(op, density=np.broadcast_to(density, op.inputs).astype(np.float32))
        found.append(op)
    return tuple(found)


class _Walk:
    """Goes through the layers once; each turn makes one op, or passes over a layer that does nothing."""

    def __init__(self, network: Network, fmt: WeightFormat, top: int, rules: Rules | GivenRules) -> None:
        self.index = 0
        self.ops: list[Op] = []
        self.rules = rules
        self._format, self._top = fmt, top
        self._layers = network.architecture.layers
        self._map: Shape = network.architecture.input_shape

    @property
    def _source(self) -> Codes:
        return self.rules.inputs.codes

    def take_layer(self) -> None:
        layer = self._layers[self.index]
        if isinstance(layer, FixedConv2d) and self._is_front_end(layer):
            self._take_front_end()
        elif isinstance(layer, Conv2d | FixedConv2d):
            self._take_conv(layer)
        elif isinstance(layer, DenseLayer):
            self._take_dense()
        elif isinstance(layer, MaxPool2d | AveragePool2d):
            self._take_pool(layer)
        elif isinstance(layer, ReLU) and self.rules.is_offset:
            raise self._wrong("ReLU on pixels with a mean subtracted", "it behind a convolution or dense layer")
        elif isinstance(layer, ReLU) and self.rules.would_clip(layer):
            raise self._wrong("ReLU with a limit behind a pool", "it right behind what it limits")
        elif not isinstance(layer, ReLU | Flatten):
            raise self._wrong(type(layer).__name__, "it folded away, as after training, or right behind a fixed kernel")
        else:
            self.index += 1  # activations are never negative, and a flat map is the same memory

    def _is_front_end(self, layer: FixedConv2d) -> bool:
        behind = self._layers[self.index + 1 : self.index + _FRONT_END]
        return (
            self.index == 0
            and layer == FixedConv2d(PRECONV_KERNEL, padding=1)
            and behind[:1] == (MaxPool2d(2),)
            and isinstance(behind[-1], MinMaxNormalise)
            and self._map[0] == 1
        )

    def _take_front_end(self) -> None:
        trained_top = cast(MinMaxNormalise, self._layers[_FRONT_END - 1]).top
        # A feature of fewer levels is the same feature in larger steps.
        self.rules.begin_behind_front_end(self._top, trained_top / self._top)
        self.index += _FRONT_END
        self._append(Preconv(cast(MapShape, self._map), self._top))

    def _take_conv(self, layer: Conv2d | FixedConv2d) -> None:
        at = self.index
        self._check_one_offset()
        source = self._padded_source() if isinstance(layer, Conv2d) and any(layer.pads) else self._source
        pool, relu = self._following(at + 1, layer)
        shape = cast(MapShape, self._map)
        if isinstance(layer, Conv2d):
            rows, strides, groups = self.rules.hidden(at, relu), layer.strides, layer.groups
            if source.zero and isinstance(rows.requantiser, HalfUp):
                # Of the kernels, those that know a code of 0.0 round twice.
                rows = replace(rows, requantiser=twice(rows.requantiser))
        else:
            rows, strides, groups = self.rules.fixed(layer, at, relu, shape[0]), (1, 1), shape[0]
        self._append(Conv(shape, rows, source, strides, layer.pads, groups, pool))

    def _padded_source(self) -> Codes:
        """The codes at hand where there is padding around them: of those with a mean subtracted, 0.0 is at the mean."""
        if not self.rules.is_offset:
            return self._source
        zero = round(float(cast(NDArray[np.float64], self.rules.inputs.offset)))
        if not (0 <= zero <= self._source.high and self._format is WeightFormat.INT8):
            raise self._wrong(
                f"padding around pixels with {zero} subtracted in {self._format.label}",
                "none, or unit scaling, whose zero is a pixel's, or int8 and one of the pixels' codes",
            )
        return replace(self._source, zero=zero)

    def _take_dense(self) -> None:
        at, source = self.index, self._source
        self.index += 1
        if at == len(self._layers) - 1:
            rows = self.rules.scores(at)
        elif isinstance(self._layers[at + 1], ReLU):
            rows = self.rules.hidden(at, at + 1)
            self.index += 1
        elif self.rules.may_be_linear:
            rows = self.rules.hidden(at, None)
        else:
            raise self._wrong("Dense without ReLU", "ReLU behind every layer but the last", at)
        self._append(Dense(self._map, rows, source))

    def _take_pool(self, layer: MaxPool2d | AveragePool2d) -> None:
        self._check_one_offset()
        shape, source, at = cast(MapShape, self._map), self._source, self.index
        self.index += 1
        is_average = isinstance(layer, AveragePool2d)
        if is_average and (rows := self.rules.mean(at)) is not None:
            self._append(Conv(shape, rows, source, layer.strides, groups=shape[0]))
            return
        center = self.rules.pool_center if is_average else 0
        self._append(Pool(shape, layer.window, layer.strides, is_average, source, center=center))

    def _check_one_offset(self) -> None:
        """Raise InputError where each input has an offset of its own: a window meets several of them."""
        if self.rules.inputs.offset is not None and self.rules.inputs.offset.ndim:
            name = type(self._layers[self.index]).__name__
            raise self._wrong(f"{name} over inputs with an offset each", "one offset for all, or a dense layer first")

    def _following(self, at: int, layer: LayerSpec) -> tuple[tuple[int, int], int | None]:
        """(window of the max-pool that runs in the convolution's pass, index of its ReLU). ReLU and max-pool commute.

        A pool whose windows do not lie side by side is the next op, and a ReLU behind it has nothing left to do.
        """
        behind: list[LayerSpec] = list(self._layers[at : at + 2])
        kinds = [type(each) for each in behind]
        relu = None
        if kinds[:1] == [ReLU] or kinds == [MaxPool2d, ReLU]:
            relu = at + kinds.index(ReLU)
        elif not self.rules.may_be_linear:
            name = type(layer).__name__
            raise self._wrong(f"{name} without ReLU", "ReLU right behind it, or behind its max-pool")
        near = behind if relu is not None else behind[:1]
        pool = next((each for each in near if isinstance(each, MaxPool2d)), None)
        if pool is not None and pool.strides == pool.window:
            self.index = at + len(near)
            return pool.window, relu
        self.index = at + 1 if relu == at else at
        return (1, 1), relu

    def _append(self, op: Op) -> None:
        self.ops.append(op)
        self._map = op.output_shape

    def _wrong(self, found: str, need: str, at: int | None = None) -> InputError:
        return InputError(
            f"{self._format.label}: layer {self.index if at is None else at}: found {found}, need {need}; "
            "train another architecture"
        )
