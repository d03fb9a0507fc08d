"""The two files that Keras writes: HDF5 with all in it (.h5), or a zip of JSON and HDF5 (.keras)."""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from host.data.hdf5 import MAGIC, only_hard_links, unread_filter
from host.data.sandbox import Grant
from host.importers.base import refused
from host.importers.keras.config import Layer, layers_of, shown
from host.nn.limits import MAX_ELEMENTS, MAX_FILE_BYTES

Weights = dict[str, NDArray[Any]]
MAX_CONFIG_BYTES = 4 << 20
_MOST_NAMES = 64
"""Arrays of one layer."""
AGAIN = "save the whole net again with model.save()"
_RENAMED = {("DepthwiseConv2D", "depthwise_kernel"): "kernel"}
"""What Keras 2 called an array, and Keras 3 does."""
_FOLDERS = ("layers", "_layer_checkpoint_dependencies")
"""Where the weights of a .keras file lie: Keras 3, and the first that TensorFlow's Keras wrote."""


@dataclass(frozen=True)
class Saved:
    """A file that is open: its layers, and the arrays of each by their names, such as kernel and bias."""

    layers: list[Layer]
    weights_of: Callable[[Layer, tuple[str, ...]], Weights]
    """Of a layer and the names that it should have, in the order in which Keras makes them."""


@contextmanager
def opened(path: Path, grant: Grant) -> Iterator[Saved]:
    """Either kind of file."""
    with path.open("rb") as raw:
        is_hdf5 = raw.read(len(MAGIC)) == MAGIC
    with _hdf5(path, grant) if is_hdf5 else _zip(path, grant) as saved:
        yield saved


@contextmanager
def _hdf5(path: Path, grant: Grant) -> Iterator[Saved]:
    with h5py.File(path, "r") as file:
        _check_links(path, file)
        if "format_version" in file.attrs:
            do = "give it to the commands as it is"
            raise refused(path, "file", "a model of digitduino already", "a net of another tool", do)
        if "model_config" not in file.attrs:
            found = "weights alone" if "layer_names" in file.attrs or "layers" in file else "no model_config"
            raise refused(path, "file", found, "the net with its layers", AGAIN)
        layers = layers_of(path, _text(path, file.attrs["model_config"]))
        reader = _Arrays(path, grant)

        def weights_of(layer: Layer, names: tuple[str, ...]) -> Weights:
            group = reader.member(reader.member(file, "model_weights", h5py.Group), layer.name, h5py.Group)
            listed = group.attrs.get("weight_names", ())
            if len(listed) > _MOST_NAMES:
                raise layer.wrong(f"{len(listed)} arrays", f"at most {_MOST_NAMES}")
            found = {}
            for each in (_text(path, each) for each in listed):
                name = each.split("/")[-1].split(":")[0]
                name = _RENAMED.get((layer.kind, name), name)
                found[name] = reader.array(reader.member(group, each, h5py.Dataset), layer)
            return found

        yield Saved(layers, weights_of)


@contextmanager
def _zip(path: Path, grant: Grant) -> Iterator[Saved]:
    with zipfile.ZipFile(path) as archive:
        layers = layers_of(path, _text(path, _read(path, archive, "config.json", MAX_CONFIG_BYTES, grant)))
        stored = _read(path, archive, "model.weights.h5", MAX_FILE_BYTES, grant)
    numbered = _numbered(layers)
    with h5py.File(io.BytesIO(stored), "r") as file:
        _check_links(path, file)
        reader = _Arrays(path, grant)

        def weights_of(layer: Layer, names: tuple[str, ...]) -> Weights:
            folder = next((each for each in _FOLDERS if each in file), _FOLDERS[0])
            group = reader.member(file, folder, h5py.Group)
            vars_of = reader.member(reader.member(group, numbered[layer.index], h5py.Group), "vars", h5py.Group)
            if len(vars_of) != len(names):
                raise layer.wrong(f"{len(vars_of)} arrays", f"{len(names)}: {', '.join(names)}")
            return {
                name: reader.array(reader.member(vars_of, str(at), h5py.Dataset), layer)
                for at, name in enumerate(names)
            }

        yield Saved(layers, weights_of)


class _Arrays:
    """Reads numbers out of HDF5, each array looked at before it is read."""

    def __init__(self, path: Path, grant: Grant) -> None:
        self._path, self._grant = path, grant

    def member(self, group: Any, name: str, kind: type) -> Any:
        found = group.get(name)
        if not isinstance(found, kind):
            what = "a group" if kind is h5py.Group else "a dataset"
            held = "nothing" if found is None else f"a {type(found).__name__}"
            raise refused(self._path, shown(f"{group.name.rstrip('/')}/{name}"), held, what, AGAIN)
        return found

    def array(self, dataset: Any, layer: Layer) -> NDArray[Any]:
        if dataset.is_virtual or dataset.external:
            raise layer.wrong("numbers kept in other files", "numbers in the file itself", AGAIN)
        if (unread := unread_filter(dataset)) is not None:
            raise layer.wrong(f"filter {unread}", "gzip or none", AGAIN)
        if dataset.dtype.kind not in "iuf" or dataset.shape is None:
            raise layer.wrong(f"values of type {dataset.dtype}", "plain numbers", "save the net as float32")
        size = max(math.prod(each) for each in (dataset.shape, dataset.chunks or ()))
        if size > MAX_ELEMENTS:
            raise layer.wrong(f"{size:,} numbers", f"at most {MAX_ELEMENTS:,}", "give a smaller net")
        self._grant(size * dataset.dtype.itemsize)
        return np.asarray(dataset[()])


def _numbered(layers: list[Layer]) -> dict[int, str]:
    """The name under which a .keras file keeps each layer's numbers: its class, and which of that class it is."""
    seen: Counter[str] = Counter()
    found = {}
    for layer in sorted(layers, key=lambda each: each.index):
        name = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", layer.kind)).lower()
        found[layer.index] = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
    return found


def _read(path: Path, archive: zipfile.ZipFile, name: str, most: int, grant: Grant) -> bytes:
    if name not in archive.namelist():
        raise refused(path, "file", f"no {name}", "a .keras file", AGAIN)
    size = archive.getinfo(name).file_size
    if size > most:
        raise refused(path, name, f"{size:,} bytes", f"at most {most:,}", "give a smaller net")
    grant(size)
    with archive.open(name) as member:
        return member.read(most)


def _text(path: Path, value: Any) -> str:
    text = value.decode("utf-8") if isinstance(value, bytes) else value
    if not isinstance(text, str) or len(text) > MAX_CONFIG_BYTES:
        raise refused(path, "config", shown(type(value).__name__), f"a text of at most {MAX_CONFIG_BYTES:,}", AGAIN)
    return text


def _check_links(path: Path, file: Any) -> None:
    if not only_hard_links(file):
        found = "one that leads elsewhere, or thousands"
        raise refused(path, "links", found, "every array in this file", AGAIN)
