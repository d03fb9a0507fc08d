"""From a trained net of learned kernels to int8 stages: which layers run in one pass, and every number rounded.

A hidden row's weight step is chosen so that its 16-bit multiplier is exact: rounding the multiplier costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from host.deploy.learned_nets import LEVELS, ConvStage, DenseStage, LearnedNet, PoolStage, Rows, Stage
from host.deploy.numerics import (
    MULTIPLIER_MAX,
    ROW_SHIFTS,
    row_multipliers,
    sum_bounds,
    symmetric_step,
    to_int8,
    to_int32,
)
from host.errors import InputError
from host.train.architecture import AveragePool2d, Conv2d, Dense, Flatten, LayerSpec, MaxPool2d, ReLU, Shape
from host.train.learned import LearnedNetwork

MAX_SIDE = 255
MAX_POOL = 16
MAX_INPUTS = 0xFFFF


def quantise_learned(network: LearnedNetwork) -> LearnedNet:
    """Round `network` to int8 stages. Raise InputError, naming the layer, for one that no stage can be made of."""
    walk = _Walk(network)
    while walk.index < len(network.architecture.layers):
        walk.take_layer()
    last = network.architecture.layers[-1]
    if not isinstance(last, Dense):
        raise InputError(
            f"int8: last layer: found {type(last).__name__} behind the scores, need none; train another net"
        )
    _, height, width = network.architecture.input_shape
    return LearnedNet((height, width), tuple(walk.stages), network.labels, network.provenance.preset)


@dataclass(frozen=True)
class _Inputs:
    """What a stage is given: activations, one of which is worth `step`; for pixels also what is subtracted first."""

    step: float
    offset: int
    is_pixels: bool


class _Walk:
    """Goes through the layers once; each turn makes one stage, or passes over a layer that does nothing."""

    def __init__(self, network: LearnedNetwork) -> None:
        self.index = 0
        self.stages: list[Stage] = []
        self._network = network
        self._layers = network.architecture.layers
        self._inputs = _Inputs(1 / network.scaling.divisor, network.scaling.offset, is_pixels=True)
        self._map: Shape = network.architecture.input_shape
        if network.architecture.input_shape[0] != 1:
            raise InputError(
                f"int8: input: found {network.architecture.input_shape[0]} channels, need 1; use grey images"
            )

    def take_layer(self) -> None:
        layer = self._layers[self.index]
        if isinstance(layer, Conv2d):
            self._take_conv(layer)
        elif isinstance(layer, Dense):
            self._take_dense()
        elif isinstance(layer, MaxPool2d | AveragePool2d):
            self._take_pool(layer)
        elif isinstance(layer, ReLU) and self._inputs.is_pixels and self._inputs.offset:
            raise self._wrong("ReLU on pixels with a mean subtracted", "it behind a convolution or dense layer")
        elif not isinstance(layer, ReLU | Flatten):
            raise self._wrong(type(layer).__name__, "it folded away, as after training")
        else:
            self.index += 1  # activations are never negative, and a flat map is the same memory

    def _take_conv(self, layer: Conv2d) -> None:
        at = self.index
        if self._inputs.offset and layer.padding:
            raise self._wrong(
                "padding around pixels with a mean subtracted", "none, or unit scaling, whose zero is a pixel's"
            )
        pool, relu = self._following(at + 1)
        numbers = self._network.parameters.of(at)
        rows = self._hidden_rows(numbers["weights"], numbers["bias"], relu)
        shape = cast(tuple[int, int, int], self._map)
        self._check_sides(shape, layer.channels, pool)
        self._append(ConvStage(shape, rows, layer.stride, layer.padding, layer.groups, pool))

    def _take_dense(self) -> None:
        at = self.index
        numbers = self._network.parameters.of(at)
        if numbers["weights"].shape[1] > MAX_INPUTS or len(numbers["bias"]) > MAX_SIDE:
            raise self._wrong(f"Dense {numbers['weights'].shape[::-1]}", f"at most ({MAX_INPUTS}, {MAX_SIDE})")
        if at == len(self._layers) - 1:
            rows = self._score_rows(numbers["weights"], numbers["bias"])
            self.index += 1
        else:
            relu = at + 1
            if not isinstance(self._layers[relu], ReLU):
                raise self._wrong("Dense without ReLU", "ReLU behind every layer but the last")
            self.index = at + 2
            rows = self._hidden_rows(numbers["weights"], numbers["bias"], relu)
        self._append(DenseStage(self._map, rows))

    def _take_pool(self, layer: MaxPool2d | AveragePool2d) -> None:
        shape = cast(tuple[int, int, int], self._map)
        self._check_sides(shape, shape[0], layer.size)
        self.index += 1
        self._append(PoolStage(shape, layer.size, isinstance(layer, AveragePool2d)))

    def _following(self, at: int) -> tuple[int, int]:
        """(side of the max-pool that runs in the convolution's pass, index of its ReLU). ReLU and max-pool commute."""
        behind: list[LayerSpec] = list(self._layers[at : at + 2])
        kinds = [type(layer) for layer in behind]
        if kinds and kinds[0] is ReLU:
            pool = behind[1] if kinds[1:] == [MaxPool2d] else None
            self.index = at + (1 if pool is None else 2)
            return (pool.size if isinstance(pool, MaxPool2d) else 1), at
        if kinds == [MaxPool2d, ReLU] and isinstance(behind[0], MaxPool2d):
            self.index = at + 2
            return behind[0].size, at + 1
        raise self._wrong("Conv2d without ReLU", "ReLU right behind it, or behind its max-pool")

    def _append(self, stage: Stage) -> None:
        self.stages.append(stage)
        self._map = stage.output_shape

    def _hidden_rows(self, weights: NDArray[np.float32], bias: NDArray[np.float32], relu: int) -> Rows:
        wide, biases = weights.astype(np.float64), bias.astype(np.float64)
        largest = np.abs(wide.reshape(len(wide), -1)).max(axis=1)
        top = self._network.output_max[relu]
        output_step = (top if top > 0 else 1.0) / LEVELS
        for shift in ROW_SHIFTS:
            multipliers = row_multipliers(largest, biases, self._inputs.step, output_step, shift)
            if multipliers.max() <= MULTIPLIER_MAX:
                break
        else:
            # A coarser activation: only where a sum of a few units is already as large as the largest activation.
            output_step *= int(multipliers.max()) / MULTIPLIER_MAX
            multipliers = np.minimum(
                row_multipliers(largest, biases, self._inputs.step, output_step, shift), MULTIPLIER_MAX
            )
        steps = multipliers.astype(np.float64) * (output_step / (2.0**shift * self._inputs.step))
        rows = self._rows(wide, biases, steps, multipliers.astype(np.uint16), shift)
        self._inputs = _Inputs(output_step, 0, is_pixels=False)
        return rows

    def _score_rows(self, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> Rows:
        steps = np.full(len(bias), symmetric_step(weights))
        return self._rows(weights.astype(np.float64), bias.astype(np.float64), steps, None, 0)

    def _rows(
        self,
        weights: NDArray[np.float64],
        biases: NDArray[np.float64],
        steps: NDArray[np.float64],
        multipliers: NDArray[np.uint16] | None,
        shift: int,
    ) -> Rows:
        what = f"int8: layer {len(self.stages) + 1}"
        whole = to_int8(weights, steps.reshape(-1, *(1,) * (weights.ndim - 1)))
        flat = whole.reshape(len(whole), -1)
        exact = biases / (steps * self._inputs.step) - self._inputs.offset * flat.sum(axis=1, dtype=np.int64)
        bias = to_int32(exact, f"{what}: bias")
        bounds = sum_bounds(flat, bias, LEVELS)
        if bounds.min() < -(2**31) or bounds.max() >= 2**31:
            raise InputError(f"{what}: sums: found {bounds.min()}..{bounds.max()}, need 32 bits; train smaller weights")
        return Rows(whole, bias, multipliers, shift)

    def _check_sides(self, shape: tuple[int, int, int], channels: int, pool: int) -> None:
        if max(*shape, channels) > MAX_SIDE or pool > MAX_POOL:
            found = f"{'x'.join(map(str, shape))}, {channels} channels out, pool {pool}"
            raise self._wrong(found, f"sides and channels up to {MAX_SIDE}, pools up to {MAX_POOL}")

    def _wrong(self, found: str, need: str) -> InputError:
        return InputError(f"int8: layer {self.index}: found {found}, need {need}; train another architecture")
