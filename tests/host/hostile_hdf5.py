"""Ways to make a sound HDF5 file harmful: each puts something else where a dataset was."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
from hostile_refusals import ROWS


def replace(file: h5py.File, name: str, data: object = None, **options: object) -> None:
    del file[name]
    if data is not None or options:
        file.create_dataset(name, data=data, **options)


def unknown_filter(file: h5py.File, name: str) -> None:
    """A dataset whose pipeline names filter 32015 (Zstandard, a plug-in), declared and never written."""
    shape = file[name].shape
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk(shape)
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
    del file[name]
    parent, _, leaf = name.rpartition("/")
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(file[parent or "/"].id, leaf.encode(), h5py.h5t.IEEE_F32LE, space, dcpl=plan)


def link(kind: Callable[..., object], *arguments: str) -> Callable[[h5py.File, str], None]:
    def change(file: h5py.File, name: str) -> None:
        del file[name]
        file[name] = kind(*arguments)

    return change


def cyclic(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = h5py.SoftLink(f"/{name}")


def virtual(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("other.h5", "data", shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def external(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def typed(dtype: object) -> Callable[[h5py.File, str], None]:
    def change(file: h5py.File, name: str) -> None:
        shape = file[name].shape
        replace(file, name, shape=shape, dtype=dtype)

    return change


def sized(shape: tuple[int, ...], **options: object) -> Callable[[h5py.File, str], None]:
    def change(file: h5py.File, name: str) -> None:
        rank = file[name].ndim
        chunks = options.get("chunks")
        if isinstance(chunks, tuple):
            options["chunks"] = (chunks * 2)[:rank]
        replace(file, name, shape=(shape * 2)[:rank], dtype="f4", **options)

    return change


def bomb(file: h5py.File, name: str) -> None:
    """Really written: 200 MiB of zeros in 200 kB."""
    rank = file[name].ndim
    shape = (200 << 18,) if rank == 1 else (200 << 8, 1 << 10)
    chunks = (1 << 20,) if rank == 1 else (1 << 10, 1 << 10)
    replace(file, name, shape=shape, dtype="f4", chunks=chunks, compression="gzip", compression_opts=1)
    step = chunks[0]
    zeros = np.zeros(chunks, "f4")
    for start in range(0, shape[0], step):
        file[name][start : start + step] = zeros


def huge_chunk(file: h5py.File, name: str) -> None:
    shape = file[name].shape
    replace(
        file, name, shape=shape, dtype="f4", chunks=(1 << 28,) + (1,) * (len(shape) - 1), maxshape=(None,) * len(shape)
    )


def itself(file: h5py.File, name: str) -> None:
    """The group that should be a dataset holds itself."""
    del file[name]
    group = file.create_group(name)
    group["loop"] = group


HDF5_CHANGES = {
    "external link": link(h5py.ExternalLink, "other.h5", "/data"),
    "external link to a pipe": link(h5py.ExternalLink, "pipe", "/data"),
    "dangling link": link(h5py.SoftLink, "/nowhere"),
    "cyclic link": cyclic,
    "virtual": virtual,
    "external storage": external,
    "unknown filter": unknown_filter,
    "lzf": sized((ROWS, 256), chunks=True, compression="lzf"),
    "petabytes": sized((1 << 41, 1 << 7), chunks=(64, 64), compression="gzip"),
    "exabytes": sized((1 << 30,), chunks=(1,)),
    "bomb": bomb,
    "huge chunk": huge_chunk,
    "texts": typed(h5py.string_dtype()),
    "bytes": typed("S8"),
    "compound": typed([("a", "f4"), ("b", "i4")]),
    "references": typed(h5py.ref_dtype),
    "ragged": typed(h5py.vlen_dtype(np.float32)),
    "opaque": typed(h5py.opaque_dtype(np.dtype("M8[s]"))),
    "null": lambda file, name: replace(file, name, h5py.Empty("f4")),
    "a group that holds itself": itself,
}
