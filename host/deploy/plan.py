"""The layer table of a deployed net: what runs in which order, where each result lies, how wide each sum must be.

Everything is decided here; the templates only write it down. Invalid shapes and sums are refused here too.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.deploy.numerics import WeightFormat, sum_bounds
from host.deploy.quantise import DeployedNet, Int8Dense, Requantiser
from host.errors import InputError

ABI = 1
"""Must equal nn.h's NN_ABI; the rendered header refuses to compile otherwise."""
KERNELS = ("auto", "portable")
MAX_SIDE = 64
_ACTIVATION_BYTES = {WeightFormat.FLOAT32: 4, WeightFormat.FLOAT16: 4, WeightFormat.INT8: 1}


@dataclass(frozen=True)
class DenseStep:
    """One dense layer in execution order. `source` and `target` are arena offsets in bytes; the last layer writes into
    the caller's scores instead. `weights` is (outputs, inputs)."""

    index: int
    inputs: int
    outputs: int
    source: int
    target: int | None
    accumulator_bits: int
    requantiser: Requantiser | None
    weights: NDArray[np.generic]
    bias: NDArray[np.generic]

    @property
    def is_first(self) -> bool:
        return self.index == 0

    @property
    def is_last(self) -> bool:
        return self.target is None


@dataclass(frozen=True)
class Plan:
    """A deployed net, laid out for execution. The front end leaves its features at the arena's start."""

    net: DeployedNet
    kernel: str
    steps: tuple[DenseStep, ...]
    arena_bytes: int

    @property
    def classes(self) -> int:
        return self.steps[-1].outputs

    @property
    def image_bytes(self) -> int:
        height, width = self.net.input_shape
        return height * width

    @property
    def macs(self) -> int:
        return sum(step.inputs * step.outputs for step in self.steps)

    @property
    def rom(self) -> bytes:
        """The bytes of `model_rom` as they lie in the board's flash: biases, then weights, padded to four."""
        blob = b"".join(_flash_bytes(step.bias) for step in self.steps)
        blob += b"".join(_flash_bytes(step.weights) for step in self.steps)
        return blob + bytes(self.rom_padding)

    @property
    def rom_padding(self) -> int:
        return -sum(step.bias.nbytes + step.weights.nbytes for step in self.steps) % 4

    @property
    def weights_crc(self) -> int:
        """What READY must answer: the CRC-32 of `rom`."""
        return zlib.crc32(self.rom)


def plan(net: DeployedNet, kernel: str = "auto") -> Plan:
    """Lay out `net`; raise InputError for a kernel that does not exist or a sum that no accumulator holds."""
    if kernel not in KERNELS:
        raise InputError(f"kernel: found {kernel!r}, need one of {', '.join(KERNELS)}; leave --kernel out for the best")
    height, width = net.input_shape
    count = (height // 2) * (width // 2)
    activation_bytes = _ACTIVATION_BYTES[net.format]
    # Two regions used in turn: features and every second activation share the first. The pooled map, twice as wide, is
    # normalised in place and may reach into the second, which is not in use yet.
    widths = [layer.weights.shape[0] * activation_bytes for layer in net.layers[:-1]]
    first = _aligned(max([count, *widths[1::2]]))
    second = _aligned(max([0, *widths[0::2]]))
    steps = []
    for index, layer in enumerate(net.layers):
        outputs, inputs = layer.weights.shape
        source, target = (0, first) if index % 2 == 0 else (first, 0)
        steps.append(
            DenseStep(
                index=index,
                inputs=inputs,
                outputs=outputs,
                source=source,
                target=None if index == len(net.layers) - 1 else target,
                accumulator_bits=_accumulator_bits(layer, index, net.levels) if isinstance(layer, Int8Dense) else 32,
                requantiser=layer.requantiser if isinstance(layer, Int8Dense) else None,
                weights=layer.weights,
                bias=layer.bias,
            )
        )
    return Plan(net, "portable", tuple(steps), _aligned(max(2 * count, first + second)))


def _accumulator_bits(layer: Int8Dense, index: int, levels: int) -> int:
    """The narrowest of 16 and 32 bits that provably holds every final sum; wrap on the way is harmless."""
    low, high = sum_bounds(layer.weights, layer.bias, levels)
    lowest, highest = int(low.min()), int(high.max())
    rule = layer.requantiser
    scaled = highest if rule is None else highest * rule.multiplier + (1 << (rule.shift - 1))
    if lowest < -(2**31) or highest >= 2**31 or (rule is not None and scaled >= 2**32):
        raise InputError(
            f"int8: sums of layer {index + 1}: found {lowest}..{highest}, need 32 bits; train smaller weights"
        )
    return 16 if lowest >= -(2**15) and highest < 2**15 else 32


def _aligned(size: int) -> int:
    return (size + 3) & ~3


def _flash_bytes(array: NDArray[np.generic]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
