"""The AVR twin of a plan: the same integers laid out for the assembly kernels, or compiled into code.

Layouts and limits are those of `firmware/lib/nn/avr/nn_avr.h`; docs/avr-kernels.md explains them. A twin exists for
int8 nets only. Sums that provably fit 16 bits take the fast kernels, others those with 24.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.kernels.unrolled.compiler import Source, Unrolled, unroll
from host.deploy.nets import DeployedNet, Int8Dense
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.quantise.numerics import fits_int16, sum_bounds

FRONT_END_SHAPES = ((16, 16), (28, 28))
"""Image sizes that have a front end in assembly; the portable one serves the others."""
DENSE16_MAX = 12
DENSE24_MAX = 7
MAX_INPUTS = {16: 1020, 24: 255}
MAX_ROM_BYTES = 2**15 - 1
_SUM_BYTES = {16: 2, 24: 4}
_LOWEST_24, _HIGHEST_24 = -(2**23), 2**23 - 1


@dataclass(frozen=True)
class Block:
    """A run of outputs that one kernel call computes; `rom` is its offset into the twin's bytes."""

    outputs: int
    first: int
    rom: int


@dataclass(frozen=True)
class TwinStep:
    """One dense layer. Sums are written at arena offset `target` and requantised in place; `multiplier` is at the
    kernels' fixed shift, 16 or 24, and 0 in the last layer, whose sums become the scores."""

    bits: int
    inputs: int
    outputs: int
    source: int
    target: int
    multiplier: int
    levels: int
    blocks: tuple[Block, ...]
    density: NDArray[np.float32]

    @property
    def sum_bytes(self) -> int:
        return _SUM_BYTES[self.bits]


@dataclass(frozen=True)
class AsmTwin:
    """Weights as data. `front_end` is the kernel's name suffix such as 16x16, or None for the portable one."""

    front_end: str | None
    steps: tuple[TwinStep, ...]
    rom: bytes


@dataclass(frozen=True)
class UnrolledTwin:
    """Weights as code: the whole dense part is one routine. `rom` is that routine's machine code."""

    front_end: str | None
    unrolled: Unrolled
    sources: tuple[Source, ...]
    rom: bytes


def asm_twin(net: DeployedNet) -> AsmTwin:
    """Cut every layer into blocks; raise InputError where the kernels cannot run `net`."""
    rom = bytearray()
    steps = []
    for index, (layer, source, target) in enumerate(_placed(net)):
        bits = _sum_bits(layer, index, net.levels)
        if layer.weights.shape[1] > MAX_INPUTS[bits]:
            raise InputError(
                f"asm: layer {index + 1}: found {layer.weights.shape[1]} inputs, need {MAX_INPUTS[bits]} at most with "
                f"{bits}-bit sums; use --activation-bits 6 or --kernel portable"
            )
        blocks = []
        for first, last in _block_bounds(layer.weights.shape[0], DENSE16_MAX if bits == 16 else DENSE24_MAX):
            blocks.append(Block(last - first, first, len(rom)))
            rom += _block_bytes(layer.weights[first:last], layer.bias[first:last], bits)
        steps.append(
            TwinStep(
                bits=bits,
                inputs=layer.weights.shape[1],
                outputs=layer.weights.shape[0],
                source=source,
                target=target,
                multiplier=_fixed_shift_multiplier(layer, index, bits),
                levels=net.levels,
                blocks=tuple(blocks),
                density=layer.density,
            )
        )
    return AsmTwin(_front_end(net), tuple(steps), _checked(bytes(rom), "asm"))


def unrolled_twin(net: DeployedNet) -> UnrolledTwin:
    """Compile the dense layers; raise InputError where their sums need more than 16 bits."""
    sources = tuple(
        Source(
            weights=layer.weights.astype(np.int64),
            bias=layer.bias.astype(np.int64),
            multiplier=layer.requantiser.multiplier if layer.requantiser else 0,
            shift=layer.requantiser.shift if layer.requantiser else 0,
            levels=net.levels,
            source=source,
            target=target,
            density=layer.density.astype(np.float64),
        )
        for layer, source, target in _placed(net)
    )
    unrolled = unroll(sources)
    return UnrolledTwin(_front_end(net), unrolled, sources, _checked(unrolled.machine_code, "unrolled"))


def twin_arena_bytes(twin: AsmTwin | UnrolledTwin) -> int:
    """How far into the arena the twin's sums and activations reach."""
    if isinstance(twin, UnrolledTwin):
        return max((part.target + part.weights.shape[0] for part in twin.sources if part.multiplier), default=0)
    return max(step.target + step.sum_bytes * step.outputs for step in twin.steps)


def _checked(rom: bytes, kernel: str) -> bytes:
    """`rom`, unless it is larger than an object may be where pointers and sizes have 16 bits."""
    if len(rom) > MAX_ROM_BYTES:
        raise InputError(
            f"{kernel}: found {len(rom):,} bytes of weights, need {MAX_ROM_BYTES:,} at most; use --kernel portable, "
            "or a smaller --hidden"
        )
    return rom


def _placed(net: DeployedNet) -> list[tuple[Int8Dense, int, int]]:
    """(layer, source, target) with arena offsets: two regions in turn, the first at 0 behind which the features end."""
    layers = [layer for layer in net.layers if isinstance(layer, Int8Dense)]
    if net.format is not WeightFormat.INT8 or len(layers) != len(net.layers):
        raise InputError(
            f"kernel: found format {net.format.label}, need int8 for asm and unrolled; use --kernel portable"
        )
    height, width = net.input_shape
    sums = [4 * layer.weights.shape[0] for layer in layers]
    second = (max([(height // 2) * (width // 2), *sums[1::2]]) + 3) & ~3
    return [(layer, 0 if k % 2 == 0 else second, second if k % 2 == 0 else 0) for k, layer in enumerate(layers)]


def _front_end(net: DeployedNet) -> str | None:
    return "{}x{}".format(*net.input_shape) if net.input_shape in FRONT_END_SHAPES else None


def _sum_bits(layer: Int8Dense, index: int, levels: int) -> int:
    bounds = sum_bounds(layer.weights, layer.bias, levels)
    if fits_int16(bounds):
        return 16
    if bounds.min() < _LOWEST_24 or bounds.max() > _HIGHEST_24:
        raise InputError(
            f"asm: sums of layer {index + 1}: found {bounds.min()}..{bounds.max()}, need 24 bits; use --kernel portable"
        )
    return 24


def _block_bounds(outputs: int, limit: int) -> list[tuple[int, int]]:
    """As few blocks as the limit allows, sizes as even as they go, larger ones first."""
    count = -(-outputs // limit)
    sizes = [outputs // count + (1 if k < outputs % count else 0) for k in range(count)]
    ends = np.cumsum(sizes)
    return [(int(end) - size, int(end)) for size, end in zip(sizes, ends, strict=True)]


def _block_bytes(weights: NDArray[np.int8], bias: NDArray[np.int32], bits: int) -> bytes:
    """Biases, then the weights input by input."""
    input_major = np.ascontiguousarray(weights.T)
    if bits == 16:
        return bias.astype("<i2").tobytes() + input_major.tobytes()
    three_bytes = bias.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3]
    return three_bytes.tobytes() + (input_major.astype(np.int16) + 128).astype(np.uint8).tobytes()


def _fixed_shift_multiplier(layer: Int8Dense, index: int, bits: int) -> int:
    """The multiplier at the kernels' one shift; a smaller shift is a larger multiplier."""
    rule = layer.requantiser
    if rule is None:
        return 0
    fixed = 16 if bits == 16 else 24
    if rule.shift > fixed or rule.multiplier << (fixed - rule.shift) > 0xFFFF:
        raise InputError(
            f"asm: requantising layer {index + 1}: found multiplier {rule.multiplier} at shift {rule.shift}, need one "
            f"below 65536 at shift {fixed}; use --kernel portable"
        )
    return rule.multiplier << (fixed - rule.shift)
