"""Finds `usps` and `mnist` on this machine: first under $DIGITDUINO_DATA, then in the user's cache.

In each place the directory itself, then NAME/, NAME/raw/ and NAME/ in capitals (torchvision's habit) are looked into.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from host.cache import cache_directory
from host.data.dataset import DIGITS, Dataset, Split, make_dataset
from host.data.hdf5 import read_hdf5
from host.data.idx import read_idx_split
from host.data.problem import problem
from host.data.sources import SOURCES, Kind, Layout, Source
from host.data.text import read_esl, read_libsvm

ENVIRONMENT = "DIGITDUINO_DATA"


def load_named(name: str, roots: Sequence[Path] | None = None) -> Dataset:
    """The dataset from the first place that has all its files; InputError names the places and the command."""
    source = SOURCES[name]
    if roots is None:
        given = os.environ.get(ENVIRONMENT)
        roots = [Path(given), cache_directory()] if given else [cache_directory()]
    for root in roots:
        found = find_source(source, root)
        if found:
            return make_dataset(name, *read_layout(*found))
    places = " or ".join(str(root) for root in roots)
    need = "the files of " + " or ".join(layout.kind.value for layout in source.layouts)
    do = f"run `host fetch {name}`, or `host fetch {name} --from DIR`, or set {ENVIRONMENT}"
    raise problem(name, "dataset", f"no complete set in {places}", need, do)


def find_source(source: Source, root: Path) -> tuple[Layout, tuple[Path, ...]] | None:
    """The first layout that is complete under `root`, with its files."""
    folders = [root / sub for sub in ("", source.name, f"{source.name}/raw", source.name.upper())]
    folders.append(root / source.name.upper() / "raw")
    for layout in source.layouts:
        for folder in folders:
            files = find_layout(layout, folder)
            if files:
                return layout, files
    return None


def find_layout(layout: Layout, folder: Path) -> tuple[Path, ...] | None:
    """All the layout's files in one folder, or None."""
    files = [variant(folder, file.name) for file in layout.files]
    return tuple(file for file in files if file) if all(files) else None


def variants(folder: Path, name: str) -> list[Path]:
    """The paths a file may have: as published, without or with compression, with the dot that unpackers put in IDX."""
    plain = name.removesuffix(".gz").removesuffix(".bz2")
    names = [name, plain, f"{plain}.gz"]
    names += [n.replace("-idx", ".idx") for n in names if "-idx" in n]
    return [folder / n for n in dict.fromkeys(names)]


def variant(folder: Path, name: str) -> Path | None:
    """The first of `variants` that is there; a closed directory holds nothing."""
    return next((path for path in variants(folder, name) if os.path.isfile(path)), None)  # noqa: PTH113


def read_layout(layout: Layout, files: tuple[Path, ...], classes: int = len(DIGITS)) -> tuple[Split, Split]:
    """Both splits by the layout's reader."""
    if layout.kind is Kind.HDF5:
        return read_hdf5(files[0], classes)
    if layout.kind is Kind.IDX:
        train = read_idx_split(files[0], files[1], "train", classes)
        return train, read_idx_split(files[2], files[3], "test", classes)
    read = read_libsvm if layout.kind is Kind.LIBSVM else read_esl
    return read(files[0], "train"), read(files[1], "test")
