"""From a trained float32 network to the very numbers that are flashed, in each weight format."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from host.deploy import prune as pruning
from host.deploy.nets import DeployedDense, DeployedNet, FloatDense, Int8Dense, Requantiser
from host.deploy.old_networks import PreconvNetwork, preconv
from host.errors import InputError
from host.nn.dense_chain import DenseNumbers as Dense
from host.nn.network import Network
from host.quantise.numerics import (
    WeightFormat,
    choose_requantiser,
    fits_int16,
    sum_bounds,
    symmetric_step,
    to_half,
    to_int8,
    to_int32,
)

FORMATS = (WeightFormat.FLOAT32, WeightFormat.FLOAT16, WeightFormat.INT8)
"""What pre-convolved nets can be rounded to."""
LEVELS = {6: 63, 8: 255}
"""Activation bits → largest activation."""
NARROW_LEVELS = LEVELS[6]
"""With 6-bit activations every sum is made to fit 16 bits, which is what they are for."""
_STEP_GROWTH = 1.02
_MAX_SHIFT = {63: 16, 255: 24}
"""What the AVR requantisers shift by; they take a smaller shift as a larger multiplier."""


def check_format(fmt: WeightFormat) -> None:
    """Raise InputError for a format that pre-convolved nets have not."""
    if fmt not in FORMATS:
        names = ", ".join(known.label for known in FORMATS)
        raise InputError(f"{fmt.label}: found a pre-convolved net, need {names} for it; leave --format out")


def quantise(
    network: Network | PreconvNetwork, fmt: WeightFormat, *, levels: int | None = None, prune: bool = True
) -> DeployedNet:
    """Round `network` to `fmt`, with activations of 0..levels (int8 only; by default the network's own). With `prune`,
    hidden units that provably cannot change any score are left out. Raise InputError for a format or levels that it
    cannot have."""
    check_format(fmt)
    network = preconv(network)
    levels = network.levels if levels is None or fmt is not WeightFormat.INT8 else levels
    if levels not in LEVELS.values() or levels > network.levels:
        raise InputError(
            f"levels: found {levels}, need 63, or 255 for a net trained with it; choose --activation-bits 6"
        )
    layers = _quantise_int8(network, levels) if fmt is WeightFormat.INT8 else _round_floats(network, fmt)
    if prune:
        layers = pruning.prune(layers, levels)
    return DeployedNet(
        format=fmt,
        input_shape=network.input_shape,
        front_end=network.front_end,
        levels=levels,
        layers=layers,
        labels=network.labels,
        preset=network.provenance.preset,
    )


def _quantise_int8(network: PreconvNetwork, levels: int) -> tuple[DeployedDense, ...]:
    densities = _densities(network, levels)
    layers: list[DeployedDense] = []
    # A feature of fewer levels is the same feature in larger steps.
    input_step = network.levels / levels
    for index, layer in enumerate(network.layers):
        weights, bias, accumulator_step = _round_weights(layer, index, input_step, levels)
        density = densities[index]
        if index == len(network.layers) - 1:
            layers.append(Int8Dense(weights, bias, None, density))
            break
        multiplier, shift = choose_requantiser(accumulator_step, layer.output_max, levels, _MAX_SHIFT[levels])
        layers.append(Int8Dense(weights, bias, Requantiser(multiplier, shift, levels), density))
        input_step = accumulator_step * 2.0**shift / multiplier
    return tuple(layers)


def _densities(network: PreconvNetwork, levels: int) -> tuple[NDArray[np.float32], ...]:
    """Per layer (inputs,), how often each is not zero; ones where nothing was measured."""
    measured = (known.densities for known in network.calibrations if known.top == levels)
    return next(measured, tuple(np.ones(layer.weights.shape[1], np.float32) for layer in network.layers))


def _round_weights(
    layer: Dense, index: int, input_step: float, levels: int
) -> tuple[NDArray[np.int8], NDArray[np.int32], float]:
    """Weights, bias and the accumulator's step: the trained one, or the finest for which the weights fit 8 bits; larger
    where narrow activations need it for sums of 16 bits."""
    weight_step = layer.weight_step or symmetric_step(layer.weights)
    while True:
        accumulator_step = weight_step * input_step
        weights = to_int8(layer.weights, weight_step)
        exact = layer.bias.astype(np.float64) / accumulator_step - _offset_sum(weights, layer) / input_step
        bias = to_int32(exact, f"int8: bias of layer {index + 1}")
        if levels != NARROW_LEVELS or fits_int16(sum_bounds(weights, bias, levels)) or not weights.any():
            return weights, bias, accumulator_step
        weight_step *= _STEP_GROWTH


def _round_floats(network: PreconvNetwork, fmt: WeightFormat) -> tuple[DeployedDense, ...]:
    layers = []
    densities = _densities(network, network.levels)  # the int8 net's; its hidden zeros are nearly the float net's
    for index, layer in enumerate(network.layers):
        weights = to_half(layer.weights) if fmt is WeightFormat.FLOAT16 else layer.weights.astype(np.float32)
        bias = (layer.bias.astype(np.float64) - _offset_sum(weights, layer)).astype(np.float32)
        layers.append(FloatDense(weights, bias, index < len(network.layers) - 1, densities[index]))
    return tuple(layers)


def _offset_sum(weights: NDArray[np.generic], layer: Dense) -> NDArray[np.float64] | float:
    """Σ w·μ per neuron with the rounded weights, so that centring the inputs costs the board nothing."""
    if layer.input_offset is None:
        return 0.0
    product: NDArray[np.float64] = weights.astype(np.float64) @ layer.input_offset.astype(np.float64)
    return product
