"""The model file: what is written is read; what is broken is refused in one line, and never half-written."""

import json
import os

import h5py
import numpy as np
import pytest
from broken_models import complaint_of, replace_dataset
from networks import LAYERS, drawn_images, network_of, random_network

from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.layers import Conv2d, Dense, FixedConv2d, Flatten, MaxPool2d, ReLU, preconv_layers
from host.nn.network import Scaling, float_scores

OFFSETS = np.arange(64, dtype=np.int16)
NETS = {
    **{name: lambda name=name: network_of(name) for name in LAYERS},
    "another scaling": lambda: network_of("plain", scaling=Scaling(31, 77.25)),
    "dense behind a front end": lambda: random_network(shape=(16, 16)),
    "no offset": lambda: random_network(shape=(16, 16), offset=False, top=63),
    "an offset for each input": lambda: network_of(
        (*preconv_layers(255), Conv2d(4, 3), ReLU(), Flatten()), scaling=Scaling(OFFSETS, 16.0)
    ),
    "any whole kernel": lambda: network_of((FixedConv2d(((-1, 0, 1),)), MaxPool2d(), Flatten(), Dense(5), ReLU())),
    "oblong": lambda: network_of(
        (Conv2d(3, (3, 2), (2, 1), (0, 1, 1, 0)), ReLU(), MaxPool2d((1, 2), (2, 1)), Flatten())
    ),
}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.h5"
    model_file.save(network_of("padded"), path)
    return path


@pytest.mark.parametrize("name", NETS)
def test_a_saved_network_reads_back_bit_for_bit(name, tmp_path):
    network = NETS[name]()
    model_file.save(network, tmp_path / "net.h5")
    back = model_file.load(tmp_path / "net.h5")
    assert back.architecture == network.architecture and back.scaling == network.scaling
    assert np.array_equal(back.parameters.flat, network.parameters.flat)
    assert (back.labels, back.output_max, back.provenance) == (network.labels, network.output_max, network.provenance)
    assert model_file.content_hash(back) == model_file.content_hash(network)
    images = drawn_images(5)
    assert np.array_equal(float_scores(back, images), float_scores(network, images))


def test_no_two_of_these_networks_have_one_hash():
    assert len({model_file.content_hash(make()) for make in NETS.values()}) == len(NETS)


def test_the_same_network_gives_the_same_bytes(saved, tmp_path):
    model_file.save(network_of("padded"), tmp_path / "again.h5")
    assert saved.read_bytes() == (tmp_path / "again.h5").read_bytes()


def architecture_with(file, change):
    plain = json.loads(file.attrs["architecture"])
    change(plain)
    file.attrs["architecture"] = json.dumps(plain)


def with_density(file, *shares, accuracy=0.5):
    file.create_group("calibrations/63").attrs["accuracy"] = accuracy
    file["calibrations/63/densities/0"] = np.array(shares, np.float32)


BREAKAGES = {
    "format_version: found 99": lambda f: f.attrs.__setitem__("format_version", 99),
    "root.architecture: found nothing": lambda f: f.attrs.__delitem__("architecture"),
    "architecture: found a wrong one": lambda f: architecture_with(f, lambda p: p["layers"].pop(-2)),
    "need one that fits together": lambda f: f.attrs.__setitem__("architecture", "[1]"),
    "not a readable model file": lambda f: f.attrs.__setitem__("architecture", "{"),
    "KeyError('Fourier')": lambda f: architecture_with(f, lambda p: p["layers"][0].update(kind="Fourier")),
    "numbers in one array": lambda f: architecture_with(f, lambda p: p["layers"][-1].update(units=10**9)),
    "found 1000 layers": lambda f: architecture_with(f, lambda p: p["layers"].extend([{"kind": "ReLU"}] * 992)),
    "them folded away": lambda f: architecture_with(f, lambda p: p["layers"].insert(-1, {"kind": "Dropout"})),
    "layers/0/weights: found (4, 1, 5, 5), need (4, 1, 3, 3)": lambda f: architecture_with(
        f, lambda p: p["layers"][0].update(kernel=3, padding=1)
    ),
    "layers/0/weights: found NaN": lambda f: f["layers/0/weights"].__setitem__((0, 0, 0, 0), np.nan),
    "layers/7/bias: found float64": lambda f: replace_dataset(f, "layers/7/bias", np.zeros(10)),
    "layers/7/bias: found no dataset": lambda f: f.__delitem__("layers/7/bias"),
    "layers/1: found no group": lambda f: f.__delitem__("layers/1"),
    "layers/1.output_max": lambda f: f["layers/1"].attrs.__setitem__("output_max", np.inf),
    "scaling_offset: found nan": lambda f: f.attrs.__setitem__("scaling_offset", np.nan),
    "scaling_offset: found 3 numbers, need 256": lambda f: (
        f.attrs.__delitem__("scaling_offset"),
        f.__setitem__("scaling_offset", np.zeros(3, np.int16)),
    ),
    "scaling_divisor: found 0.0": lambda f: f.attrs.__setitem__("scaling_divisor", 0.0),
    "labels: found 1": lambda f: f.attrs.__setitem__("labels", '["a"]'),
    "content_hash": lambda f: f["layers/0/weights"].__setitem__((0, 0, 0, 0), 0.5),
    "another hash": lambda f: f["layers/1"].attrs.__setitem__("output_max", 1.0),
    "provenance": lambda f: f.__delitem__("provenance"),
    "need it before": lambda f: architecture_with(
        f, lambda p: p["layers"].insert(3, {"kind": "MinMaxNormalise", "top": 9})
    ),
    "kernel: found ('a', 'b')": lambda f: architecture_with(f, lambda p: p["layers"][0].update(kernel=["a", "b"])),
    "calibrations/63/densities: found 0": lambda f: f.create_group("calibrations/63/densities"),
    "calibrations/63/densities/0: found none, need shares of 0..1": lambda f: with_density(f),
    "calibrations/63/densities/0: found -0.5..1, need shares": lambda f: with_density(f, 1, -0.5),
    "calibrations/63/densities/0: found 0..1.5, need shares": lambda f: with_density(f, 0, 1.5),
    "calibrations/63/accuracy: found 7.0, need a share of 0..1": lambda f: with_density(f, 1, accuracy=7),
    "calibrations/63/accuracy: found nan, need a share of 0..1": lambda f: with_density(f, 1, accuracy=np.nan),
    "architecture: found Flatten at its end, need a dense layer": lambda f: architecture_with(
        f, lambda p: p["layers"].pop()
    ),
    "links: found one that leads elsewhere": lambda f: (
        f.__delitem__("layers/1"),
        f.__setitem__("layers/1", h5py.SoftLink("/layers/0")),
    ),
    "kept in another file": lambda f: (
        f.__delitem__("layers/7/bias"),
        f["layers/7"].create_dataset("bias", (10,), np.float32, external=[("/etc/hostname", 0, 40)]),
    ),
}


@pytest.mark.parametrize("complaint", BREAKAGES)
def test_a_broken_file_is_refused_in_one_line(saved, complaint):
    assert complaint.replace("found 1000 layers", "found 1000") in complaint_of(saved, BREAKAGES[complaint])


def test_the_file_holds_no_pickle(saved):
    def check(name, node):
        assert not isinstance(node, h5py.Dataset) or node.dtype.kind in "f"

    with h5py.File(saved) as file:
        file.visititems(check)


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
        model_file.save(network_of("plain"), saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["net.h5"]


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        model_file.save(network_of("plain"), tmp_path / "none" / "net.h5")
