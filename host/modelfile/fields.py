"""Reads single fields of a model file with everything checked, so that each complaint names the file and the field."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from host.data.hdf5 import only_hard_links, unread_filter
from host.data.problem import one_line
from host.errors import InputError
from host.nn.formats import ACTIVATION_TOPS
from host.nn.limits import MAX_ALL_ELEMENTS, MAX_CLASSES, MAX_ELEMENTS, MAX_NAME
from host.nn.network import Calibration, Provenance

MAX_TEXT_BYTES = 1 << 20
UNREADABLE = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(RuntimeError, OverflowError, MemoryError),
)
"""What HDF5, JSON and NumPy raise on files that nobody wrote on purpose."""


class Fields:
    """The fields that every kind of model has, and what the readers of each kind need to read their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._elements = 0

    def wrong(self, field: str, found: object, need: str, then: str = "train it again with `host train`") -> InputError:
        return InputError(one_line(f"{self._path}: {field}: found {found}, need {need}; {then}"))

    def check_links(self, file: h5py.File) -> None:
        """Refuse links: following one could open any file, or a pipe that nobody ever writes."""
        if not only_hard_links(file):
            raise self.wrong("links", "one that leads elsewhere, or thousands", "every field in this file")

    def attribute(self, node: h5py.Group, name: str) -> Any:
        if name not in node.attrs:
            raise self.wrong(f"{node.name.strip('/') or 'root'}.{name}", "nothing", "an attribute")
        if node.attrs.get_id(name).get_storage_size() > MAX_TEXT_BYTES:
            raise self.wrong(f"{node.name.strip('/') or 'root'}.{name}", "a huge attribute", "a small one")
        value = node.attrs[name]
        if isinstance(value, str | bytes) and len(value) > MAX_TEXT_BYTES:
            raise self.wrong(f"{node.name.strip('/') or 'root'}.{name}", f"{len(value):,} letters", "fewer")
        return value

    def group(self, file: h5py.File, name: str) -> h5py.Group:
        # A link could lead into another file; only what lies in this one is read.
        if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Group):
            raise self.wrong(name, "no group", "a group in this file")
        return file[name]

    def array(self, group: h5py.Group, name: str, kind: type[np.generic], ndim: int) -> NDArray[Any]:
        field = f"{group.name}/{name}".strip("/")
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink) or not isinstance(group[name], h5py.Dataset):
            raise self.wrong(field, "no dataset", "a dataset in this file")
        dataset = group[name]
        if dataset.external or dataset.is_virtual:
            raise self.wrong(field, "data kept in another file", "data in this file")
        if dataset.dtype != np.dtype(kind) or dataset.ndim != ndim or dataset.size > MAX_ELEMENTS:
            found = f"{dataset.dtype} {dataset.shape}"
            raise self.wrong(field, found, f"{np.dtype(kind)}, {ndim} axes, at most {MAX_ELEMENTS:,} numbers")
        if math.prod(dataset.chunks or ()) > MAX_ELEMENTS:
            raise self.wrong(field, f"chunks of {dataset.chunks}", f"at most {MAX_ELEMENTS:,} numbers in one")
        if (unread := unread_filter(dataset)) is not None:
            raise self.wrong(field, f"filter {unread}", "gzip or none")
        self._elements += dataset.size
        if self._elements > MAX_ALL_ELEMENTS:
            raise self.wrong(field, "too much", f"at most {MAX_ALL_ELEMENTS:,} numbers in all arrays")
        values: NDArray[Any] = dataset[()]
        if not np.all(np.isfinite(values)):
            raise self.wrong(field, "NaN or infinity", "finite numbers")
        return values

    def labels(self, file: h5py.File) -> tuple[str, ...]:
        labels = json.loads(str(self.attribute(file, "labels")))
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise self.wrong("labels", "no list of texts", "one text a class")
        for label in labels:
            if not (label.isprintable() and 1 <= len(label) <= MAX_NAME):
                raise self.wrong("labels", repr(label), f"1..{MAX_NAME} printable letters", "rename the class")
        return tuple(labels)

    def calibrations(self, file: h5py.File, most: int) -> tuple[Calibration, ...]:
        """The smaller tops first, each with at most so many densities: how many a net needs, the file cannot know."""
        known = []
        for top in sorted(ACTIVATION_TOPS.values()):
            name = f"calibrations/{top}"
            if name in file:
                group = self.group(file, name)
                folder = self.group(file, f"{name}/densities")
                if not 1 <= len(folder) <= most:
                    raise self.wrong(f"{name}/densities", len(folder), f"1..{most}")
                densities = tuple(self._density(folder, str(index)) for index in range(len(folder)))
                accuracy = float(self.attribute(group, "accuracy"))
                if not 0 <= accuracy <= 1:
                    raise self.wrong(f"{name}/accuracy", accuracy, "a share of 0..1")
                known.append(Calibration(top, accuracy, densities))
        return tuple(known)

    def _density(self, folder: h5py.Group, name: str) -> NDArray[Any]:
        density = self.array(folder, name, np.float32, 1)
        if not density.size or density.min() < 0 or density.max() > 1:
            found = f"{density.min():g}..{density.max():g}" if density.size else "none"
            raise self.wrong(f"{folder.name}/{name}".strip("/"), found, "shares of 0..1")
        return density

    def check_classes(self, labels: tuple[str, ...], classes: int) -> None:
        if len(labels) != classes or not 2 <= classes <= MAX_CLASSES:
            raise self.wrong("labels", len(labels), f"{classes}, one a class")

    def check_hash(self, file: h5py.File, computed: str) -> None:
        if self.attribute(file, "content_hash") != computed:
            raise self.wrong("content_hash", "another hash than the weights have", "the same", "the file was altered")

    def provenance(self, group: h5py.Group) -> Provenance:
        history = {
            self._name("history", name): tuple(self.array(group["history"], name, np.float64, 1).tolist())
            for name in group.get("history", {})
        }
        measured = group["metrics"].attrs if "metrics" in group else {}
        metrics = {self._name("metrics", name): float(measured[name]) for name in measured}
        # What is printed and plotted: a data set may be named after a file, and so by anybody.
        return Provenance(
            dataset=one_line(str(self.attribute(group, "dataset"))),
            dataset_sha256=one_line(str(self.attribute(group, "dataset_sha256"))),
            preset=one_line(str(self.attribute(group, "preset"))),
            seed=int(self.attribute(group, "seed")),
            engine=one_line(str(self.attribute(group, "engine"))),
            history=history,
            metrics=metrics,
        )

    def _name(self, field: str, name: str) -> str:
        if not (name.isprintable() and len(name) <= MAX_NAME):
            raise self.wrong(f"provenance/{field}", repr(name), f"names of at most {MAX_NAME} printable letters")
        return name


def save_calibrations(file: h5py.File, calibrations: tuple[Calibration, ...]) -> None:
    """Write what `Fields.calibrations` reads."""
    for known in calibrations:
        group = file.create_group(f"calibrations/{known.top}")
        group.attrs["accuracy"] = known.accuracy
        for index, density in enumerate(known.densities):
            group.create_dataset(f"densities/{index}", data=density.astype(np.float32))


def save_provenance(group: h5py.Group, provenance: Provenance) -> None:
    """Write what `Fields.provenance` reads."""
    for field in ("dataset", "dataset_sha256", "preset", "seed", "engine"):
        group.attrs[field] = getattr(provenance, field)
    for name, values in sorted(provenance.history.items()):
        group.create_dataset(f"history/{name}", data=np.asarray(values, np.float64))
    for name, value in sorted(provenance.metrics.items()):
        group.require_group("metrics").attrs[name] = float(value)
