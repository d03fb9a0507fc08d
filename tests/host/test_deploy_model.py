"""The model file: what is written is read; what is broken is refused in one line, and never half-written."""

import os

import h5py
import numpy as np
import pytest
from networks import random_network

from host.errors import InputError
from host.modelfile import file as model_file


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.h5"
    model_file.save(random_network(), path)
    return path


def test_a_saved_network_reads_back_bit_for_bit(saved):
    network, back = random_network(), model_file.load(saved)
    for layer, copy in zip(network.layers, back.layers, strict=True):
        assert np.array_equal(layer.weights, copy.weights) and np.array_equal(layer.bias, copy.bias)
        assert layer.output_max == copy.output_max
    assert np.array_equal(network.layers[0].input_offset, back.layers[0].input_offset)
    assert back.layers[1].input_offset is None
    assert back.provenance == network.provenance and back.labels == network.labels
    assert model_file.content_hash(back) == model_file.content_hash(network)


def test_the_same_network_gives_the_same_bytes(saved, tmp_path):
    model_file.save(random_network(), tmp_path / "again.h5")
    assert saved.read_bytes() == (tmp_path / "again.h5").read_bytes()


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def replace_dataset(file, name, data):
    del file[name]
    file[name] = data


BREAKAGES = {
    "format_version: found 99, need 1": lambda f: f.attrs.__setitem__("format_version", 99),
    "front_end": lambda f: f.attrs.__setitem__("front_end", "fourier"),
    "input_shape": lambda f: f.attrs.__setitem__("input_shape", [7, 8]),
    "levels": lambda f: f.attrs.__setitem__("levels", 100),
    "labels": lambda f: f.attrs.__setitem__("labels", '["a"]'),
    "layers/0/weights: found NaN": lambda f: f["layers/0/weights"].__setitem__((0, 0), np.nan),
    "layers/0/weights: found": lambda f: replace_dataset(f, "layers/0/weights", np.zeros((3, 3), np.float32)),
    "layers/1/bias: found float64": lambda f: replace_dataset(f, "layers/1/bias", np.zeros(4)),
    "layers/1/bias: found no dataset": lambda f: f.__delitem__("layers/1/bias"),
    "content_hash": lambda f: f["layers/0/weights"].__setitem__((0, 0), 0.5),
    "provenance": lambda f: f.__delitem__("provenance"),
    "layers/0.output_max": lambda f: f["layers/0"].attrs.__setitem__("output_max", -1.0),
    "links: found one that leads elsewhere": lambda f: (
        f.__delitem__("layers/1"),
        f.__setitem__("layers/1", h5py.SoftLink("/layers/0")),
    ),
    "kept in another file": lambda f: (
        f.__delitem__("layers/1/bias"),
        f["layers/1"].create_dataset("bias", (4,), np.float32, external=[("/etc/hostname", 0, 16)]),
    ),
}


@pytest.mark.parametrize("complaint", BREAKAGES)
def test_a_broken_field_is_named(saved, complaint):
    edit(saved, BREAKAGES[complaint])
    with pytest.raises(InputError, match=complaint) as caught:
        model_file.load(saved)
    assert str(saved) in str(caught.value) and "\n" not in str(caught.value)


def test_every_truncation_is_refused(saved):
    whole = saved.read_bytes()
    for length in range(0, len(whole) - 1, max(1, len(whole) // 50)):
        saved.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"net\.h5"):
            model_file.load(saved)


def test_a_missing_model_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match="host train"):
        model_file.load(tmp_path / "none.h5")


def test_a_full_disk_leaves_the_old_model_and_no_remains(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        model_file.save(random_network(9), saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["net.h5"]


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        model_file.save(random_network(), tmp_path / "none" / "net.h5")
