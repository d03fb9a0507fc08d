"""What a net consists of: frozen specifications without any trained numbers in them.

Every engine builds the same net from an `Architecture`, and the quantiser makes a board's ops of it. A shape is
(channels, height, width) for maps and (units,) for vectors; flattening keeps that order. Knows no weights, no engine.

Sizes and strides are one whole number or (height, width), padding is one, (vertical, horizontal) or (top, left, bottom,
right); what one number says is never kept as several, so that equal layers are equal and describe themselves alike.
"""

from dataclasses import dataclass
from typing import Any

from host.errors import InputError
from host.nn import shapes
from host.nn.formats import FULL_TOP
from host.nn.shapes import Padding, Pads, Pair, Shape, Sides, Size


@dataclass(frozen=True)
class Conv2d:
    """`channels` kernels (correlation, zero padding); `groups` = channels in and out: depthwise."""

    channels: int
    kernel: Size
    stride: Size = 1
    padding: Padding = 0
    groups: int = 1

    def __post_init__(self) -> None:
        _simplify(self, "kernel", "stride", "padding")

    @property
    def kernel_size(self) -> Pair:
        """(height, width)."""
        return shapes.pair(self.kernel)

    @property
    def strides(self) -> Pair:
        """(rows, columns) from one place to the next."""
        return shapes.pair(self.stride)

    @property
    def pads(self) -> Pads:
        """Zeros (top, left, bottom, right)."""
        return shapes.pads(self.padding)


@dataclass(frozen=True)
class FixedConv2d:
    """One kernel of whole numbers (rows of them) that is never trained, over each channel by itself: correlation,
    stride 1, zero padding."""

    kernel: tuple[tuple[int, ...], ...]
    padding: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", tuple(tuple(int(value) for value in row) for row in self.kernel))

    @property
    def pads(self) -> Pads:
        """Zeros (top, left, bottom, right)."""
        return shapes.pads(self.padding)


@dataclass(frozen=True)
class MinMaxNormalise:
    """floor((v − min) · top / (max − min)) over the whole map; a map of one value becomes zeros."""

    top: int


@dataclass(frozen=True)
class MaxPool2d:
    """Largest value of windows, a new one each `stride` rows and columns: overlapping where that is less.

    Stride 0 stands for `size`, and is replaced by it. Rows and columns left over at the end are dropped.
    """

    size: Size = 2
    stride: Size = 0

    def __post_init__(self) -> None:
        _simplify(self, "size", "stride")
        if self.stride == 0:
            object.__setattr__(self, "stride", self.size)

    @property
    def window(self) -> Pair:
        """(height, width)."""
        return shapes.pair(self.size)

    @property
    def strides(self) -> Pair:
        """(rows, columns) from one window to the next."""
        return shapes.pair(self.stride)


@dataclass(frozen=True)
class AveragePool2d:
    """Mean of windows that do not overlap; rows and columns left over at the end are dropped."""

    size: Size = 2

    def __post_init__(self) -> None:
        _simplify(self, "size")

    @property
    def window(self) -> Pair:
        """(height, width)."""
        return shapes.pair(self.size)

    @property
    def strides(self) -> Pair:
        """(rows, columns) from one window to the next."""
        return shapes.pair(self.size)


@dataclass(frozen=True)
class ReLU:
    """max(x, 0), or min(max(x, 0), limit); 6 makes what is known as ReLU6."""

    limit: float | None = None

    def __post_init__(self) -> None:
        if self.limit is not None:
            object.__setattr__(self, "limit", float(self.limit))
            if not 0 < self.limit < float("inf"):
                raise InputError(f"architecture: ReLU: limit: found {self.limit}, need one above 0; leave it out")


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


LayerSpec = (
    Conv2d | FixedConv2d | MinMaxNormalise | MaxPool2d | AveragePool2d | ReLU | Dropout | Flatten | Dense | BatchNorm
)

PRECONV_KERNEL = ((1, 2, 1), (2, 4, 2), (1, 2, 1))


def preconv_layers(top: int) -> tuple[LayerSpec, ...]:
    """Return the fixed front end of seed 000: blurred, pooled, stretched to 0..top."""
    return (FixedConv2d(PRECONV_KERNEL, padding=1), MaxPool2d(2), MinMaxNormalise(top))


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
            found = f"a last layer of {shapes.text(self.shapes[-1])}"
            raise InputError(f"architecture: layers: found {found}, need a vector of scores; end with Dense")
        for index, layer in enumerate(self.layers[self.fixed :], self.fixed):
            if isinstance(layer, FixedConv2d | MinMaxNormalise):
                name = f"layer {index} {type(layer).__name__}"
                raise InputError(
                    f"architecture: {name}: found it behind layers that are trained, need it before; move it"
                )

    @property
    def fixed(self) -> int:
        """How many leading layers are never trained: up to the last FixedConv2d or MinMaxNormalise at the front."""
        found = 0
        for index, layer in enumerate(self.layers):
            if isinstance(layer, FixedConv2d | MinMaxNormalise):
                found = index + 1
            elif not isinstance(layer, MaxPool2d):
                break
        return found

    @property
    def front_end_top(self) -> int | None:
        """The largest code of a fixed front end that ends in a normalisation; None of another, and without one."""
        last = self.layers[self.fixed - 1] if self.fixed else None
        return last.top if isinstance(last, MinMaxNormalise) else None

    @property
    def top(self) -> int:
        """The largest code that the first trained layer is given."""
        return self.front_end_top or FULL_TOP

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The input's shape, then each layer's output shape."""
        found: list[Shape] = [self.input_shape]
        for index, layer in enumerate(self.layers):
            found.append(_output_shape(layer, found[-1], f"architecture: layer {index} {type(layer).__name__}"))
        return tuple(found)

    @property
    def classes(self) -> int:
        """The number of scores."""
        return self.shapes[-1][0]

    @property
    def macs(self) -> int:
        """Multiplications with a weight for one image, padding included."""
        pairs = zip(self.layers, self.shapes[:-1], self.shapes[1:], strict=True)
        return sum(shapes.macs(weight_shape(layer, inputs), outputs) for layer, inputs, outputs in pairs)


def weight_shape(layer: LayerSpec, inputs: Shape) -> Shape:
    """Return (outputs, inputs of one output...) of a layer's weights, or (0, 0) where it has none."""
    if isinstance(layer, Conv2d):
        return (layer.channels, inputs[0] // layer.groups, *layer.kernel_size)
    if isinstance(layer, Dense):
        return (layer.units, inputs[0])
    return (0, 0)


def _output_shape(layer: LayerSpec, inputs: Shape, where: str) -> Shape:
    if isinstance(layer, ReLU | BatchNorm):
        return inputs
    if isinstance(layer, Dropout):
        return shapes.dropped(layer.share, inputs, where)
    if isinstance(layer, Dense):
        return shapes.dense(layer.units, inputs, where)
    if isinstance(layer, Flatten):
        return shapes.flat(inputs)
    shapes.check_maps(inputs, where)
    if isinstance(layer, MinMaxNormalise):
        return shapes.normalised(layer.top, inputs, where)
    if isinstance(layer, FixedConv2d):
        return shapes.fixed(layer.kernel, layer.padding, inputs, where)
    if isinstance(layer, Conv2d):
        sides = Sides(layer.kernel_size, layer.strides, layer.pads)
        return shapes.convolved(layer.channels, layer.groups, sides, inputs, where)
    return shapes.pooled(layer.window, layer.strides, inputs, where)


def _simplify(layer: Any, *names: str) -> None:
    """Replace pairs and fours that say the same number twice by fewer; lists, as JSON has them, by tuples."""
    for name in names:
        value = getattr(layer, name)
        if isinstance(value, int):
            continue
        value = tuple(value)
        if len(value) not in ((2, 4) if name == "padding" else (2,)) or not all(
            isinstance(side, int) for side in value
        ):
            raise InputError(
                f"architecture: {type(layer).__name__}: {name}: found {value}, need one whole number or one a side; "
                "give (height, width)"
            )
        if len(value) == 4 and value[:2] == value[2:]:
            value = value[:2]
        object.__setattr__(layer, name, value[0] if len(set(value)) == 1 else value)
