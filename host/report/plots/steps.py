"""What a net makes of one digit, step by step, and which classes it answers: as trained, or as it is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.deploy.deployment import AnyNet, AnyNetwork, check_format, float_scores, formats, infer, plain_plan
from host.deploy.learned_nets import ConvStage, LearnedNet, PoolStage, Stage
from host.deploy.learned_reference import activations
from host.deploy.nets import DeployedNet, Int8Dense
from host.deploy.old_networks import is_learned
from host.deploy.reference import layer_inputs
from host.errors import InputError
from host.nn import numpy as layers
from host.nn.layers import AveragePool2d, Conv2d, Dense, Flatten, LayerSpec, MaxPool2d, ReLU
from host.nn.preconv import convolve, maxpool, preconv_features
from host.quantise.numerics import WeightFormat

GAUSSIAN = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
"""The front end's kernel, in sixteenths."""


@dataclass(frozen=True, eq=False)
class Step:
    """Values after a step: maps (channels, height, width) or a vector (units,)."""

    name: str
    values: NDArray[Any]


def deployed(network: AnyNetwork, fmt: WeightFormat) -> AnyNet | None:
    """The net as a board holds it; None for the float32 of learned kernels, which is measured as trained.

    Raise InputError where the net cannot have that format.
    """
    if fmt in formats(network):
        return plain_plan(network, fmt).net
    if fmt is WeightFormat.FLOAT32:
        return None
    if not is_learned(network):
        check_format(network, fmt)
    names = ", ".join(known.label for known in (WeightFormat.FLOAT32, *formats(network)))
    raise InputError(f"{fmt.label}: found a net of learned kernels, need {names} for it; choose one of them")


def predicted(network: AnyNetwork, fmt: WeightFormat, images: NDArray[np.uint8]) -> NDArray[np.integer]:
    """Classes (N,) for u8 images (N, H, W)."""
    net = deployed(network, fmt)
    return float_scores(network, images).argmax(axis=1) if net is None else infer(net, images).classes


def steps(network: AnyNetwork, fmt: WeightFormat, image: NDArray[np.uint8]) -> tuple[Step, ...]:
    """From the u8 image (H, W) to the scores, both included."""
    net = deployed(network, fmt)
    if net is None:
        behind = _trained(network, image)
    else:
        behind = _learned(net, image) if isinstance(net, LearnedNet) else _preconv(net, image)
    return (Step("image", image[None]), *behind)


def _preconv(net: DeployedNet, image: NDArray[np.uint8]) -> list[Step]:
    blurred = convolve(image, GAUSSIAN, padding=1)
    found = [Step("Gaussian 3×3, sixteenths", blurred[None]), Step("max-pool 2×2", maxpool(blurred, 2, 2)[None])]
    features = preconv_features(image[None], net.levels)
    height, width = (side // 2 for side in image.shape)
    found.append(Step(f"normalised, 0..{net.levels}", features.reshape(1, height, width)))
    hidden = _hidden(net, features)
    found += [Step("dense + ReLU", values) for values in hidden]
    return [*found, Step("scores", infer(net, image[None]).scores[0])]


def _hidden(net: DeployedNet, features: NDArray[np.uint8]) -> list[NDArray[Any]]:
    """The activations (units,) of every layer but the last, for features (1, inputs)."""
    if isinstance(net.layers[0], Int8Dense):
        return [values[0] for values in layer_inputs(net, features)[1:]]
    values: NDArray[Any] = features[0].astype(np.float32)
    found = []
    for layer in net.layers[:-1]:
        values = np.maximum(layer.weights.astype(np.float32) @ values + layer.bias, 0)
        found.append(values)
    return found


def _learned(net: LearnedNet, image: NDArray[np.uint8]) -> list[Step]:
    values: NDArray[np.uint8] = image[None, None]
    found = []
    for stage in net.stages[:-1]:
        values = activations(stage, values)
        found.append(Step(_stage_name(stage), values[0]))
    return [*found, Step("scores", infer(net, image[None]).scores[0])]


def _stage_name(stage: Stage) -> str:
    if isinstance(stage, ConvStage):
        pool = f" + max-pool {stage.pool}×{stage.pool}" if stage.pool > 1 else ""
        return f"convolution {stage.kernel}×{stage.kernel} + ReLU{pool}"
    if isinstance(stage, PoolStage):
        return _pool_name("mean" if stage.is_average else "max", (stage.size,) * 2, (stage.stride,) * 2)
    return "dense + ReLU"


def _trained(network: AnyNetwork, image: NDArray[np.uint8]) -> list[Step]:
    """A step for each layer, a ReLU together with the layer before it."""
    specs = network.architecture.layers
    outputs: list[NDArray[Any]] = []
    net = layers.Sequential(network.parameters, 1)
    layers.observe(net, network.scaling.apply(image[None]), lambda index, values: outputs.append(values[..., 0].copy()))
    found: list[Step] = []
    for index, layer in enumerate(specs[:-1]):
        followed = isinstance(specs[index + 1], ReLU)
        if not isinstance(layer, Flatten) and not followed:
            joined = isinstance(layer, ReLU) and index > 0 and isinstance(specs[index - 1], Conv2d | Dense)
            name = f"{_layer_name(specs[index - 1])} + ReLU" if joined else _layer_name(layer)
            found.append(Step(name, outputs[index]))
    return [*found, Step("scores", outputs[-1])]


def _layer_name(layer: LayerSpec) -> str:
    if isinstance(layer, Conv2d):
        return "convolution {}×{}".format(*layer.kernel_size)
    if isinstance(layer, MaxPool2d):
        return _pool_name("max", layer.window, layer.strides)
    if isinstance(layer, AveragePool2d):
        return _pool_name("mean", layer.window, layer.strides)
    return {"Dense": "dense"}.get(type(layer).__name__, type(layer).__name__)


def _pool_name(kind: str, window: tuple[int, int], strides: tuple[int, int]) -> str:
    size, stride = ("×".join(map(str, sides)) for sides in (window, strides))
    apart = "" if strides == window else f", stride {strides[0] if len(set(strides)) == 1 else stride}"
    return f"{kind}-pool {size}{apart}"
