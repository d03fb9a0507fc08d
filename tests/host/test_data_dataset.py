"""The embedded digits, the split, the checks of the dataclasses, and names."""

import numpy as np
import pytest
from data_files import small_split

from host import data
from host.data import digits
from host.data.dataset import DIGITS, Split, content_sha256, make_dataset, stratified_split
from host.data.digits import enlarge
from host.data.values import Scale, to_levels
from host.errors import InputError


def test_the_embedded_digits_are_real_digits_on_16x16_and_the_same_everywhere():
    digits = data.load("digits")
    assert digits.train.images.shape == (1438, 16, 16)
    assert digits.test.images.shape == (359, 16, 16)
    assert digits.train.images.min() == 0
    assert digits.train.images.max() == 255
    assert digits.labels == DIGITS
    assert digits.image_shape == (16, 16)
    assert digits.sha256 == "25ce88004ec3de3332c13f71ae7f6f0fb1b7f5e1c1303c57e4c67dad39eba73a"
    shares = np.bincount(digits.test.labels) / np.bincount(np.r_[digits.train.labels, digits.test.labels])
    assert shares.min() > 0.19
    assert shares.max() < 0.21


@pytest.mark.parametrize("file", [digits._FILE, "datasets/data/none.csv.gz"])
def test_the_embedded_digits_are_scikit_learns(monkeypatch, file):
    """Also where it keeps them in another place than today."""
    from sklearn import datasets

    monkeypatch.setattr(digits, "_FILE", file)
    bunch = datasets.load_digits()
    images, labels = digits._small_digits()
    assert np.array_equal(images, bunch.images) and np.array_equal(labels, bunch.target)


def test_enlarging_keeps_the_digit():
    one = np.array([[[0, 16], [16, 16]]])
    assert enlarge(one).tolist() == [[[0, 64, 191, 255], [64, 112, 207, 255], [191, 207, 239, 255], [255] * 4]]
    digits = np.random.default_rng(0).integers(0, 17, (5, 8, 8))
    pooled = enlarge(digits).reshape(5, 8, 2, 8, 2).mean(axis=(2, 4))
    assert np.corrcoef(pooled.ravel(), digits.ravel())[0, 1] > 0.9
    assert (enlarge(np.full((1, 8, 8), 16)) == 255).all()
    assert (enlarge(np.zeros((1, 8, 8), np.int64)) == 0).all()


def test_the_split_is_stratified_reproducible_and_complete():
    images = np.arange(50, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    labels = np.repeat(np.array([0, 1, 2]), [30, 19, 1])
    train, test = stratified_split(images, labels)
    assert np.bincount(test.labels).tolist() == [6, 4]
    assert np.bincount(train.labels).tolist() == [24, 15, 1]
    assert sorted(np.r_[train.images[:, 0, 0], test.images[:, 0, 0]].tolist()) == list(range(50))
    again = stratified_split(images, labels)
    assert content_sha256(train, test) == content_sha256(*again)


def test_one_image_cannot_be_split():
    with pytest.raises(InputError, match="hold out a fifth"):
        stratified_split(np.zeros((1, 8, 8), np.uint8), np.zeros(1, np.int64))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((3, 8, 8)), np.zeros(3, np.int64)),
        (np.zeros((3, 64), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((3, 8, 8), np.uint8), np.zeros(3, np.int32)),
        (np.zeros((3, 8, 8), np.uint8), np.zeros(2, np.int64)),
        (np.zeros((0, 8, 8), np.uint8), np.zeros(0, np.int64)),
        (np.zeros((3, 2, 300), np.uint8), np.zeros(3, np.int64)),
    ],
)
def test_a_split_refuses_what_it_does_not_promise(images, labels):
    with pytest.raises(InputError):
        Split(images, labels)


def test_a_dataset_refuses_splits_that_do_not_belong_together():
    with pytest.raises(InputError, match="8x8 in train and 9x9 in test"):
        make_dataset("x", small_split(side=8), small_split(side=9))
    with pytest.raises(InputError, match=r"labels 0\.\.9, need 0\.\.4"):
        make_dataset("x", small_split(), small_split(), DIGITS[:5])


def test_arrays_are_read_only_but_the_callers_stay_writable():
    images = np.zeros((2, 8, 8), np.uint8)
    split = Split(images, np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="read-only"):
        split.images[0, 0, 0] = 1
    images[0, 0, 0] = 1


def test_the_hash_sees_every_pixel_label_and_shape():
    base, other = small_split(), small_split(seed=1)
    images, labels = base.images.copy(), base.labels.copy()
    images[3, 2, 1] ^= 1
    labels[3] ^= 1
    variants = [
        (base, other),
        (other, base),
        (Split(images, base.labels), other),
        (Split(base.images, labels), other),
        (Split(base.images.reshape(40, 4, 16), base.labels), other),
    ]
    assert len({content_sha256(*v) for v in variants}) == len(variants)


def test_ties_round_alike_from_every_scale_and_precision():
    thousandths = np.arange(-1000, 1001).reshape(1, -1)
    decimal = to_levels("x", "x", thousandths / 1000, Scale.SIGNED)
    for unit in ((thousandths / 1000 + 1) / 2, (thousandths + 1000) / 2000):
        for dtype in (np.float32, np.float64):
            assert (to_levels("x", "x", unit.astype(dtype), Scale.UNIT) == decimal).all()
    single = ((thousandths + 1000) / 2000).astype(np.float32)
    assert (np.rint(single * 255) == decimal).all()  # the plain formula on the seed's file


def test_levels_survive_division_by_255():
    levels = np.arange(256, dtype=np.uint8).reshape(1, -1)
    for dtype in (np.float16, np.float32, np.float64):
        assert (to_levels("x", "x", (levels / 255).astype(dtype), Scale.UNIT) == levels).all()


@pytest.mark.parametrize(
    ("name", "hint"), [("usp", "usps"), ("USPS", "usps"), ("minst", "mnist"), ("digit", "digits"), ("Mnist", "mnist")]
)
def test_an_unknown_name_gets_the_nearest_one(name, hint):
    with pytest.raises(InputError, match=rf"did you mean {hint}\?.*digits, usps, mnist or a path"):
        data.load(name)


@pytest.mark.parametrize("name", ["", "zzz", "a\nb", "\0", "x" * 5000, "a/b/c", "\x1b[31m", "file.h5", "\0.h5"])
def test_any_other_name_gets_one_clean_line(name):
    with pytest.raises(InputError) as caught:
        data.load(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_a_named_set_that_is_not_there_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITDUINO_DATA", str(tmp_path / "nowhere"))
    monkeypatch.delenv("DIGITDUINO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="host fetch mnist") as caught:
        data.load("mnist")
    assert str(tmp_path / "nowhere") in str(caught.value)
    assert str(tmp_path / "cache/digitduino") in str(caught.value)
