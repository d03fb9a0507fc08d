"""Nets of dense layers behind the fixed front end of seed 000, written down layer by layer, as files of version 1
and their hashes have always described them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.nn.layers import Architecture, Dense, Flatten, LayerSpec, ReLU, preconv_layers
from host.nn.network import Calibration, Network, Provenance, QatResult, Scaling
from host.nn.parameters import empty


@dataclass(frozen=True, eq=False)
class DenseNumbers:
    """A fully connected layer: sum = bias + weights @ (x − input_offset), followed by ReLU except in the last layer.

    For the first layer x are the codes 0..top of the front end, for the others the activations of the layer before;
    only the first has an offset. `output_max` and `weight_step`, one for all rows, are those of Network and QatResult.
    """

    weights: NDArray[np.float32]  # (out, in)
    bias: NDArray[np.float32]  # (out,)
    input_offset: NDArray[np.int16] | None = None  # (in,); None means zeros
    output_max: float = 0.0
    weight_step: float = 0.0  # 0: the quantiser chooses


def join(
    image_shape: tuple[int, int],
    top: int,
    layers: Sequence[DenseNumbers],
    labels: tuple[str, ...],
    provenance: Provenance,
    calibrations: tuple[Calibration, ...] = (),
) -> Network:
    """Return the network of these layers behind a front end with codes of 0..top. Either all layers have a step or none
    does. Raises InputError where they do not fit each other."""
    specs: list[LayerSpec] = [*preconv_layers(top), Flatten()]
    places = []
    for layer in layers:
        places.append(len(specs))
        specs += [Dense(len(layer.bias)), ReLU()]
    parameters = empty(Architecture((1, *image_shape), tuple(specs[:-1])))
    output_max = [0.0] * (len(specs) - 1)
    for place, layer in zip(places, layers, strict=True):
        parameters.of(place)["weights"][...] = layer.weights
        parameters.of(place)["bias"][...] = layer.bias
        output_max[min(place + 1, len(output_max) - 1)] = layer.output_max
    offset = layers[0].input_offset
    network = Network(
        parameters,
        Scaling(0 if offset is None else offset, 1.0),
        labels,
        provenance,
        tuple(output_max),
        calibrations,
    )
    steps = {place: layer.weight_step for place, layer in zip(places, layers, strict=True)}
    return network if not any(steps.values()) else _with_steps(network, steps)


def _with_steps(network: Network, steps: dict[int, float]) -> Network:
    """Return a network whose int8 weights shall count in `steps`, by the index of the layer."""
    count = len(network.architecture.layers)
    rows: list[NDArray[np.float32] | None] = [None] * count
    for index, step in steps.items():
        rows[index] = np.full(len(network.parameters.of(index)["bias"]), step, np.float32)
    result = QatResult("int8", network.parameters, tuple(rows), (0.0,) * count, network.top)
    return Network(
        *(network.parameters, network.scaling, network.labels, network.provenance, network.output_max),
        network.calibrations,
        (result,),
    )


def split(network: Network) -> tuple[DenseNumbers, ...] | None:
    """Return the layers from which `join` makes this network; None where it makes no such network."""
    specs, last = network.architecture.layers, len(network.architecture.layers) - 1
    places = range(network.fixed + 1, last + 1, 2)
    chain = (*preconv_layers(network.top), Flatten())
    for place in places:
        chain += (Dense(network.architecture.shapes[place + 1][0]), ReLU())
    offset = network.scaling.offset
    is_plain = isinstance(offset, np.ndarray) or offset == 0
    if specs != chain[:-1] or network.input_shape[0] != 1 or network.scaling.divisor != 1.0 or not is_plain:
        return None
    steps = _one_step_a_layer(network)
    if steps is None:
        return None
    return tuple(
        DenseNumbers(
            **network.parameters.of(place),
            input_offset=offset if isinstance(offset, np.ndarray) and place == places[0] else None,
            output_max=network.output_max[min(place + 1, last)],
            weight_step=steps.get(place, 0.0),
        )
        for place in places
    )


def _one_step_a_layer(network: Network) -> dict[int, float] | None:
    """Return the steps of weights that were trained for int8 as they are, by layer; nothing where none were. None where
    the network holds other results of quantisation-aware training."""
    if not network.qat:
        return {}
    if len(network.qat) > 1:
        return None
    result = network.qat[0]
    one_a_layer = all(rows is None or np.all(rows == rows[0]) for rows in result.weight_steps)
    same = np.array_equal(result.parameters.flat, network.parameters.flat)
    if (result.format, result.top) != ("int8", network.top) or any(result.output_steps) or not (one_a_layer and same):
        return None
    return {index: float(rows[0]) for index, rows in enumerate(result.weight_steps) if rows is not None}
