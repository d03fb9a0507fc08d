"""From a trained float32 network to the very numbers that are flashed, in each weight format."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from host.deploy.numerics import (
    WeightFormat,
    choose_requantiser,
    requantise,
    sum_bounds,
    symmetric_step,
    to_half,
    to_int8,
    to_int32,
)
from host.train.network import Dense, Network


@dataclass(frozen=True)
class Requantiser:
    """Turns a hidden sum into an activation: clamp((sum·multiplier + 2^(shift−1)) >> shift, 0, levels)."""

    multiplier: int
    shift: int
    levels: int


@dataclass(frozen=True)
class Int8Dense:
    """weights int8 (outputs, inputs), bias int32 (outputs,); no requantiser on the last layer."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    requantiser: Requantiser | None


@dataclass(frozen=True)
class FloatDense:
    """weights float32 or float16 (outputs, inputs), bias float32 (outputs,)."""

    weights: NDArray[np.float32] | NDArray[np.float16]
    bias: NDArray[np.float32]
    relu: bool


DeployedDense: TypeAlias = Int8Dense | FloatDense


@dataclass(frozen=True)
class DeployedNet:
    """What a board computes with: nothing here is rounded again."""

    format: WeightFormat
    input_shape: tuple[int, int]
    front_end: str
    levels: int
    layers: tuple[DeployedDense, ...]
    labels: tuple[str, ...]
    preset: str

    @cached_property
    def hash(self) -> str:
        """SHA-256, hexadecimal, over the numbers that determine the scores and nothing else."""
        digest = hashlib.sha256(json.dumps(self._shape_facts(), sort_keys=True).encode())
        for layer in self.layers:
            digest.update(_little_endian(layer.weights))
            digest.update(_little_endian(layer.bias))
        return digest.hexdigest()

    @property
    def hash_bytes(self) -> bytes:
        """The first eight bytes of the hash: what the header carries and READY answers."""
        return bytes.fromhex(self.hash)[:8]

    def _shape_facts(self) -> dict[str, object]:
        return {
            "format": self.format.label,
            "input": self.input_shape,
            "front_end": self.front_end,
            "levels": self.levels,
            "layers": [
                {
                    "shape": layer.weights.shape,
                    "requantiser": [layer.requantiser.multiplier, layer.requantiser.shift, layer.requantiser.levels]
                    if isinstance(layer, Int8Dense) and layer.requantiser
                    else None,
                }
                for layer in self.layers
            ],
        }


def quantise(network: Network, fmt: WeightFormat, *, prune: bool = True) -> DeployedNet:
    """Round `network` to `fmt`. With `prune`, hidden units that provably cannot change any score are left out."""
    layers = _quantise_int8(network) if fmt is WeightFormat.INT8 else _round_floats(network, fmt)
    if prune:
        layers = _prune(layers, network.levels)
    return DeployedNet(
        format=fmt,
        input_shape=network.input_shape,
        front_end=network.front_end,
        levels=network.levels,
        layers=layers,
        labels=network.labels,
        preset=network.provenance.preset,
    )


def _quantise_int8(network: Network) -> tuple[DeployedDense, ...]:
    layers: list[DeployedDense] = []
    input_step = 1.0
    for index, layer in enumerate(network.layers):
        weight_step = symmetric_step(layer.weights)
        accumulator_step = weight_step * input_step
        weights = to_int8(layer.weights, weight_step)
        bias = to_int32(layer.bias.astype(np.float64) / accumulator_step - _offset_sum(weights, layer), f"int8: bias of layer {index + 1}")
        if index == len(network.layers) - 1:
            layers.append(Int8Dense(weights, bias, None))
            break
        multiplier, shift = choose_requantiser(accumulator_step, layer.output_max, network.levels)
        layers.append(Int8Dense(weights, bias, Requantiser(multiplier, shift, network.levels)))
        input_step = accumulator_step * 2.0**shift / multiplier
    return tuple(layers)


def _round_floats(network: Network, fmt: WeightFormat) -> tuple[DeployedDense, ...]:
    layers = []
    for index, layer in enumerate(network.layers):
        weights = to_half(layer.weights) if fmt is WeightFormat.FLOAT16 else layer.weights.astype(np.float32)
        bias = (layer.bias.astype(np.float64) - _offset_sum(weights, layer)).astype(np.float32)
        layers.append(FloatDense(weights, bias, relu=index < len(network.layers) - 1))
    return tuple(layers)


def _offset_sum(weights: NDArray[np.generic], layer: Dense) -> NDArray[np.float64] | float:
    """Σ w·μ per neuron with the rounded weights, so that centring the inputs costs the board nothing."""
    if layer.input_offset is None:
        return 0.0
    product: NDArray[np.float64] = weights.astype(np.float64) @ layer.input_offset.astype(np.float64)
    return product


def _prune(layers: tuple[DeployedDense, ...], levels: int) -> tuple[DeployedDense, ...]:
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
        Int8Dense(layer.weights[alive], layer.bias[alive], rule),
        Int8Dense(following.weights[:, alive], bias, following.requantiser),
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
        FloatDense(layer.weights[~dead], layer.bias[~dead], layer.relu),
        FloatDense(following.weights[:, ~dead], following.bias, following.relu),
    )


def _little_endian(array: NDArray[np.generic]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
