"""The hash of a network: over what determines its scores, never its provenance.

What files of versions 1 and 2 could hold has the hash that it had there, for firmware, README and the index of trained
models name it.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from host.nn.dense_chain import DenseNumbers, split
from host.nn.formats import FULL_TOP
from host.nn.given import Given
from host.nn.network import Network
from host.nn.numbers import little_endian
from host.nn.plain import to_plain


def content_hash(network: Network) -> str:
    """SHA-256, hexadecimal."""
    layers = None if network.given else split(network)
    return _of_layers(network) if layers is None else _of_dense_chain(network, layers)


def _of_layers(network: Network) -> str:
    """Over architecture, scaling, weights and ranges, and all that was trained for weight formats."""
    offset = network.scaling.offset
    fact = "by input" if isinstance(offset, np.ndarray) else offset
    facts = [to_plain(network.architecture), fact, network.scaling.divisor]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    if isinstance(offset, np.ndarray):
        digest.update(little_endian(offset.astype(np.int16)))
    for array in (network.parameters.flat.astype(np.float32), np.asarray(network.output_max, np.float64)):
        digest.update(little_endian(array))
    for result in sorted(network.qat, key=lambda result: (result.format, -result.top)):
        digest.update(result.format.encode() if result.top == FULL_TOP else f"{result.format}/{result.top}".encode())
        for steps in result.weight_steps:
            if steps is not None:
                digest.update(little_endian(steps.astype(np.float32)))
        digest.update(little_endian(np.asarray(result.output_steps, np.float64)))
        digest.update(little_endian(result.parameters.flat.astype(np.float32)))
    if network.given is not None:
        _add_given(digest, network.given)
    return digest.hexdigest()


def _add_given(digest: hashlib._Hash, given: Given) -> None:
    digest.update(f"given/{given.pool_center}".encode())
    for rows in given.layers:
        if rows is None:
            digest.update(b"-")
            continue
        digest.update(json.dumps([rows.scale, rows.zero, rows.low, rows.high]).encode())
        for array in (rows.weights, rows.bias, rows.multipliers, rows.exponents):
            digest.update(b"" if array is None else little_endian(array))


def _of_dense_chain(network: Network, layers: tuple[DenseNumbers, ...]) -> str:
    """As version 1 had it: over shapes, front end and weights, layer by layer."""
    facts = [network.image_shape, "preconv", network.top, [layer.weights.shape for layer in layers]]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for layer in layers:
        offset = np.zeros(0, np.int16) if layer.input_offset is None else layer.input_offset
        for array in (layer.weights, layer.bias, offset, np.float64(layer.output_max)):
            digest.update(little_endian(np.asarray(array)))
        if layer.weight_step:
            digest.update(little_endian(np.asarray(np.float64(layer.weight_step))))
    return digest.hexdigest()
