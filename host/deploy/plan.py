"""The layer table of a deployed net: what runs in which order, where each result lies, how wide each sum must be.

Everything is decided here and in `twin`; the templates only write it down. Invalid shapes and sums are refused here.
A plan always holds the portable program, which every compiler understands, and where the kernel asks for it the AVR
twin, which takes its place on an AVR. Both compute the same bits.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.deploy.nets import DeployedNet, Int8Dense, Requantiser, little_endian
from host.deploy.twin import AsmTwin, UnrolledTwin, asm_twin, twin_arena_bytes, unrolled_twin
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.quantise.numerics import fits_int16, sum_bounds

ABI = 1
"""Must equal nn.h's NN_ABI; the rendered header refuses to compile otherwise."""
KERNELS = ("portable", "asm", "unrolled")
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
    twin: AsmTwin | UnrolledTwin | None

    @property
    def program(self) -> str:
        """The template of the portable program."""
        return "model_net_portable.j2"

    @property
    def twin_program(self) -> str:
        """The template of the AVR's program."""
        return f"model_net_{self.kernel}.j2"

    @property
    def title(self) -> str:
        """Layer sizes for people, such as 64-40-10."""
        return "-".join(map(str, [self.steps[0].inputs, *(step.outputs for step in self.steps)]))

    @property
    def classes(self) -> int:
        return self.steps[-1].outputs

    @property
    def image_bytes(self) -> int:
        height, width = self.net.input_shape
        return height * width

    @property
    def image_at(self) -> None:
        """The image has a slot of its own."""
        return None

    @property
    def portable_marks(self) -> tuple[str, ...]:
        """What a profiling build of the portable program measures, in order."""
        return ("front end", *(f"dense {step.inputs}-{step.outputs}" for step in self.steps))

    @property
    def marks(self) -> tuple[str, ...]:
        """What a profiling build measures on an AVR, in order."""
        if isinstance(self.twin, UnrolledTwin):
            return ("front end", "dense layers as code")
        return self.portable_marks

    @property
    def macs(self) -> int:
        return sum(step.inputs * step.outputs for step in self.steps)

    @property
    def rom(self) -> bytes:
        """The portable program's `model_rom` as it lies in memory: biases, then weights, padded to four."""
        blob = b"".join(little_endian(step.bias) for step in self.steps)
        blob += b"".join(little_endian(step.weights) for step in self.steps)
        return blob + bytes(self.rom_padding)

    @property
    def rom_padding(self) -> int:
        return -sum(step.bias.nbytes + step.weights.nbytes for step in self.steps) % 4

    @property
    def flash_rom(self) -> bytes:
        """What vouches for the weights in an AVR's flash: the twin's where there is one."""
        return self.rom if self.twin is None else self.twin.rom

    @property
    def weights_crcs(self) -> tuple[int, ...]:
        """What READY may answer: the CRC-32 of the portable program's numbers, or of the twin's."""
        return tuple(zlib.crc32(rom) for rom in ([self.rom] if self.twin is None else [self.rom, self.twin.rom]))


def plan(net: DeployedNet, kernel: str = "portable") -> Plan:
    """Lay out `net`; raise InputError for a kernel that does not exist or cannot run this net, or a sum that no
    accumulator holds."""
    if kernel not in KERNELS:
        raise InputError(f"kernel: found {kernel!r}, need auto, {', '.join(KERNELS)}; leave --kernel out for the best")
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
    twin = {"portable": lambda _: None, "asm": asm_twin, "unrolled": unrolled_twin}[kernel](net)
    arena = _aligned(max(2 * count, first + second, 0 if twin is None else twin_arena_bytes(twin)))
    return Plan(net, kernel, tuple(steps), arena, twin)


def _accumulator_bits(layer: Int8Dense, index: int, levels: int) -> int:
    """The narrowest of 16 and 32 bits that provably holds every final sum; wrap on the way is harmless."""
    bounds = sum_bounds(layer.weights, layer.bias, levels)
    lowest, highest = int(bounds.min()), int(bounds.max())
    rule = layer.requantiser
    scaled = highest if rule is None else highest * rule.multiplier + (1 << (rule.shift - 1))
    if lowest < -(2**31) or highest >= 2**31 or (rule is not None and scaled >= 2**32):
        raise InputError(
            f"int8: sums of layer {index + 1}: found {lowest}..{highest}, need 32 bits; train smaller weights"
        )
    return 16 if fits_int16(bounds) else 32


def _aligned(size: int) -> int:
    return (size + 3) & ~3
