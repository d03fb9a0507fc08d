"""The model file: HDF5, written whole or not at all, read with every field checked, no pickle anywhere.

/                 attributes: format_version (3), labels, content_hash
/provenance       attributes: dataset, dataset_sha256, preset, seed, engine; groups history, metrics

and what `network` describes. Versions 1 and 2 are read too: see `legacy`. Reading knows no rounding and no board.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py

from host.atomic import replacing
from host.data.hdf5 import MAGIC
from host.data.memory import bounded_memory
from host.data.problem import one_line
from host.data.sandbox import Grant, no_limit, read_in_sandbox
from host.errors import InputError
from host.modelfile import legacy
from host.modelfile import network as current
from host.modelfile.content_hash import content_hash
from host.modelfile.fields import UNREADABLE, Fields, save_provenance
from host.nn.limits import MAX_FILE_BYTES
from host.nn.network import Network

__all__ = ["content_hash", "load", "save"]

_READERS = {1: legacy.load_version_1, 2: legacy.load_version_2, current.VERSION: current.load}
_FOREIGN = {".tflite": "TensorFlow Lite", ".lite": "TensorFlow Lite", ".keras": "Keras", ".onnx": "ONNX"}
"""Nets of other tools by suffixes that no model has."""
_OF_KERAS = ("model_config", "keras_version", "layer_names")


def save(network: Network, path: str | Path) -> None:
    """Write `network` to `path` atomically; raise InputError where it cannot be written."""
    path = Path(path)
    # In memory first: HDF5 cannot close a file that it has failed to write. Times are left out so that the same model
    # gives the same bytes.
    with h5py.File("model", "w", driver="core", backing_store=False, track_order=False) as file:
        file.attrs["format_version"] = current.VERSION
        current.save(network, file)
        file.attrs["labels"] = json.dumps(network.labels)
        file.attrs["content_hash"] = content_hash(network)
        save_provenance(file.create_group("provenance"), network.provenance)
        file.flush()
        image: bytes = file.id.get_file_image()
    with replacing(path) as temporary:
        temporary.write_bytes(image)


def load(path: Path) -> Network:
    """Read and check a model; raise InputError naming the file, the field and the mend."""
    if path.is_dir():
        raise InputError(f"{path}: found a folder, need a model file; name the file, such as {path / 'MODEL.h5'}")
    if not path.is_file():
        raise InputError(f"{path}: no such model file; train one with `host train -o {path.name}`")
    if (tool := _FOREIGN.get(path.suffix.lower())) and not _is_hdf5(path):
        raise _to_import(path, f"a net of {tool}")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path}: found {path.stat().st_size:,} bytes, need at most {MAX_FILE_BYTES:,}; not a model")

    def read(_: Grant) -> Network:
        with bounded_memory(path), h5py.File(path, "r") as file:
            fields = Fields(path)
            fields.check_links(file)
            return _read(path, file, fields)

    read_in_sandbox(path, read)
    try:
        return read(no_limit)
    except InputError:
        raise
    except UNREADABLE as error:
        reason = one_line(str(error)) or type(error).__name__
        raise InputError(f"{path}: not a readable model file ({reason}); train it again with `host train`") from error


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _to_import(path: Path, found: str) -> InputError:
    output = f"{path.stem}{'' if path.suffix.lower() != '.h5' else '-imported'}.h5"
    return InputError(
        f"{path}: found {one_line(found)}, need a model file; import it: `host import {path.name} -o {output}`"
    )


def _read(path: Path, file: h5py.File, fields: Fields) -> Network:
    if "format_version" not in file.attrs and any(name in file.attrs for name in _OF_KERAS):
        raise _to_import(path, "a net of Keras")
    version = fields.attribute(file, "format_version")
    if version not in _READERS:
        need = "1, 2 or 3"
        raise fields.wrong("format_version", version, need, "train the model again with this version")
    network = _READERS[int(version)](file, fields)
    fields.check_hash(file, content_hash(network))
    return network
