"""The model file: HDF5, written whole or not at all, read with every field checked, no pickle anywhere.

/                 attributes: format_version (1 pre-convolved, 2 learned), labels, content_hash
/provenance       attributes: dataset, dataset_sha256, preset, seed, engine; groups history, metrics

and what `model_preconv` or `model_learned` describe.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py

from host.atomic import replacing
from host.data.memory import bounded_memory
from host.data.problem import one_line
from host.data.sandbox import Grant, no_limit, read_in_sandbox
from host.deploy import model_learned, model_preconv
from host.deploy.model_fields import MAX_FILE_BYTES, UNREADABLE, Fields, save_provenance
from host.errors import InputError
from host.train.learned import LearnedNetwork
from host.train.network import Network


def content_hash(network: Network | LearnedNetwork) -> str:
    """SHA-256, hexadecimal, over what determines the scores, not the provenance."""
    if isinstance(network, LearnedNetwork):
        return model_learned.content_hash(network)
    return model_preconv.content_hash(network)


def save(network: Network | LearnedNetwork, path: Path) -> None:
    """Write `network` to `path` atomically; raise InputError where it cannot be written."""
    # In memory first: HDF5 cannot close a file that it has failed to write. Times are left out so that the same model
    # gives the same bytes.
    with h5py.File("model", "w", driver="core", backing_store=False, track_order=False) as file:
        if isinstance(network, LearnedNetwork):
            file.attrs["format_version"] = model_learned.VERSION
            model_learned.save(network, file)
        else:
            file.attrs["format_version"] = model_preconv.VERSION
            model_preconv.save(network, file)
        file.attrs["labels"] = json.dumps(network.labels)
        file.attrs["content_hash"] = content_hash(network)
        save_provenance(file.create_group("provenance"), network.provenance)
        file.flush()
        image: bytes = file.id.get_file_image()
    with replacing(path) as temporary:
        temporary.write_bytes(image)


def load(path: Path) -> Network | LearnedNetwork:
    """Read and check a model; raise InputError naming the file, the field and the mend."""
    if path.is_dir():
        raise InputError(f"{path}: found a folder, need a model file; name the file, such as {path / 'MODEL.h5'}")
    if not path.is_file():
        raise InputError(f"{path}: no such model file; train one with `host train -o {path.name}`")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path}: found {path.stat().st_size:,} bytes, need at most {MAX_FILE_BYTES:,}; not a model")

    def read(_: Grant) -> Network | LearnedNetwork:
        with bounded_memory(path), h5py.File(path, "r") as file:
            fields = Fields(path)
            fields.check_links(file)
            return _read(file, fields)

    read_in_sandbox(path, read)
    try:
        return read(no_limit)
    except InputError:
        raise
    except UNREADABLE as error:
        reason = one_line(str(error)) or type(error).__name__
        raise InputError(f"{path}: not a readable model file ({reason}); train it again with `host train`") from error


def _read(file: h5py.File, fields: Fields) -> Network | LearnedNetwork:
    version = fields.attribute(file, "format_version")
    if version not in (model_preconv.VERSION, model_learned.VERSION):
        need = f"{model_preconv.VERSION} or {model_learned.VERSION}"
        raise fields.wrong("format_version", version, need, "train the model again with this version")
    is_learned = version == model_learned.VERSION
    network = model_learned.load(file, fields) if is_learned else model_preconv.load(file, fields)
    fields.check_hash(file, content_hash(network))
    return network
