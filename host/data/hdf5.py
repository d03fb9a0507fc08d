"""HDF5 in the seed's layout: groups `train` and `test`, each with `data` (N, H*W) or (N, H, W) and `target` (N,).

Floats are 0..1, integers are levels 0..255. The file may come from anywhere: links that lead out of it, virtual and
external storage, plug-in filters and sizes beyond MAX_BYTES are refused before any data is read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from host.data.dataset import Split
from host.data.memory import bounded_memory
from host.data.problem import one_line, problem
from host.data.sandbox import Grant, no_limit, read_in_sandbox
from host.data.streams import credible_bytes, unreadable
from host.data.values import Numbers, Scale, image_shape, make_split
from host.errors import near

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_LINKS = 4096  # in one file; a model has some dozens
_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)


_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)
"""h5py's own errors, by kind of damage."""


def read_hdf5(path: Path, classes: int) -> tuple[Split, Split]:
    """Both splits; InputError for a file that is truncated, lacks a field or holds one of another kind."""
    try:
        with path.open("rb") as raw:
            magic = raw.read(len(MAGIC))
    except OSError as error:
        raise unreadable(path, error) from error
    if magic != MAGIC:
        found = "an empty file" if not magic else "no HDF5 signature"
        raise problem(path, "file", found, "an HDF5 file", "check the file, or copy it again")

    def read(grant: Grant) -> tuple[Split, Split]:
        with bounded_memory(path), h5py.File(path, "r") as file:
            train, test = (_read_split(path, file, name, classes, grant) for name in ("train", "test"))
            return train, test

    read_in_sandbox(path, read)
    try:
        return read(no_limit)
    except _DAMAGED as error:
        found = f"damage ({one_line(str(error)) or type(error).__name__})"
        raise problem(path, "file", found, "a whole HDF5 file", "copy it again") from error


def _read_split(path: Path, file: Any, split: str, classes: int, grant: Grant) -> Split:
    group = _member(path, file, split, h5py.Group)
    data, target = (_member(path, group, name, h5py.Dataset) for name in ("data", "target"))
    for dataset in (data, target):
        _check_harmless(path, dataset)
    image_shape(path, f"{split} images", data.shape)
    pixels, labels = (_read(dataset, grant) for dataset in (data, target))
    return make_split(path, split, pixels, labels, Scale.UNIT, classes)


def _member(path: Path, parent: Any, name: str, kind: type) -> Any:
    """A direct child of the wanted kind; a soft or external link could name any file of the user's."""
    field = f"{parent.name.rstrip('/')}/{name}"
    what = "a group" if kind is h5py.Group else "a dataset"
    link = parent.get(name, getlink=True)
    if link is None:
        names = [str(key) for key in list(parent)[:50]]
        found = "nothing" + near(name, names)
        do = "store groups train and test, each with data and target"
        raise problem(path, field, found, what, do)
    if not isinstance(link, h5py.HardLink):
        raise problem(path, field, f"a {type(link).__name__}", f"{what} in the file itself", "copy the data in")
    child = parent[name]
    if not isinstance(child, kind):
        raise problem(path, field, f"a {type(child).__name__}", what, "store it under that name")
    return child


def _check_harmless(path: Path, dataset: Any) -> None:
    """Look at all that is declared before anything is read."""
    if dataset.is_virtual or dataset.external:
        raise problem(path, dataset.name, "data kept in other files", "data in the file itself", "copy the data in")
    unread = unread_filter(dataset)
    if unread is not None:
        raise problem(path, dataset.name, f"filter {unread}", "gzip or none", "store it again with gzip")
    if dataset.dtype.kind not in "iuf" or dataset.shape is None:
        found = f"values of type {dataset.dtype}"
        raise problem(path, dataset.name, found, "plain numbers", "store float32 0..1 or uint8")
    most = credible_bytes(path)
    for shape in (dataset.shape, dataset.chunks or ()):
        size = math.prod(shape) * dataset.dtype.itemsize
        if size > most:
            found = f"shape {shape}, {size} bytes"
            raise problem(path, dataset.name, found, f"at most {most} bytes in such a file", "store fewer images")


def _read(dataset: Any, grant: Grant) -> Numbers:
    grant(math.prod(dataset.shape) * dataset.dtype.itemsize)
    array: Numbers = np.asarray(dataset[()])
    return array


def unread_filter(dataset: Any) -> int | None:
    """The number of the first filter that is not HDF5's own, and would be looked for among the system's plug-ins."""
    creation = dataset.id.get_create_plist()
    filters = (int(creation.get_filter(i)[0]) for i in range(creation.get_nfilters()))
    return next((number for number in filters if number not in _FILTERS), None)


def only_hard_links(file: Any) -> bool:
    """Whether all names in the file, at most MAX_LINKS, are of things that lie in it. Follows no other link."""
    count = 0

    def stop(_: bytes, link: Any) -> bool | None:
        nonlocal count
        count += 1
        return True if link.type != h5py.h5l.TYPE_HARD or count > MAX_LINKS else None

    return file.id.links.visit(stop, info=True) is None
