"""By which rule the numbers of each layer are rounded, from the first one on: a layer's inputs are what the one before
makes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError
from host.nn.activations import code_of_limit
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, FixedConv2d, ReLU
from host.nn.network import Network, QatResult
from host.quantise import rounding
from host.quantise.numerics import largest_kept
from host.quantise.ops import Codes, Rows


@dataclass
class Rules:
    """By which rule a layer's numbers are rounded; `inputs` follows the walk."""

    network: Network
    format: WeightFormat
    top: int
    per_tensor: bool
    qat: QatResult | None

    may_be_linear = False
    pool_center = 0

    def __post_init__(self) -> None:
        scaling = self.network.scaling
        offset = np.asarray(scaling.offset, np.float64)
        self.inputs = rounding.Inputs(1 / scaling.divisor, Codes(), offset if offset.any() else None)
        self._parameters = self.network.parameters if self.qat is None else self.qat.parameters
        self._count = 0
        self._behind_front_end = False

    @property
    def is_offset(self) -> bool:
        """Whether something is subtracted from the codes at hand."""
        return self.inputs.offset is not None

    @property
    def is_by_layer(self) -> bool:
        """Whether a layer has one scale and one short multiplier: dense layers alone behind the front end, as int8,
        unless they were trained with a scale for each row."""
        layers = self.network.architecture.layers
        has_rows = self.qat is not None and any(self.qat.output_steps)
        only_dense = not any(isinstance(layer, Conv2d) for layer in layers)
        return self._behind_front_end and only_dense and self.format is WeightFormat.INT8 and not has_rows

    def begin_behind_front_end(self, top: int, unit: float) -> None:
        """Its codes are 0..top, one of which is `unit` of those that the net was trained on."""
        self._behind_front_end = True
        before = self.inputs
        self.inputs = rounding.Inputs(unit * before.scale, Codes(top), before.offset, unit)

    def mean(self, at: int) -> Rows | None:
        """An average pool's codes keep the scale of those that it is given: it has no rows."""
        return None

    def hidden(self, at: int, relu: int | None) -> Rows:
        """Rows of a convolution or dense layer whose ReLU is layer `relu`."""
        assert relu is not None
        layer = self._layer(at)
        if not self.format.is_integer:
            return self._go_on(rounding.float_rows(layer, self.inputs, True, self._floats), 1.0, relu)
        if self.is_by_layer:
            found = rounding.by_layer(layer, self.inputs, self.top, self._range(relu), self._learned_scale(at))
            return self._go_on(*found, relu)
        learned = 0.0 if self.qat is None else self.qat.output_steps[relu]
        # A layer that is always silent has 0, and any scale will do.
        scale = learned or (self._range(relu) or 1.0) / self.top
        wanted = self._scales(at, self.per_tensor)
        rows, scale = rounding.by_row(
            layer, self.inputs, self.top, scale, wanted, shared=self.per_tensor, learned=self.qat is not None
        )
        return self._go_on(rows, scale, relu)

    def fixed(self, spec: FixedConv2d, at: int, relu: int | None, channels: int) -> Rows:
        assert relu is not None
        kernel = np.asarray(spec.kernel, np.float64)
        weights = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
        # What is subtracted is subtracted from what the kernel makes.
        offset = 0.0 if self.inputs.offset is None else float(self.inputs.offset)
        bias = np.full(channels, -offset * self.inputs.scale)
        layer, inputs = rounding.Layer(self._name(), self.format, weights, bias), replace(self.inputs, offset=None)
        if not self.format.is_integer:
            return self._go_on(rounding.float_rows(layer, inputs, True, self._floats), 1.0, relu)
        if np.abs(kernel).max() > self.format.weight_max:
            raise InputError(
                f"{self.format.label}: layer {at}: found a fixed kernel with {np.abs(kernel).max():.0f}, need numbers "
                f"up to {self.format.weight_max}; use a format with more bits"
            )
        return self._go_on(*rounding.fixed(layer, inputs, self.top, self._range(relu)), relu)

    def scores(self, at: int) -> Rows:
        layer = self._layer(at)
        if not self.format.is_integer:
            return self._go_on(rounding.float_rows(layer, self.inputs, False, self._floats), 1.0)
        if self.is_by_layer:
            return self._go_on(*rounding.scores_by_layer(layer, self.inputs, self._learned_scale(at)))
        scales = self._scales(at, True)
        return self._go_on(*rounding.scores_by_row(layer, self.inputs, scales, learned=self._is_learned(at)))

    @property
    def _floats(self) -> Codes:
        return Codes(self.top, is_float=True)

    def would_clip(self, relu: ReLU) -> bool:
        """Whether a limit has anything left to do with the codes at hand."""
        codes = self.inputs.codes
        return relu.limit is not None and (
            codes.is_float or code_of_limit(relu.limit, self.inputs.scale, codes.high) < codes.high
        )

    def _go_on(self, rows: Rows, scale: float, relu: int | None = None) -> Rows:
        limit = None if relu is None else cast(ReLU, self.network.architecture.layers[relu]).limit
        if limit is not None:
            if not self.format.is_integer:
                need = "one without in a net of floats"
                raise InputError(f"{self._name()}: found a ReLU with a limit, need {need}; use --format int8")
            rows = replace(rows, codes=Codes(code_of_limit(limit, scale, rows.codes.high)))
        self.inputs = rounding.Inputs(scale, rows.codes)
        self._count += 1
        return rows

    def _range(self, relu: int) -> float:
        """How far the activations behind a layer reach; raise InputError where nobody measured a net's."""
        if not self.network.has_ranges:
            raise InputError(
                f"{self._name()}: range of its outputs: found none, need one that was measured; "
                "run `host calibrate MODEL --data D`, or use --format float32"
            )
        return self.network.output_max[relu]

    def _name(self) -> str:
        return f"{self.format.label}: layer {self._count + 1}"

    def _layer(self, at: int) -> rounding.Layer:
        numbers = self._parameters.of(at)
        weights, bias = (numbers[name].astype(np.float64) for name in ("weights", "bias"))
        return rounding.Layer(self._name(), self.format, weights, bias)

    def _learned_scale(self, at: int) -> float | None:
        scales = None if self.qat is None else self.qat.weight_steps[at]
        return None if scales is None else float(scales[0])

    def _is_learned(self, at: int) -> bool:
        return self.qat is not None and self.qat.weight_steps[at] is not None

    def _scales(self, at: int, shared: bool) -> NDArray[np.float64]:
        """The scales that would suit each row best, (outputs,); 0 where all weights are."""
        learned = None if self.qat is None else self.qat.weight_steps[at]
        if learned is not None:
            return learned.astype(np.float64)
        weights = self._layer(at).weights
        rows = weights.reshape(1 if shared else len(weights), -1)
        scales = largest_kept(rows, self.format) / self.format.weight_max
        return np.broadcast_to(scales, len(weights))
