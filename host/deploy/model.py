"""The model file: HDF5, written whole or not at all, read with every field checked, no pickle anywhere.

/                 attributes: format_version, input_shape, front_end, levels, labels, content_hash
/layers/0, 1, …   weights float32 (out, in), bias float32 (out,), optional input_offset int16 (in,);
                  attribute output_max, and weight_step where the weights were trained on one
/calibrations/63… attribute accuracy; densities/0, 1, … float32 (in,), one a layer
/provenance       attributes: dataset, dataset_sha256, preset, seed, engine; groups history, metrics
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from host.atomic import replacing
from host.deploy.quantise import LEVELS
from host.errors import InputError
from host.train.network import Calibration, Dense, Network, Provenance

FORMAT_VERSION = 1
MAX_FILE_BYTES = 64 << 20
MAX_LAYERS = 32
MAX_ELEMENTS = 1 << 22


def content_hash(network: Network) -> str:
    """SHA-256, hexadecimal, over what determines the scores: shapes, front end, weights; not the provenance."""
    facts = [network.input_shape, network.front_end, network.levels, [layer.weights.shape for layer in network.layers]]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for layer in network.layers:
        offset = np.zeros(0, np.int16) if layer.input_offset is None else layer.input_offset
        for array in (layer.weights, layer.bias, offset, np.float64(layer.output_max)):
            digest.update(np.asarray(array).astype(np.asarray(array).dtype.newbyteorder("<")).tobytes())
        if layer.weight_step:
            digest.update(np.array(layer.weight_step, "<f8").tobytes())
    return digest.hexdigest()


def save(network: Network, path: Path) -> None:
    """Write `network` to `path` atomically; raise InputError where it cannot be written."""
    with replacing(path) as temporary:
        # Times are left out so that the same model gives the same bytes.
        with h5py.File(temporary, "w", track_order=False) as file:
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["input_shape"] = np.array(network.input_shape, np.int64)
            file.attrs["front_end"] = network.front_end
            file.attrs["levels"] = network.levels
            file.attrs["labels"] = json.dumps(network.labels)
            file.attrs["content_hash"] = content_hash(network)
            for index, layer in enumerate(network.layers):
                _save_layer(file.create_group(f"layers/{index}"), layer)
            for known in network.calibrations:
                _save_calibration(file.create_group(f"calibrations/{known.levels}"), known)
            _save_provenance(file.create_group("provenance"), network.provenance)


def load(path: Path) -> Network:
    """Read and check a model; raise InputError naming the file, the field and the mend."""
    if not path.is_file():
        raise InputError(f"{path}: no such model file; train one with `host train -o {path.name}`")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path}: found {path.stat().st_size:,} bytes, need at most {MAX_FILE_BYTES:,}; not a model")
    try:
        with h5py.File(path, "r") as file:
            return _Reader(path).network(file)
    except InputError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: not a readable model file ({reason}); train it again with `host train`") from error


def _save_layer(group: h5py.Group, layer: Dense) -> None:
    group.create_dataset("weights", data=layer.weights.astype(np.float32))
    group.create_dataset("bias", data=layer.bias.astype(np.float32))
    if layer.input_offset is not None:
        group.create_dataset("input_offset", data=layer.input_offset.astype(np.int16))
    group.attrs["output_max"] = float(layer.output_max)
    if layer.weight_step:
        group.attrs["weight_step"] = float(layer.weight_step)


def _save_calibration(group: h5py.Group, known: Calibration) -> None:
    group.attrs["accuracy"] = known.accuracy
    for index, density in enumerate(known.densities):
        group.create_dataset(f"densities/{index}", data=density.astype(np.float32))


def _save_provenance(group: h5py.Group, provenance: Provenance) -> None:
    for field in ("dataset", "dataset_sha256", "preset", "seed", "engine"):
        group.attrs[field] = getattr(provenance, field)
    for name, values in sorted(provenance.history.items()):
        group.create_dataset(f"history/{name}", data=np.asarray(values, np.float64))
    for name, value in sorted(provenance.metrics.items()):
        group.require_group("metrics").attrs[name] = float(value)


class _Reader:
    """Reads one file field by field, so that each complaint can name the file and the field."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def network(self, file: h5py.File) -> Network:
        version = self._attribute(file, "format_version")
        if version != FORMAT_VERSION:
            raise self._wrong("format_version", version, str(FORMAT_VERSION), "train the model again with this version")
        count = len(self._group(file, "layers"))
        if not 1 <= count <= MAX_LAYERS:
            raise self._wrong("layers", count, f"1..{MAX_LAYERS}")
        layers = tuple(self._layer(file, f"layers/{index}") for index in range(count))
        network = Network(
            input_shape=self._shape(file),
            front_end=str(self._attribute(file, "front_end")),
            levels=int(self._attribute(file, "levels")),
            layers=layers,
            labels=self._labels(file),
            calibrations=self._calibrations(file, count),
            provenance=self._provenance(self._group(file, "provenance")),
        )
        self._check(network)
        if self._attribute(file, "content_hash") != content_hash(network):
            raise self._wrong("content_hash", "another hash than the weights have", "the same", "the file was altered")
        return network

    def _wrong(
        self, field: str, found: object, need: str, then: str = "train it again with `host train`"
    ) -> InputError:
        return InputError(f"{self._path}: {field}: found {found}, need {need}; {then}")

    def _attribute(self, node: h5py.Group, name: str) -> Any:
        if name not in node.attrs:
            raise self._wrong(f"{node.name.strip('/') or 'root'}.{name}", "nothing", "an attribute")
        return node.attrs[name]

    def _group(self, file: h5py.File, name: str) -> h5py.Group:
        # A link could lead into another file; only what lies in this one is read.
        if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Group):
            raise self._wrong(name, "no group", "a group in this file")
        return file[name]

    def _array(self, group: h5py.Group, name: str, kind: type[np.generic], ndim: int) -> NDArray[Any]:
        field = f"{group.name}/{name}".strip("/")
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink) or not isinstance(group[name], h5py.Dataset):
            raise self._wrong(field, "no dataset", "a dataset in this file")
        dataset = group[name]
        if dataset.external or dataset.is_virtual:
            raise self._wrong(field, "data kept in another file", "data in this file")
        if dataset.dtype != np.dtype(kind) or dataset.ndim != ndim or dataset.size > MAX_ELEMENTS:
            found = f"{dataset.dtype} {dataset.shape}"
            raise self._wrong(field, found, f"{np.dtype(kind)}, {ndim} axes, at most {MAX_ELEMENTS:,} numbers")
        values: NDArray[Any] = dataset[()]
        if not np.all(np.isfinite(values)):
            raise self._wrong(field, "NaN or infinity", "finite numbers")
        return values

    def _layer(self, file: h5py.File, name: str) -> Dense:
        group = self._group(file, name)
        offset = self._array(group, "input_offset", np.int16, 1) if "input_offset" in group else None
        return Dense(
            weights=self._array(group, "weights", np.float32, 2),
            bias=self._array(group, "bias", np.float32, 1),
            input_offset=offset,
            output_max=float(self._attribute(group, "output_max")),
            weight_step=float(group.attrs.get("weight_step", 0.0)),
        )

    def _calibrations(self, file: h5py.File, layers: int) -> tuple[Calibration, ...]:
        known = []
        for levels in LEVELS.values():
            name = f"calibrations/{levels}"
            if name in file:
                group = self._group(file, name)
                folder = self._group(file, f"{name}/densities")
                densities = tuple(self._array(folder, str(index), np.float32, 1) for index in range(layers))
                known.append(Calibration(levels, float(self._attribute(group, "accuracy")), densities))
        return tuple(known)

    def _shape(self, file: h5py.File) -> tuple[int, int]:
        height, width = (int(side) for side in self._attribute(file, "input_shape"))
        return height, width

    def _labels(self, file: h5py.File) -> tuple[str, ...]:
        labels = json.loads(str(self._attribute(file, "labels")))
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise self._wrong("labels", "no list of texts", "one text a class")
        return tuple(labels)

    def _provenance(self, group: h5py.Group) -> Provenance:
        history = {
            name: tuple(self._array(group["history"], name, np.float64, 1).tolist())
            for name in group.get("history", {})
        }
        metrics = {name: float(value) for name, value in group["metrics"].attrs.items()} if "metrics" in group else {}
        return Provenance(
            dataset=str(self._attribute(group, "dataset")),
            dataset_sha256=str(self._attribute(group, "dataset_sha256")),
            preset=str(self._attribute(group, "preset")),
            seed=int(self._attribute(group, "seed")),
            engine=str(self._attribute(group, "engine")),
            history=history,
            metrics=metrics,
        )

    def _check(self, network: Network) -> None:
        height, width = network.input_shape
        if network.front_end != "preconv":
            raise self._wrong("front_end", network.front_end, "preconv")
        if not (4 <= height <= 64 and 4 <= width <= 64 and height % 2 == 0 and width % 2 == 0):
            raise self._wrong("input_shape", network.input_shape, "even sides of 4..64")
        if network.levels not in (63, 255):
            raise self._wrong("levels", network.levels, "63 or 255")
        inputs = (height // 2) * (width // 2)
        for index, layer in enumerate(network.layers):
            outputs = layer.weights.shape[0]
            if layer.weights.shape[1] != inputs or not 1 <= outputs <= 255:
                raise self._wrong(f"layers/{index}/weights", layer.weights.shape, f"(1..255, {inputs})")
            if layer.bias.shape != (outputs,):
                raise self._wrong(f"layers/{index}/bias", layer.bias.shape, f"({outputs},)")
            if layer.input_offset is not None and layer.input_offset.shape != (inputs,):
                raise self._wrong(f"layers/{index}/input_offset", layer.input_offset.shape, f"({inputs},)")
            if not (np.isfinite(layer.output_max) and layer.output_max >= 0):
                raise self._wrong(f"layers/{index}.output_max", layer.output_max, "a finite number of 0 or more")
            top = 127 * layer.weight_step
            if layer.weight_step and not (np.isfinite(top) and np.abs(layer.weights).max(initial=0.0) <= top):
                raise self._wrong(f"layers/{index}.weight_step", layer.weight_step, "0, or 1/127 of the largest weight")
            inputs = outputs
        for known in network.calibrations:
            shapes = [density.shape for density in known.densities]
            need = [(layer.weights.shape[1],) for layer in network.layers]
            if shapes != need:
                raise self._wrong(f"calibrations/{known.levels}/densities", shapes, str(need))
        if len(network.labels) != inputs or not 2 <= inputs <= 255:
            raise self._wrong("labels", len(network.labels), f"{inputs}, one a class")
