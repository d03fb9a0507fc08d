"""Every broken HDF5 file is refused by one InputError line that names the file, the field and the way out."""

import h5py
import numpy as np
import pytest
from data_files import refused, small_split, write_hdf5

from host import data
from host.errors import InputError

TRAIN, TEST = small_split(40), small_split(20, seed=1)


@pytest.fixture
def hdf5(tmp_path):
    return write_hdf5(tmp_path / "d.h5", TRAIN, TEST)


def replace(path, field, value, **options):
    with h5py.File(path, "a") as file:
        del file[field]
        if value is not None:
            file.create_dataset(field, data=value, **options)


FLAT = TRAIN.images.reshape(40, -1) / 255
HDF5_FAULTS = {
    "no-group": ("test", None, "/test: found nothing"),
    "no-field": ("train/target", None, "/train/target: found nothing"),
    "not-square": ("train/data", FLAT[:, :60], r"shape (40, 60)"),
    "one-dimension": ("train/data", FLAT[0], "shape (64,)"),
    "four-dimensions": ("train/data", FLAT.reshape(40, 8, 8, 1), "shape (40, 8, 8, 1)"),
    "fewer-labels": ("train/target", TRAIN.labels[:39], "shape (39,) beside 40 images"),
    "no-rows": ("train/data", FLAT[:0], "no image"),
    "tiny": ("train/data", FLAT[:, :4], "2x2 in train"),
    "other-size": ("train/data", np.zeros((40, 81)), "9x9 in train and 8x8 in test"),
    "nan": ("train/data", np.where(np.arange(64) == 5, np.nan, FLAT), "nan in row 0, pixel 5"),
    "infinite": ("test/data", np.full((20, 64), np.inf), "inf in row 0"),
    "above-one": ("train/data", FLAT * 255, "divide by the largest value"),
    "negative": ("train/data", FLAT * 2 - 1, "need values 0..1"),
    "wide-integers": ("train/data", np.full((40, 64), 256), "256 in row 0"),
    "label-10": ("train/target", np.where(TRAIN.labels == 9, 10, TRAIN.labels), "10 in row 9, need whole numbers 0..9"),
    "label-minus-1": ("test/target", TEST.labels - 1, "-1 in row 0"),
    "label-fraction": ("test/target", TEST.labels + 0.5, "0.5 in row 0"),
    "label-nan": ("test/target", np.full(20, np.nan), "nan in row 0"),
    "text": ("train/data", "digits", "need plain numbers"),
    "complex": ("train/data", FLAT + 1j, "need plain numbers"),
}


@pytest.mark.parametrize("fault", HDF5_FAULTS)
def test_hdf5_with_a_wrong_field(hdf5, fault):
    field, value, text = HDF5_FAULTS[fault]
    replace(hdf5, field, value)
    assert text in refused(hdf5)


def test_hdf5_with_a_misspelt_field_suggests_it(hdf5):
    with h5py.File(hdf5, "a") as file:
        file.move("train/target", "train/targets")
    assert "did you mean targets?" in refused(hdf5)


def test_hdf5_with_a_dataset_for_a_group(hdf5):
    replace(hdf5, "train", FLAT)
    assert "found a Dataset, need a group" in refused(hdf5)


def test_hdf5_truncated_anywhere_or_damaged_never_escapes_the_error(tmp_path, hdf5):
    whole = hdf5.read_bytes()
    for size in [0, 4, 8, 100, 600, len(whole) // 2, len(whole) - 1]:
        (tmp_path / "cut.h5").write_bytes(whole[:size])
        refused(tmp_path / "cut.h5")
    random, lines = np.random.default_rng(0), []
    for _ in range(60):
        hurt = bytearray(whole)
        for at in random.integers(0, 4096, 8):
            hurt[at] = random.integers(256)
        (tmp_path / "hurt.h5").write_bytes(hurt)
        try:
            data.load(str(tmp_path / "hurt.h5"))
        except InputError as error:
            lines.append(str(error))
    assert len(lines) > 10
    assert all(line.isprintable() for line in lines)


def test_hdf5_links_and_foreign_storage_are_refused(tmp_path, hdf5):
    other = write_hdf5(tmp_path / "other.h5", TRAIN, TEST)
    with h5py.File(hdf5, "a") as file:
        del file["train/data"]
        file["train/data"] = h5py.ExternalLink(str(other), "/train/data")
    assert "ExternalLink" in refused(hdf5)
    with h5py.File(hdf5, "a") as file:
        del file["train/data"]
        file["train/data"] = h5py.SoftLink("/test/data")
    assert "SoftLink" in refused(hdf5)
    (tmp_path / "raw").write_bytes(bytes(40 * 64))
    with h5py.File(hdf5, "a") as file:
        del file["train/data"]
        file["train"].create_dataset("data", (40, 64), "u1", external=[(str(tmp_path / "raw"), 0, 40 * 64)])
    assert "other files" in refused(hdf5)
    with h5py.File(hdf5, "a") as file:
        del file["train/data"]
        layout = h5py.VirtualLayout((40, 64), "f4")
        layout[:] = h5py.VirtualSource(str(other), "train/data", (40, 64))
        file["train"].create_virtual_dataset("data", layout)
    assert "other files" in refused(hdf5)


def test_hdf5_with_a_plug_in_filter_or_a_declared_terabyte(hdf5):
    replace(hdf5, "train/data", FLAT, compression="lzf")
    assert "need gzip or none" in refused(hdf5)
    with h5py.File(hdf5, "a") as file:
        del file["train/data"]
        file["train"].create_dataset("data", (1 << 32, 256), "u1", chunks=(1024, 256), compression="gzip")
    assert "need at most" in refused(hdf5)
