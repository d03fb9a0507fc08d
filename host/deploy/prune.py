"""Leaves out hidden units that provably cannot change any score, for any image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from host.deploy.nets import DeployedDense, FloatDense, Int8Dense
from host.quantise.numerics import requantise, sum_bounds, to_int32


def prune(layers: tuple[DeployedDense, ...], levels: int) -> tuple[DeployedDense, ...]:
    """Drop hidden units whose activation is the same for every possible input, folding int8 constants into the next
    bias. Exact: the remaining sums are unchanged, for any image."""
    kept = list(layers)
    for index in range(len(kept) - 1):
        layer, following = kept[index], kept[index + 1]
        if isinstance(layer, Int8Dense) and isinstance(following, Int8Dense):
            kept[index], kept[index + 1] = _prune_int8(layer, following, levels)
        elif isinstance(layer, FloatDense) and isinstance(following, FloatDense):
            kept[index], kept[index + 1] = _prune_float(layer, following, levels)
    return tuple(kept)


def _prune_int8(layer: Int8Dense, following: Int8Dense, levels: int) -> tuple[Int8Dense, Int8Dense]:
    rule = layer.requantiser
    if rule is None:
        return layer, following
    bounds = sum_bounds(layer.weights, layer.bias, levels)
    lowest, highest = requantise(bounds, rule.multiplier, rule.shift, rule.levels)
    silent = ~following.weights.any(axis=0)
    alive = (lowest != highest) & ~silent
    alive |= ~alive.any() & (np.arange(alive.size) == 0)  # a layer keeps at least one unit
    constant = following.weights.astype(np.int64) @ np.where(alive, 0, lowest).astype(np.int64)
    bias = to_int32((following.bias + constant).astype(np.float64), "int8: folded bias")
    return (
        replace(layer, weights=layer.weights[alive], bias=layer.bias[alive]),
        replace(following, weights=following.weights[:, alive], bias=bias, density=following.density[alive]),
    )


def _prune_float(layer: FloatDense, following: FloatDense, levels: int) -> tuple[FloatDense, FloatDense]:
    """Only units that are exactly +0 for every input, or whose outgoing weights are all 0, may go: adding ±0 to a sum
    that did not start at −0 leaves every bit as it was. A rounding margin keeps the proof honest."""
    wide = layer.weights.astype(np.float64)
    highest = layer.bias + levels * np.maximum(wide, 0.0).sum(axis=1)
    margin = 1e-4 * (np.abs(layer.bias) + levels * np.abs(wide).sum(axis=1))
    dead = (highest + margin < 0.0) | ((layer.bias <= 0.0) & ~(wide > 0.0).any(axis=1))
    if np.all(following.bias != 0.0):
        dead |= ~following.weights.any(axis=0)
    if dead.all():
        dead[0] = False
    return (
        replace(layer, weights=layer.weights[~dead], bias=layer.bias[~dead]),
        replace(following, weights=following.weights[:, ~dead], density=following.density[~dead]),
    )
