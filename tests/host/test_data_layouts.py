"""The same digits from every layout are the same bytes."""

import gzip
import hashlib
import time

import h5py
import numpy as np
import pytest
from data_files import idx_bytes, small_split, write_csv, write_esl, write_hdf5, write_idx, write_libsvm
from yardstick import yardstick_s

from host import data
from host.data.dataset import content_sha256
from host.data.sources import SOURCES

RAW_MD5 = {
    "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.fixture(scope="module")
def usps(real_data):
    return data.load(str(real_data / "usps.h5"))


@pytest.fixture(scope="module")
def decimals(real_data):
    """The genuine values as published: three decimals, -1..1."""
    with h5py.File(real_data / "usps.h5") as file:
        return [np.round(file[s]["data"][()].astype(float) * 2 - 1, 3) for s in ("train", "test")]


def write_usps(layout, folder, usps, decimals):
    """The genuine digits in one layout; returns the path to load."""
    labels = [usps.train.labels, usps.test.labels]
    if layout == "esl":
        return write_esl(folder, decimals, labels)
    if layout == "libsvm":
        return write_libsvm(folder, decimals, labels)
    if layout == "idx":
        return write_idx(folder, usps.train, usps.test)
    if layout == "csv":
        for name in ("train", "test"):
            write_csv(folder / f"{name}.csv", getattr(usps, name), header=name == "train")
        return folder
    if layout == "npz":
        x, y = ((d.astype(np.float32) + 1) / 2 for d in decimals)
        np.savez_compressed(folder / "u.npz", x_train=x, y_train=labels[0], x_test=y, y_test=labels[1])
        return folder / "u.npz"
    dtype = layout.removeprefix("hdf5-")
    return write_hdf5(folder / "u.h5", usps.train, usps.test, dtype, compression="gzip", shuffle=True)


@pytest.mark.parametrize("layout", ["esl", "libsvm", "idx", "csv", "npz", "hdf5-uint8", "hdf5-float64", "hdf5-float16"])
def test_genuine_usps_is_the_same_from_every_layout(layout, tmp_path, usps, decimals, monkeypatch):
    """Those that are published are found by name too."""
    (tmp_path / "usps").mkdir()
    path = write_usps(layout, tmp_path / "usps", usps, decimals)
    monkeypatch.setenv("DIGITDUINO_DATA", str(tmp_path))
    for place in (str(path), "usps") if layout in ("esl", "libsvm") else (str(path),):
        loaded = data.load(place)
        assert loaded.sha256 == usps.sha256 == SOURCES["usps"].sha256
        assert loaded.train.images.tobytes() == usps.train.images.tobytes()


def test_usps_is_the_genuine_set_and_loads_fast(real_data, monkeypatch):
    monkeypatch.setenv("DIGITDUINO_DATA", str(real_data))
    start = time.process_time()
    usps = data.load("usps")
    taken = time.process_time() - start
    assert taken < 200 * max(yardstick_s() for _ in range(5))  # it is 20
    assert usps.train.images.shape == (7291, 16, 16)
    assert usps.test.images.shape == (2007, 16, 16)
    assert np.bincount(usps.train.labels).tolist() == [1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644]
    assert np.bincount(usps.test.labels).tolist() == [359, 264, 198, 166, 200, 160, 170, 147, 166, 177]
    with h5py.File(real_data / "usps.h5") as file:
        plain = np.rint(file["test/data"][()] * 255)
    assert (usps.test.images.reshape(2007, 256) == plain).all()


def test_mnist_is_the_genuine_set(real_data, monkeypatch):
    for name, md5 in RAW_MD5.items():
        assert hashlib.md5(gzip.decompress((real_data / "mnist" / name).read_bytes())).hexdigest() == md5
    monkeypatch.setenv("DIGITDUINO_DATA", str(real_data))
    mnist = data.load("mnist")
    assert mnist.train.images.shape == (60000, 28, 28)
    assert mnist.test.images.shape == (10000, 28, 28)
    assert mnist.sha256 == SOURCES["mnist"].sha256
    assert mnist.name == "mnist"


def test_any_idx_file_of_the_four_stands_for_all(tmp_path):
    train, test = small_split(), small_split(20, seed=1)
    write_idx(tmp_path, train, test, pack=bytes, suffix="")
    expected = content_sha256(train, test)
    for path in [tmp_path, *sorted(tmp_path.iterdir())]:
        assert data.load(str(path)).sha256 == expected, path


def test_an_idx_pair_alone_is_split(tmp_path):
    split = small_split(50)
    (tmp_path / "my.images.idx3").write_bytes(idx_bytes(split.images))
    (tmp_path / "my.labels.idx1.gz").write_bytes(gzip.compress(idx_bytes(split.labels)))
    for name in ("my.images.idx3", "my.labels.idx1.gz"):
        loaded = data.load(str(tmp_path / name))
        assert len(loaded.train) == 40
        assert len(loaded.test) == 10


@pytest.mark.parametrize(
    "keys", [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels")]
)
def test_npz_keys_of_two_habits(tmp_path, keys):
    train, test = small_split(), small_split(20, seed=1)
    arrays = (np.asfortranarray(train.images), train.labels[:, None], test.images, test.labels.astype(np.uint8))
    np.savez(tmp_path / "d.npz", **dict(zip(keys, arrays, strict=True)))
    assert data.load(str(tmp_path / "d.npz")).sha256 == content_sha256(train, test)


def test_an_npz_with_one_set_is_split(tmp_path):
    split = small_split(50)
    np.savez(tmp_path / "d.npz", images=split.images / 255, labels=split.labels.astype(float))
    loaded = data.load(str(tmp_path / "d.npz"))
    assert len(loaded.train) == 40
    assert len(loaded.test) == 10
    assert loaded.name == "d.npz"


@pytest.mark.parametrize(
    "options", [{}, {"header": True}, {"ends": "\r\n"}, {"ends": "\r"}, {"bom": True, "header": True}, {"bom": True}]
)
def test_csv_with_any_line_ends_mark_and_header(tmp_path, options):
    split = small_split(50)
    plain = data.load(str(write_csv(tmp_path / "plain.csv", split)))
    varied = data.load(str(write_csv(tmp_path / "varied.csv", split, **options)))
    assert varied.sha256 == plain.sha256
    assert len(plain.train) == 40


def test_csv_of_fractions_and_gzip(tmp_path):
    split = small_split(50)
    rows = np.column_stack([split.labels, split.images.reshape(50, -1) / 255])
    np.savetxt(tmp_path / "f.csv.gz", rows, delimiter=",", fmt="%.6g")
    assert data.load(str(tmp_path / "f.csv.gz")).sha256 == data.load(str(write_csv(tmp_path / "l.csv", split))).sha256


def test_a_sparse_libsvm_row_leaves_out_zeros(tmp_path):
    rows = [f"{k + 1} 1:-1 200:0.5" for k in range(10)]
    for name in ("usps", "usps.t"):
        (tmp_path / name).write_text("\n".join(rows))
    image = data.load(str(tmp_path)).train.images[0].ravel()
    assert image[0] == 0
    assert image[199] == 191
    assert image[1] == 128


def test_named_classes_allow_other_labels(tmp_path):
    split = small_split(50)
    labels = np.where(split.labels == 9, 11, split.labels)
    np.savez(tmp_path / "d.npz", images=split.images, labels=labels)
    (tmp_path / "d.classes.txt").write_text("\n".join("ABCDEFGHIJKL"))
    assert data.load(str(tmp_path / "d.npz")).labels == tuple("ABCDEFGHIJKL")
