"""HDF5 files made to harm, as data and as models: links, plug-ins, bombs and types that no reader expects."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hostile_hdf5 import HDF5_CHANGES
from hostile_refusals import ROWS, SIDE, Runner, data_refused, refused, save_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a pipe that nobody writes: who opens it waits for ever."""
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros((ROWS, 256), "f4")
    return tmp_path


def data_hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        for split in ("train", "test"):
            file[f"{split}/data"] = np.zeros((ROWS, SIDE * SIDE), "f4")
            file[f"{split}/target"] = np.arange(ROWS) % 10
    return path


@pytest.mark.parametrize("name", ["train/data", "test/target"])
@pytest.mark.parametrize("change", HDF5_CHANGES)
def test_hostile_hdf5_data(run_limited: Runner, good_model: Path, folder: Path, change: str, name: str) -> None:
    path = data_hdf5(folder / "d.h5")
    with h5py.File(path, "a") as file:
        HDF5_CHANGES[change](file, name)
    assert "d.h5" in data_refused(run_limited, good_model, path)


@pytest.mark.parametrize("name", ["layers/4/weights", "layers/6/bias", "scaling_offset", "provenance/history/loss"])
@pytest.mark.parametrize("change", HDF5_CHANGES)
def test_hostile_model(run_limited: Runner, folder: Path, change: str, name: str) -> None:
    path = folder / "m.h5"
    save_model(path)
    with h5py.File(path, "a") as file:
        HDF5_CHANGES[change](file, name)
    assert "m.h5" in refused(run_limited, folder, "export", path, "-o", "headers")


@pytest.mark.parametrize("name", ["layers", "layers/4", "provenance", "calibrations", "qat"])
@pytest.mark.parametrize("target", ["pipe", "other.h5"])
def test_a_model_whose_group_lies_elsewhere_is_never_followed(
    run_limited: Runner, folder: Path, name: str, target: str
) -> None:
    path = folder / "m.h5"
    save_model(path)
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        file[name] = h5py.ExternalLink(target, "/")
    assert "links: found one that leads elsewhere" in refused(run_limited, folder, "export", path, "-o", "headers")
