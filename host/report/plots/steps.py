"""What a net makes of one digit, step by step, and which classes it answers: as trained, or as it is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.compile.exports import lowered, refusal
from host.errors import InputError
from host.nn import numpy as layers
from host.nn.fixed import codes
from host.nn.formats import WeightFormat
from host.nn.layers import PRECONV_KERNEL, AveragePool2d, Conv2d, Dense, Flatten, LayerSpec, MaxPool2d, ReLU
from host.nn.network import Network, float_scores
from host.nn.preconv import convolve
from host.nn.windows import largest
from host.quantise import ops
from host.quantise.graph import Graph
from host.quantise.reference import activations, as_maps, infer


@dataclass(frozen=True, eq=False)
class Step:
    """Values after a step: maps (channels, height, width) or a vector (units,)."""

    name: str
    values: NDArray[Any]


def deployed(network: Network, fmt: WeightFormat) -> Graph | None:
    """The net as a board holds it; None for float32 that no board can hold, which is measured as trained.

    Raise InputError where the net cannot have that format.
    """
    reason = refusal(network, fmt)
    if reason is None:
        return lowered(network, fmt)
    if fmt is WeightFormat.FLOAT32:
        return None
    raise InputError(reason)


def predicted(network: Network, fmt: WeightFormat, images: NDArray[np.uint8]) -> NDArray[np.integer]:
    """Classes (N,) for u8 images (N, H, W)."""
    graph = deployed(network, fmt)
    return float_scores(network, images).argmax(axis=1) if graph is None else infer(graph, images).classes


def steps(network: Network, fmt: WeightFormat, image: NDArray[np.uint8]) -> tuple[Step, ...]:
    """From the u8 image (H, W) to the scores, both included."""
    graph = deployed(network, fmt)
    behind = _trained(network, image) if graph is None else _of_graph(graph, image)
    return (Step("image", image[None]), *behind)


def _of_graph(graph: Graph, image: NDArray[np.uint8]) -> list[Step]:
    values: NDArray[Any] = as_maps(image[None])
    found = []
    for op in graph.ops[:-1]:
        if isinstance(op, ops.Preconv):
            blurred = convolve(image[None], PRECONV_KERNEL, padding=1)
            found.append(Step("Gaussian 3×3, sixteenths", blurred))
            found.append(Step("max-pool 2×2", largest(blurred, (2, 2), (2, 2))))
        values = activations(op, values)
        found.append(Step(_op_name(op), values[0]))
    return [*found, Step("scores", infer(graph, image[None]).scores[0])]


def _op_name(op: ops.Op) -> str:
    if isinstance(op, ops.Preconv):
        return f"normalised, 0..{op.top}"
    if isinstance(op, ops.Conv):
        pool = f" + max-pool {_sides(op.pool)}" if op.pool != (1, 1) else ""
        return f"convolution {_sides(op.kernel)} + ReLU{pool}"
    if isinstance(op, ops.Pool):
        return _pool_name("mean" if op.is_average else "max", op.size, op.strides)
    return "dense + ReLU"


def _trained(network: Network, image: NDArray[np.uint8]) -> list[Step]:
    """What the fixed layers make of it, then a step for each layer, a ReLU together with the layer before it."""
    specs = network.architecture.layers
    inputs = codes(network.architecture, image[None])
    found = [Step("fixed front end", inputs[0])] if network.fixed else []
    outputs: dict[int, NDArray[Any]] = {}

    def keep(index: int, values: NDArray[Any]) -> None:
        outputs[index] = values[..., 0].copy()

    layers.observe(layers.Sequential(network.parameters, 1), network.scaling.apply(inputs), keep)
    for index, layer in enumerate(specs[:-1]):
        followed = isinstance(specs[index + 1], ReLU)
        if index in outputs and not isinstance(layer, Flatten) and not followed:
            joined = isinstance(layer, ReLU) and index > 0 and isinstance(specs[index - 1], Conv2d | Dense)
            name = f"{_layer_name(specs[index - 1])} + ReLU" if joined else _layer_name(layer)
            found.append(Step(name, outputs[index]))
    return [*found, Step("scores", outputs[len(specs) - 1])]


def _layer_name(layer: LayerSpec) -> str:
    if isinstance(layer, Conv2d):
        return f"convolution {_sides(layer.kernel_size)}"
    if isinstance(layer, MaxPool2d):
        return _pool_name("max", layer.window, layer.strides)
    if isinstance(layer, AveragePool2d):
        return _pool_name("mean", layer.window, layer.strides)
    return {"Dense": "dense"}.get(type(layer).__name__, type(layer).__name__)


def _pool_name(kind: str, size: ops.Pair, strides: ops.Pair) -> str:
    return f"{kind}-pool {_sides(size)}" + ("" if strides == size else f", stride {strides[0]}")


def _sides(pair: ops.Pair) -> str:
    return f"{pair[0]}×{pair[1]}"
