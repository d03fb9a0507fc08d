"""Architectures as dictionaries, lists, strings and numbers, for JSON: part of a net's hash, so that what could be said
before is said as it was."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

from host.errors import InputError
from host.nn.layers import Architecture, LayerSpec, MaxPool2d, ReLU

_BY_NAME: Mapping[str, Any] = {kind.__name__: kind for kind in get_args(LayerSpec)}


def to_plain(architecture: Architecture) -> dict[str, Any]:
    """Return what `from_plain` reads."""
    layers = [_plain_layer(layer) for layer in architecture.layers]
    return {"input_shape": list(architecture.input_shape), "layers": layers}


def from_plain(value: Mapping[str, Any]) -> Architecture:
    """Return the architecture that `to_plain` describes. Raises InputError on anything else."""
    try:
        channels, height, width = (int(side) for side in value["input_shape"])
        return Architecture((channels, height, width), tuple(_layer(entry) for entry in value["layers"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        advice = "use what `to_plain` returned"
        raise InputError(
            f"architecture: description: found {error!r}, need input_shape and layers; {advice}"
        ) from error


def _plain_layer(layer: LayerSpec) -> dict[str, Any]:
    fields = {name: _listed(value) for name, value in asdict(layer).items()}
    # As before pools had a stride and ReLUs a limit.
    if isinstance(layer, MaxPool2d) and layer.stride == layer.size:
        del fields["stride"]
    if isinstance(layer, ReLU) and layer.limit is None:
        del fields["limit"]
    return {"kind": type(layer).__name__, **fields}


def _listed(value: Any) -> Any:
    return [_listed(part) for part in value] if isinstance(value, tuple) else value


def _layer(entry: Mapping[str, Any]) -> LayerSpec:
    fields = {name: value for name, value in entry.items() if name != "kind"}
    layer: LayerSpec = _BY_NAME[entry["kind"]](**fields)
    return layer
