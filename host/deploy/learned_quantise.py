"""From a trained net of learned kernels to integer stages: which layers run in one pass, and every number rounded.

A hidden row's weight step is chosen so that its 16-bit multiplier is exact: rounding the multiplier costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from host.deploy.learned_nets import (
    AFTER,
    AWARE,
    LEVELS,
    PER_TENSOR,
    ConvStage,
    DenseStage,
    LearnedNet,
    PoolStage,
    Rows,
    Stage,
)
from host.deploy.old_networks import LearnedNetwork, learned
from host.errors import InputError
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, LayerSpec, MaxPool2d, ReLU
from host.nn.network import Network, QatResult
from host.nn.shapes import Shape
from host.quantise.numerics import (
    MULTIPLIER_MAX,
    ROW_SHIFTS,
    WeightFormat,
    largest_kept,
    row_multipliers,
    sum_bounds,
    to_int8,
    to_int32,
)

MAX_SIDE = 255
MAX_POOL = 16
MAX_INPUTS = 0xFFFF


def quantise_learned(
    network: Network | LearnedNetwork,
    fmt: WeightFormat = WeightFormat.INT8,
    *,
    per_tensor: bool = False,
    post_training: bool = False,
) -> LearnedNet:
    """Round `network` to stages with weights of an integer format. With `per_tensor` a layer's weights share one step,
    else each row of a hidden layer has its own. Numbers that were trained for the format are taken where there are any,
    unless `per_tensor` or `post_training` asks for a rounding of the float net's. Raise InputError, naming the layer,
    for one that no stage can be made of.
    """
    network = learned(network)
    tuned = None if per_tensor or post_training else network.tuned_for(fmt.label)
    walk = _Walk(network, fmt, per_tensor, tuned)
    while walk.index < len(network.architecture.layers):
        walk.take_layer()
    last = network.architecture.layers[-1]
    if not isinstance(last, Dense):
        raise InputError(
            f"{fmt.label}: last layer: found {type(last).__name__} behind the scores, need none; train another net"
        )
    _, height, width = network.architecture.input_shape
    rounding = PER_TENSOR if per_tensor else AFTER if tuned is None else AWARE
    preset, stages = network.provenance.preset, tuple(walk.stages)
    return LearnedNet((height, width), stages, network.labels, preset, fmt, rounding=rounding)


@dataclass(frozen=True)
class _Inputs:
    """What a stage is given: activations, one of which is worth `step`; for pixels also what is subtracted first."""

    step: float
    offset: int
    is_pixels: bool


class _Walk:
    """Goes through the layers once; each turn makes one stage, or passes over a layer that does nothing."""

    def __init__(self, network: LearnedNetwork, fmt: WeightFormat, per_tensor: bool, tuned: QatResult | None) -> None:
        self.index = self._at = 0
        self.stages: list[Stage] = []
        self._network = network
        self._format = fmt
        self._per_tensor = per_tensor
        self._tuned = tuned
        self._parameters = network.parameters if tuned is None else tuned.parameters
        self._layers = network.architecture.layers
        self._inputs = _Inputs(1 / network.scaling.divisor, int(network.scaling.offset), is_pixels=True)
        self._map: Shape = network.architecture.input_shape
        if network.architecture.input_shape[0] != 1:
            raise InputError(
                f"{fmt.label}: input: found {network.architecture.input_shape[0]} channels, need 1; use grey images"
            )

    def take_layer(self) -> None:
        self._at = self.index  # where the stage's weights are; `index` moves on to what is taken with them
        layer = self._layers[self._at]
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
        numbers = self._parameters.of(at)
        rows = self._hidden_rows(numbers["weights"], numbers["bias"], relu)
        shape = cast(tuple[int, int, int], self._map)
        self._check_sides(shape, layer.channels, pool)
        self._append(ConvStage(shape, rows, layer.strides[0], layer.pads[0], layer.groups, pool))

    def _take_dense(self) -> None:
        at = self.index
        numbers = self._parameters.of(at)
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
        (size, _), (stride, _) = layer.window, layer.strides
        self._check_sides(shape, shape[0], max(size, stride))
        self.index += 1
        self._append(PoolStage(shape, size, stride, isinstance(layer, AveragePool2d)))

    def _following(self, at: int) -> tuple[int, int]:
        """(side of the max-pool that runs in the convolution's pass, index of its ReLU). ReLU and max-pool commute.

        A pool whose windows do not lie side by side is the next stage, and a ReLU behind it has nothing left to do.
        """
        behind: list[LayerSpec] = list(self._layers[at : at + 2])
        kinds = [type(layer) for layer in behind]
        if kinds[:1] != [ReLU] and kinds != [MaxPool2d, ReLU]:
            raise self._wrong("Conv2d without ReLU", "ReLU right behind it, or behind its max-pool")
        relu = at + kinds.index(ReLU)
        pool = next((layer for layer in behind if isinstance(layer, MaxPool2d)), None)
        if pool is not None and pool.stride == pool.size:
            self.index = at + 2
            return pool.window[0], relu
        self.index = at if relu > at else at + 1
        return 1, relu

    def _append(self, stage: Stage) -> None:
        self.stages.append(stage)
        self._map = stage.output_shape

    def _hidden_rows(self, weights: NDArray[np.float32], bias: NDArray[np.float32], relu: int) -> Rows:
        wide, biases = weights.astype(np.float64), bias.astype(np.float64)
        wanted = self._weight_steps(wide, self._per_tensor)
        output_step = self._output_step(relu)
        for shift in ROW_SHIFTS:
            multipliers = self._multipliers(wanted, biases, output_step, shift)
            if multipliers.max() <= MULTIPLIER_MAX:
                break
        else:
            # A coarser activation: only where a sum of a few units is already as large as the largest activation.
            output_step *= int(multipliers.max()) / MULTIPLIER_MAX
            multipliers = np.minimum(self._multipliers(wanted, biases, output_step, shift), MULTIPLIER_MAX)
        steps = multipliers.astype(np.float64) * (output_step / (2.0**shift * self._inputs.step))
        rows = self._rows(wide, biases, steps, multipliers.astype(np.uint16), shift)
        self._inputs = _Inputs(output_step, 0, is_pixels=False)
        return rows

    def _score_rows(self, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> Rows:
        wide = weights.astype(np.float64)
        wanted = self._weight_steps(wide, per_tensor=True)
        return self._rows(wide, bias.astype(np.float64), np.where(wanted > 0, wanted, 1.0), None, 0)

    def _output_step(self, relu: int) -> float:
        if self._tuned is not None:
            return self._tuned.output_steps[relu]
        top = self._network.output_max[relu]
        return (top if top > 0 else 1.0) / LEVELS

    def _weight_steps(self, weights: NDArray[np.float64], per_tensor: bool) -> NDArray[np.float64]:
        """The steps that would suit each row best, (outputs,); 0 where all weights are."""
        learned = None if self._tuned is None else self._tuned.weight_steps[self._at]
        if learned is not None:
            return learned.astype(np.float64)
        rows = weights.reshape(1 if per_tensor else len(weights), -1)
        steps = largest_kept(rows, self._format) / self._format.weight_max
        return np.broadcast_to(steps, len(weights))

    def _multipliers(
        self, wanted: NDArray[np.float64], biases: NDArray[np.float64], output_step: float, shift: int
    ) -> NDArray[np.int64]:
        """One multiplier a row; the same for all where they share their step."""
        # A learned step is met as nearly as can be; one of our own may be a little coarser, but must not saturate.
        meet = np.ceil if self._tuned is None else np.rint
        found = row_multipliers(wanted, biases, self._inputs.step, output_step, shift, meet)
        return np.full_like(found, found.max()) if self._per_tensor else found

    def _rows(
        self,
        weights: NDArray[np.float64],
        biases: NDArray[np.float64],
        steps: NDArray[np.float64],
        multipliers: NDArray[np.uint16] | None,
        shift: int,
    ) -> Rows:
        what = f"{self._format.label}: layer {len(self.stages) + 1}"
        whole = to_int8(weights, steps.reshape(-1, *(1,) * (weights.ndim - 1)), self._format.weight_max)
        flat = whole.reshape(len(whole), -1)
        exact = biases / (steps * self._inputs.step) - self._inputs.offset * flat.sum(axis=1, dtype=np.int64)
        bias = to_int32(exact, f"{what}: bias")
        bounds = sum_bounds(flat, bias, LEVELS)
        if bounds.min() < -(2**31) or bounds.max() >= 2**31:
            raise InputError(f"{what}: sums: found {bounds.min()}..{bounds.max()}, need 32 bits; train smaller weights")
        return Rows(whole, bias, multipliers, shift, self._format.bits)

    def _check_sides(self, shape: tuple[int, int, int], channels: int, pool: int) -> None:
        if max(*shape, channels) > MAX_SIDE or pool > MAX_POOL:
            found = f"{'x'.join(map(str, shape))}, {channels} channels out, pool {pool}"
            raise self._wrong(found, f"sides and channels up to {MAX_SIDE}, pools and their strides up to {MAX_POOL}")

    def _wrong(self, found: str, need: str) -> InputError:
        return InputError(
            f"{self._format.label}: layer {self.index}: found {found}, need {need}; train another architecture"
        )
