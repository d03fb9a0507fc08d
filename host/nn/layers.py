"""What a learned net consists of: frozen specifications without any numbers in them.

Every engine builds the same net from an `Architecture`, and deployment reads it to plan a board's layers. A shape is
(channels, height, width) for maps and (units,) for vectors; flattening keeps that order. Knows no weights, no engine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from host.errors import InputError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Conv2d:
    """`channels` kernels of kernel × kernel (correlation, zero padding); `groups` = channels in and out: depthwise."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1


@dataclass(frozen=True)
class MaxPool2d:
    """Largest value of windows size × size, a new one each `stride` rows and columns: overlapping where that is less.

    Stride 0 stands for `size`, and is replaced by it. Rows and columns left over at the end are dropped.
    """

    size: int = 2
    stride: int = 0

    def __post_init__(self) -> None:
        if self.stride == 0:
            object.__setattr__(self, "stride", self.size)


@dataclass(frozen=True)
class AveragePool2d:
    """Mean of windows that do not overlap; rows and columns left over at the end are dropped."""

    size: int = 2


@dataclass(frozen=True)
class ReLU:
    """max(x, 0)."""


@dataclass(frozen=True)
class Dropout:
    """While training, zeroes this share of the values and scales the others by 1 / (1 − share); else does nothing."""

    share: float = 0.5


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) to one vector, in that order."""


@dataclass(frozen=True)
class Dense:
    """Fully connected."""

    units: int


@dataclass(frozen=True)
class BatchNorm:
    """Normalises each channel over batch and map, then scales and shifts it (Ioffe, Szegedy: ICML 2015)."""

    momentum: float = 0.1  # weight of the newest batch in the running statistics
    epsilon: float = 1e-5


LayerSpec = Conv2d | MaxPool2d | AveragePool2d | ReLU | Dropout | Flatten | Dense | BatchNorm
_KINDS = (Conv2d, MaxPool2d, AveragePool2d, ReLU, Dropout, Flatten, Dense, BatchNorm)
_BY_NAME: Mapping[str, Any] = {kind.__name__: kind for kind in _KINDS}


@dataclass(frozen=True)
class Architecture:
    """An input shape and layers that fit it. Raises InputError, naming the layer, when they do not."""

    input_shape: tuple[int, int, int]  # (channels, height, width)
    layers: tuple[LayerSpec, ...]

    def __post_init__(self) -> None:
        if min(self.input_shape) < 1:
            need = "(channels, height, width), each from 1"
            raise InputError(
                f"architecture: input_shape: found {self.input_shape}, need {need}; give the image's shape"
            )
        if not self.layers or len(self.shapes[-1]) != 1:
            found = f"a last layer of {_text(self.shapes[-1])}"
            raise InputError(f"architecture: layers: found {found}, need a vector of scores; end with Dense")

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The input's shape, then each layer's output shape."""
        shapes: list[Shape] = [self.input_shape]
        for index, layer in enumerate(self.layers):
            shapes.append(_output_shape(layer, shapes[-1], f"architecture: layer {index} {type(layer).__name__}"))
        return tuple(shapes)

    @property
    def classes(self) -> int:
        """The number of scores."""
        return self.shapes[-1][0]

    @property
    def macs(self) -> int:
        """Multiplications with a weight for one image, padding included."""
        pairs = zip(self.layers, self.shapes[:-1], self.shapes[1:], strict=True)
        return sum(math.prod(weight_shape(layer, inputs)[1:]) * math.prod(outputs) for layer, inputs, outputs in pairs)

    def plain(self) -> dict[str, Any]:
        """The same as dictionaries, lists, strings and numbers, for JSON; `from_plain` reads it."""
        return {"input_shape": list(self.input_shape), "layers": [_plain_layer(layer) for layer in self.layers]}


def from_plain(value: Mapping[str, Any]) -> Architecture:
    """Return the architecture that `plain` describes. Raises InputError on anything else."""
    try:
        channels, height, width = (int(side) for side in value["input_shape"])
        return Architecture((channels, height, width), tuple(_layer(entry) for entry in value["layers"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        advice = "use what Architecture.plain returned"
        raise InputError(
            f"architecture: description: found {error!r}, need input_shape and layers; {advice}"
        ) from error


def weight_shape(layer: LayerSpec, inputs: Shape) -> Shape:
    """Return (outputs, inputs of one output...) of a layer's weights, or (0, 0) where it has none."""
    if isinstance(layer, Conv2d):
        return (layer.channels, inputs[0] // layer.groups, layer.kernel, layer.kernel)
    if isinstance(layer, Dense):
        return (layer.units, inputs[0])
    return (0, 0)


def _plain_layer(layer: LayerSpec) -> dict[str, Any]:
    fields = asdict(layer)
    if isinstance(layer, MaxPool2d) and layer.stride == layer.size:
        del fields["stride"]  # as before pools had a stride: what describes a net is part of its hash
    return {"kind": type(layer).__name__, **fields}


def _layer(entry: Mapping[str, Any]) -> LayerSpec:
    fields = {name: value for name, value in entry.items() if name != "kind"}
    layer: LayerSpec = _BY_NAME[entry["kind"]](**fields)
    return layer


def _output_shape(layer: LayerSpec, inputs: Shape, where: str) -> Shape:
    if isinstance(layer, ReLU | BatchNorm):
        return inputs
    if isinstance(layer, Dropout):
        if not 0 <= layer.share < 1:
            raise InputError(f"{where}: share: found {layer.share}, need 0 up to 1, 1 excluded; give for example 0.5")
        return inputs
    if isinstance(layer, Dense):
        _check_count(where, "units", layer.units)
        if len(inputs) != 1:
            raise InputError(f"{where}: input: found {_text(inputs)}, need a vector; put Flatten before")
        return (layer.units,)
    if isinstance(layer, Flatten):
        return (math.prod(inputs),)
    if len(inputs) != 3:
        raise InputError(f"{where}: input: found {_text(inputs)}, need channels, height, width; put it before Flatten")
    if isinstance(layer, Conv2d):
        return _convolved(layer, inputs, where)
    stride = layer.stride if isinstance(layer, MaxPool2d) else layer.size
    _check_count(where, "size", layer.size)
    _check_count(where, "stride", stride)
    sides = [(side - layer.size) // stride + 1 for side in inputs[1:]]
    return _check_room((inputs[0], *sides), inputs, where)


def _convolved(layer: Conv2d, inputs: Shape, where: str) -> Shape:
    for name in ("channels", "kernel", "stride", "groups"):
        _check_count(where, name, getattr(layer, name))
    if not 0 <= layer.padding < layer.kernel:
        raise InputError(f"{where}: padding: found {layer.padding}, need 0..{layer.kernel - 1}; choose another")
    if inputs[0] % layer.groups or layer.channels % layer.groups:
        found = f"{layer.groups} for {inputs[0]} channels in and {layer.channels} out"
        raise InputError(f"{where}: groups: found {found}, need a divisor of both; choose another")
    sides = [(side + 2 * layer.padding - layer.kernel) // layer.stride + 1 for side in inputs[1:]]
    return _check_room((layer.channels, *sides), inputs, where)


def _check_count(where: str, field: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{where}: {field}: found {value}, need a whole number from 1; choose another")


def _check_room(outputs: Shape, inputs: Shape, where: str) -> Shape:
    if min(outputs) < 1:
        raise InputError(f"{where}: input: found {_text(inputs)}, need a larger map; pool less or pad")
    return outputs


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
