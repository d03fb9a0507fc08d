"""Every broken file is refused by one InputError line that names the file, the field and the way out."""

import gzip
import os
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_files import idx_bytes, refused, small_split, write_csv, write_idx

from host import data
from host.errors import InputError

TRAIN, TEST = small_split(40), small_split(20, seed=1)
FLAT = TRAIN.images.reshape(40, -1) / 255


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
HEAD = struct.pack(">BBBB3I", 0, 0, 8, 3, 40, 8, 8)
IDX_FAULTS = {
    "magic": (
        IMAGES,
        gzip.compress(b"\0\0\x08\x01" + HEAD[4:] + bytes(2560)),
        "magic: found 0x00000801, need 0x00000803",
    ),
    "type": (IMAGES, gzip.compress(b"\0\0\x0d\x03" + HEAD[4:] + bytes(2560)), "0x00000d03"),
    "not-idx": (LABELS, b"<html>404</html>", "magic: found 0x3c68746d"),
    "empty": (LABELS, b"", "an empty file"),
    "header-short": (IMAGES, gzip.compress(HEAD[:10]), "header: found 10 bytes"),
    "data-short": (IMAGES, gzip.compress(HEAD + bytes(2559)), "data: found 2559 bytes, need 2560"),
    "data-long": (IMAGES, gzip.compress(HEAD + bytes(2561)), "data: found more bytes"),
    "header-lies": (
        IMAGES,
        gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, *[0xFFFFFFFF] * 3) + bytes(99)),
        "header: found",
    ),
    "header-zero": (IMAGES, gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 0, 8, 8)), "header: found"),
    "gzip-short": (IMAGES, gzip.compress(idx_bytes(TRAIN.images))[:-40], "need a whole"),
    "gzip-hurt": (IMAGES, gzip.compress(bytes(9))[:10] + b"\xff" * 50, "need a whole"),
    "gzip-crc": (IMAGES, gzip.compress(idx_bytes(TRAIN.images))[:-8] + bytes(8), "unreadable (CRC check failed"),
    "fewer-labels": (LABELS, gzip.compress(idx_bytes(TRAIN.labels[:30])), "30 labels beside 40 images"),
    "label-10": (LABELS, gzip.compress(idx_bytes(TRAIN.labels + 1)), "10 in row 9"),
}


@pytest.mark.parametrize("fault", IDX_FAULTS)
def test_idx_with_one_wrong_file(tmp_path, fault):
    name, content, text = IDX_FAULTS[fault]
    write_idx(tmp_path, TRAIN, TEST)
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path)
    assert text in message
    assert "train-" in message


def test_idx_without_its_partner(tmp_path):
    (tmp_path / "my-images-idx3-ubyte").write_bytes(idx_bytes(TRAIN.images))
    assert "its partner my-labels-idx1-ubyte" in refused(tmp_path / "my-images-idx3-ubyte")
    (tmp_path / "foo-ubyte").write_bytes(idx_bytes(TRAIN.images))
    assert "a name like train-images-idx3-ubyte" in refused(tmp_path / "foo-ubyte")


class Trap:
    """Unpickling this would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_npz_is_never_unpickled(tmp_path):
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    np.savez(tmp_path / "d.npz", images=trap, labels=np.zeros(1))
    assert "pickled objects, which are never read" in refused(tmp_path / "d.npz")
    assert not (tmp_path / "sprung").exists()


def npy_that_claims(shape):
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


NPZ_FAULTS = {
    "keys": ({"a": FLAT, "b": TRAIN.labels}, "arrays: found a, b, need x_train, y_train"),
    "nan": ({"images": FLAT * np.nan, "labels": TRAIN.labels}, "nan in row 0"),
    "colour": ({"images": np.zeros((4, 8, 8, 3), np.uint8), "labels": np.zeros(4)}, "shape (4, 8, 8, 3)"),
    "fewer-labels": ({"images": FLAT, "labels": TRAIN.labels[1:]}, "beside 40 images"),
    "labels": ({"images": FLAT, "labels": TRAIN.labels + 5}, "10 in row 5"),
    "text": ({"images": FLAT, "labels": TRAIN.labels.astype(str)}, "need plain numbers"),
    "empty": ({"images": FLAT[:0], "labels": TRAIN.labels[:0]}, "shape (0, 64)"),
}


@pytest.mark.parametrize("fault", NPZ_FAULTS)
def test_npz_with_wrong_arrays(tmp_path, fault):
    arrays, text = NPZ_FAULTS[fault]
    np.savez(tmp_path / "d.npz", **arrays)
    assert text in refused(tmp_path / "d.npz")


def test_npz_damaged_or_lying(tmp_path):
    np.savez(tmp_path / "whole.npz", images=TRAIN.images, labels=TRAIN.labels)
    whole = (tmp_path / "whole.npz").read_bytes()
    for content in (b"", b"PK\x03\x04", whole[:-30], whole[:500], bytes(100)):
        (tmp_path / "d.npz").write_bytes(content)
        refused(tmp_path / "d.npz")
    for content, text in [
        (npy_that_claims("(1000000000000, 8, 8)"), "need 1..16777216 bytes"),
        (npy_that_claims("(40, 8, 8)"), "0 bytes of data"),
        (npy_that_claims("__import__('os')"), "malformed header"),
        (b"\x93NUMPY\x09\x09", "NPY version"),
        (b"rubbish", "malformed header"),
    ]:
        with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
            archive.writestr("images.npy", content)
            archive.writestr("labels.npy", content)
        assert text in refused(tmp_path / "d.npz")


ROW = ",".join(["3"] + ["7"] * 64)
CSV_FAULTS = {
    "empty": ("", "no line of data"),
    "header-alone": ("label,p1,p2\n", "a header alone"),
    "ragged": (f"{ROW}\n{ROW},9\n", "66 columns in line 2, need 65"),
    "ragged-after-header": (f"label{',p' * 64}\n{ROW}\n3,7\n", "2 columns in line 3"),
    "text": (f"{ROW}\n{ROW.replace('7', 'x')}\n", "no number table"),
    "hole": (f"{ROW}\n3,,{ROW[4:]}\n", "no number table"),
    "nan": (f"{ROW}\n{ROW.replace('7', 'nan', 1)}\n", "nan in row 1, pixel 0"),
    "above-255": (f"{ROW.replace('7', '256', 1)}\n", "256 in row 0"),
    "negative": (f"{ROW.replace('7', '-7', 1)}\n", "-7 in row 0"),
    "fraction": (f"{ROW.replace('7', '0.5', 1)}\n", "0.5 in row 0, pixel 0, beside values above 1"),
    "not-square": ("3,7,7,7\n", "shape (1, 3)"),
    "label-only": ("3\n4\n", "0x0 pixels"),
    "label-10": (f"1{ROW[1:]}\n10{ROW[1:]}\n", "10.0 in row 1"),
    "label-last": (f"{'p,' * 64}label\n{ROW}\n", "header: found label in column 65"),
    "binary": (b"\xff\xfe\x00\x01" * 9, "need UTF-8 text"),
}


@pytest.mark.parametrize("fault", CSV_FAULTS)
def test_csv_with_a_fault(tmp_path, fault):
    content, text = CSV_FAULTS[fault]
    (tmp_path / "d.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert text in refused(tmp_path / "d.csv")


USPS_FAULTS = {
    "index-257": ("1 257:0.5", "index 257 after 0"),
    "index-falls": ("1 2:0.5 1:0.5", "index 1 after 2"),
    "no-colon": ("1 0.5 0.6", "row 1"),
    "label-0": ("0 1:0.5", "need whole numbers 1..10"),
    "label-11": ("11 1:0.5", "need whole numbers 1..10"),
    "value-2": ("1 1:2", "need values -1..1"),
    "value-nan": ("1 1:nan", "need values -1..1"),
}


@pytest.mark.parametrize("fault", USPS_FAULTS)
def test_libsvm_with_a_fault(tmp_path, fault):
    row, text = USPS_FAULTS[fault]
    (tmp_path / "usps").write_text(row + "\n")
    (tmp_path / "usps.t").write_text("1 1:0.5\n")
    assert text in refused(tmp_path)


def test_esl_with_a_fault(tmp_path):
    (tmp_path / "zip.test").write_text("3 " + "0 " * 256)
    for row, text in [
        ("3 " + "0 " * 255, "columns: found 256"),
        ("10 " + "0 " * 256, "10.0 in row 0"),
        ("3 " + "9 " * 256, "-1..1"),
    ]:
        (tmp_path / "zip.train").write_text(row + "\n")
        assert text in refused(tmp_path)


def test_a_bomb_stops_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("host.data.streams.MAX_TEXT_BYTES", 1 << 20)
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(b"1," * (1 << 20)))
    assert "need at most 1 MiB of text" in refused(tmp_path / "d.csv.gz")


def test_paths_of_no_known_kind(tmp_path):
    (tmp_path / "digits.h5").write_bytes(b"x")
    assert "did you mean digits.h5?" in refused(tmp_path / "digit.h5")
    assert "nor its directory" in refused(tmp_path / "no" / "x.h5")
    (tmp_path / "notes.txt").write_text("hello")
    assert "an unknown kind of file" in refused(tmp_path / "notes.txt")
    (tmp_path / "nothing").mkdir()
    assert "directory: found nothing" in refused(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.h5")
    assert "no regular file" in refused(tmp_path / "pipe.h5")


def test_a_name_with_a_newline_stays_one_line(tmp_path):
    path = tmp_path / "two\nlines.csv"
    path.write_text("1,2\n")
    with pytest.raises(InputError) as caught:
        data.load(str(path))
    assert str(caught.value).isprintable()


@pytest.fixture
def folder_of_anyone():
    """The tests' user here is nobody where it was root, who may read everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(65534)
        yield Path(folder)
        if was_root:
            os.seteuid(0)


def test_an_unreadable_file(folder_of_anyone):
    path = write_csv(folder_of_anyone / "d.csv", TRAIN)
    path.chmod(0)
    assert "Permission denied" in refused(path)


def test_class_names_must_be_many_and_different(tmp_path):
    write_csv(tmp_path / "d.csv", TRAIN)
    (tmp_path / "d.classes.txt").write_text("A\nA\n")
    assert "2 names, 1 different" in refused(tmp_path / "d.csv")
