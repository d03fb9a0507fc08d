"""What Keras writes about a net in JSON, as plain data with every field checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.data.problem import one_line
from host.errors import InputError
from host.importers.base import refused

MAX_LISTED = 1000
"""Layers of Keras, of which many do nothing on a board."""
_DEEPEST = 12
"""Lists and objects within each other in what a layer says about where it stands."""
_SHOWN = 40
_KINDS = ("Sequential", "Functional", "Model")


@dataclass(frozen=True)
class Layer:
    """One layer of a file: its class, its name, and what was said when it was made."""

    path: Path
    kind: str
    name: str
    settings: dict[str, Any]
    index: int

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"layer {self.index} {self.kind} '{self.name}'"

    def wrong(self, found: str, need: str, do: str = "export the net again") -> InputError:
        """Returns (does not raise) a refusal of this layer."""
        return refused(self.path, self.place, found, need, do)

    def flag(self, name: str, default: bool) -> bool:
        value = self.settings.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(f"{name} {shown(value)}", "true or false")
        return value

    def whole(self, name: str, default: int) -> int:
        value = self.settings.get(name, default)
        if not _is_whole(value):
            raise self.wrong(f"{name} {shown(value)}", "a whole number")
        return int(value)

    def number(self, name: str, default: float) -> float:
        value = self.settings.get(name, default)
        value = default if value is None else value
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong(f"{name} {shown(value)}", "a number")
        return float(value)

    def text(self, name: str, default: str) -> str:
        value = self.settings.get(name, default)
        if not isinstance(value, str):
            raise self.wrong(f"{name} {shown(value)}", "a word")
        return value

    def sizes(self, name: str, count: int, default: int) -> tuple[int, ...]:
        """`count` whole numbers from 1, of which one stands for all."""
        value = self.settings.get(name)
        value = default if value is None else value
        found = [value] * count if _is_whole(value) else value
        if (
            not isinstance(found, list)
            or len(found) != count
            or not all(_is_whole(each) and each > 0 for each in found)
        ):
            raise self.wrong(f"{name} {shown(value)}", f"{count} whole numbers from 1")
        return tuple(found)


def layers_of(path: Path, text: str) -> list[Layer]:
    """The layers of a net in the order of the data; raise InputError where they are no chain."""
    described = json.loads(text)
    if not isinstance(described, dict):
        raise refused(path, "config", shown(described), "an object", "save the net again with model.save()")
    kind, config = described.get("class_name"), described.get("config")
    listed = config.get("layers") if isinstance(config, dict) else config
    if kind in _KINDS and not isinstance(listed, list):
        found = f"a {kind} without its layers"
        raise refused(path, "config", found, "the list of them", "save the whole net again with model.save()")
    if kind not in _KINDS or not isinstance(listed, list):
        found = f"a model of class {shown(kind)}"
        need = "Sequential, or a Functional model that is a chain"
        raise refused(path, "config", found, need, "rebuild the net as keras.Sequential and copy the weights")
    if len(listed) > MAX_LISTED:
        raise refused(path, "config", f"{len(listed)} layers", f"at most {MAX_LISTED}", "give a smaller net")
    layers = [_layer(path, each, index) for index, each in enumerate(listed)]
    if kind == "Sequential":
        given = config.get("build_input_shape") if isinstance(config, dict) else None
        return layers if layers and layers[0].kind == "InputLayer" else [_input(path, layers, given), *layers]
    return _in_order(path, layers, listed)


def shown(value: object) -> str:
    """A value out of a file as a message holds it."""
    text = one_line(str(value))
    return f"'{text[:_SHOWN]}…'" if len(text) > _SHOWN else f"'{text}'"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31


def _layer(path: Path, described: Any, index: int) -> Layer:
    config = described.get("config") if isinstance(described, dict) else None
    kind = described.get("class_name") if isinstance(described, dict) else None
    if not isinstance(kind, str) or not isinstance(config, dict):
        found = shown(described)
        raise refused(path, f"layer {index}", found, "class_name and config", "save the net again with model.save()")
    name = config.get("name", kind)
    if not isinstance(name, str):
        raise refused(path, f"layer {index}", f"the name {shown(name)}", "a text", "save the net again")
    return Layer(path, shown(kind)[1:-1], name, config, index)


def _input(path: Path, layers: list[Layer], shape: Any) -> Layer:
    """What older files say about the input stands in the first layer."""
    first = layers[0].settings if layers else {}
    known = first.get("batch_input_shape", first.get("batch_shape", shape))
    return Layer(path, "InputLayer", "input", {"batch_shape": known}, 0)


def _in_order(path: Path, layers: list[Layer], listed: list[Any]) -> list[Layer]:
    sources = [_names(each.get("inbound_nodes"), 0) for each in listed]
    behind: dict[str, Layer] = {}
    first = None
    for layer, names in zip(layers, sources, strict=True):
        if not names:
            if first is not None or layer.kind != "InputLayer":
                raise layer.wrong("it beside another input", "one input", "rebuild the net with one")
            first = layer
        elif len(names) > 1:
            raise layer.wrong(f"{len(names)} inputs", "a chain of layers", "train a net without branches")
        elif names[0] in behind:
            found = f"it behind {shown(names[0])}, as {behind[names[0]].place} is"
            raise layer.wrong(found, "a chain of layers", "train a net without branches")
        else:
            behind[names[0]] = layer
    ordered = [first] if first is not None else []
    while ordered and (following := behind.get(ordered[-1].name)) is not None and len(ordered) <= len(layers):
        ordered.append(following)
    if len(ordered) != len(layers) or not ordered:
        raise refused(path, "config", "layers apart from the others", "one chain", "save the net again")
    return ordered


def _names(value: Any, depth: int) -> list[str]:
    """Whose outputs a layer takes, however the version of Keras wrote it."""
    if depth > _DEEPEST:
        return []
    if isinstance(value, dict):
        history = value.get("keras_history")
        if isinstance(history, list) and history and isinstance(history[0], str):
            return [history[0]]
        value = list(value.values())
    if not isinstance(value, list):
        return []
    if len(value) >= 3 and isinstance(value[0], str) and _is_whole(value[1]) and _is_whole(value[2]):
        return [value[0]]
    return [name for each in value for name in _names(each, depth + 1)]
