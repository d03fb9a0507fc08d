"""A net as it is deployed: the very numbers that are flashed. Nothing here is rounded again, and nothing rounds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from host.nn.formats import WeightFormat


@dataclass(frozen=True)
class Requantiser:
    """Turns a hidden sum into an activation: clamp((sum·multiplier + 2^(shift−1)) >> shift, 0, levels)."""

    multiplier: int
    shift: int
    levels: int


@dataclass(frozen=True)
class Int8Dense:
    """weights int8 (outputs, inputs), bias int32 (outputs,); no requantiser on the last layer. `density` (inputs,) is
    how often each input is not zero on the training images: it predicts time and never enters a score."""

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    requantiser: Requantiser | None
    density: NDArray[np.float32]


@dataclass(frozen=True)
class FloatDense:
    """weights float32 or float16 (outputs, inputs), bias float32 (outputs,); `density` as in Int8Dense."""

    weights: NDArray[np.float32] | NDArray[np.float16]
    bias: NDArray[np.float32]
    relu: bool
    density: NDArray[np.float32]


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
            digest.update(little_endian(layer.weights))
            digest.update(little_endian(layer.bias))
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


def little_endian(array: NDArray[np.generic]) -> bytes:
    """The array's numbers as every board and host agrees to count them."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
