"""Files of a net's inputs: what is taken, what belongs together, and that nothing is read that could harm."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from host import data
from host.errors import InputError

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


def written(place: Path, **arrays: object) -> str:
    np.savez(place / "d.npz", **arrays)
    return str(place / "d.npz")


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 12), (5, 4, 3), (5, 2, 3, 2)])
def test_inputs_come_as_they_are(tmp_path, dtype, shape):
    values = IMAGES.reshape(shape).astype(dtype)
    found = data.load_any(written(tmp_path, inputs=values))
    assert isinstance(found, data.Inputs)
    assert (found.name, found.labels, found.original) == ("d.npz", None, None)
    assert found.values.dtype == dtype
    assert np.array_equal(found.values, values)


def test_what_stands_beside_them_comes_along(tmp_path):
    codes, outputs = np.eye(5, 3).astype(np.int8), np.eye(5, 3)[:, ::-1]
    path = written(tmp_path, inputs=IMAGES, labels=np.arange(5)[:, None], codes=codes, outputs=outputs)
    found = data.load_any(path)
    assert found.labels.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(found.original.codes, codes)
    assert np.array_equal(found.original.outputs, outputs)
    assert found.original.classes.tolist() == [0, 1, 2, 0, 0], "codes say more than outputs behind a softmax"
    assert data.Original(None, outputs).classes.tolist() == [2, 1, 0, 0, 0]
    assert data.load_any(written(tmp_path, inputs=IMAGES, labels=np.arange(5))).sha256 != found.sha256
    assert data.load_any(written(tmp_path, inputs=IMAGES, labels=np.arange(5))).original is None


def test_images_to_learn_from_win(tmp_path):
    images, labels = np.zeros((30, 4, 4), np.uint8), np.arange(30) % 10
    found = data.load_any(written(tmp_path, inputs=images, images=images, labels=labels))
    assert isinstance(found, data.Dataset)


def test_nobody_learns_from_inputs(tmp_path):
    with pytest.raises(InputError, match=r"arrays: found inputs, labels, need .*; verify, evaluate or calibrate"):
        data.load(written(tmp_path, inputs=IMAGES, labels=np.arange(5)))


WRONG = {
    "whole numbers of any kind": ({"inputs": IMAGES.astype(np.int64)}, "inputs: found values of type int64"),
    "text": ({"inputs": np.array([["a"]])}, "inputs: found values of type"),
    "one axis": ({"inputs": IMAGES.ravel()}, "inputs: found shape (60,)"),
    "five axes": ({"inputs": IMAGES[:, None, None]}, "inputs: found shape (5, 1, 1, 4, 3)"),
    "nothing": ({"inputs": IMAGES[:0]}, "inputs: found shape (0, 4, 3)"),
    "labels too few": ({"labels": np.arange(4)}, "labels: found shape (4,) beside 5 inputs"),
    "labels of two columns": ({"labels": np.zeros((5, 2))}, "labels: found shape (5, 2)"),
    "codes too few": ({"codes": np.zeros((4, 3), np.int8)}, "codes: found shape (4, 3) beside 5 inputs"),
    "codes of one class": ({"codes": np.zeros((5, 1), np.int8)}, "codes: found shape (5, 1)"),
    "codes of floats": ({"codes": np.zeros((5, 3))}, "codes: found values of type float64, need int8, or int32"),
    "outputs without rows": ({"outputs": np.zeros(5)}, "outputs: found shape (5,)"),
    "outputs without value": ({"outputs": np.full((5, 3), np.nan)}, "outputs: found NaN or infinity in row 0"),
    "pickles": ({"inputs": np.array([[object()]] * 5, object)}, "inputs: found pickled objects, which are never read"),
    "pickles beside": ({"codes": np.array([[object()]] * 5, object)}, "codes: found pickled objects"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_belong_together_is_refused_in_one_line(tmp_path, case):
    arrays, need = WRONG[case]
    with pytest.raises(InputError) as caught:
        data.load_any(written(tmp_path, **{"inputs": IMAGES, **arrays}))
    assert need in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/d.npz: ")
    assert "\n" not in str(caught.value)


def test_a_header_that_promises_too_much_is_refused_before_anything_is_allocated(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 255, 255)})
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as file:
        file.writestr("inputs.npy", stream.getvalue())
    with pytest.raises(InputError, match=r"inputs: found shape \(1048576, 255, 255\), 272734617600 bytes, need 1\.\."):
        data.load_any(str(tmp_path / "d.npz"))


def test_a_damaged_archive_is_one_line(tmp_path):
    path = Path(written(tmp_path, inputs=IMAGES))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"d\.npz: file: found damage"):
        data.load_any(str(path))


@pytest.mark.parametrize(
    ("name", "shape"), [("magic_wand", (240, 128, 3, 1)), ("micro_speech", (240, 49, 40, 1)),
                        ("keyword_spotting", (240, 50, 10, 1))],
)  # fmt: skip
def test_the_answers_of_real_nets_are_read(real_data, name, shape):
    path = real_data / "models" / f"{name}.golden.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in DIGITDUINO_DATA")
    found = data.load_any(str(path))
    assert found.values.shape == shape
    assert found.original.codes.dtype == np.int8
    assert len(found.original.outputs) == 240
