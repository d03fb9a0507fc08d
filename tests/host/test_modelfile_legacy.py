"""Model files of versions 1 and 2, which nothing writes any more: those that come with the package stay readable, keep
their hashes, and are refused in one line where they are broken."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from broken_models import complaint_of, replace_dataset

from host import pretrained
from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.dense_chain import split
from host.nn.layers import preconv_layers
from host.nn.network import float_scores
from host.quantise.lower import lower

KNOWN = {known.name: known for known in pretrained.index()}


def path_of(name):
    return pretrained.FOLDER / KNOWN[name].file_name


@pytest.mark.parametrize("name", KNOWN)
def test_the_trained_models_are_read_and_keep_their_hashes(name, tmp_path):
    network = model_file.load(path_of(name))
    with h5py.File(path_of(name)) as file:
        assert file.attrs["format_version"] in (1, 2)
    assert model_file.content_hash(network) == KNOWN[name].content_hash
    model_file.save(network, tmp_path / "new.h5")
    with h5py.File(tmp_path / "new.h5") as file:
        assert file.attrs["format_version"] == 3
        assert file.attrs["content_hash"] == KNOWN[name].content_hash
    back = model_file.load(tmp_path / "new.h5")
    assert back.architecture == network.architecture and back.scaling == network.scaling
    assert np.array_equal(back.parameters.flat, network.parameters.flat)
    assert (back.labels, back.output_max, back.provenance) == (network.labels, network.output_max, network.provenance)
    for one, other in zip(network.calibrations, back.calibrations, strict=True):
        assert (one.top, one.accuracy) == (other.top, other.accuracy)
        assert all(map(np.array_equal, one.densities, other.densities))
    for one, other in zip(network.qat, back.qat, strict=True):
        assert (one.format, one.top, one.output_steps) == (other.format, other.top, other.output_steps)
        assert np.array_equal(one.parameters.flat, other.parameters.flat)
        assert all(map(np.array_equal, one.weight_steps, other.weight_steps))
    model_file.save(back, tmp_path / "again.h5")
    assert (tmp_path / "new.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_the_model_of_the_committed_headers_is_read(repository: Path):
    network = model_file.load(repository / "firmware/model/default.h5")
    assert network.architecture.layers[: network.fixed] == preconv_layers(network.top)


def test_the_front_end_of_version_1_is_now_layers():
    """Its scores are still those of the features of the front end, by plain matrix products."""
    network = model_file.load(path_of("preconv-usps"))
    with h5py.File(path_of("preconv-usps")) as file:
        layers = [{name: file[f"layers/{k}/{name}"][()] for name in ("weights", "bias")} for k in (0, 1)]
        offset, levels = file["layers/0/input_offset"][()], int(file.attrs["levels"])
        ranges = [file[f"layers/{k}"].attrs["output_max"] for k in (0, 1)]
    assert network.architecture.layers[: network.fixed] == preconv_layers(levels) and network.top == levels
    assert network.output_max == (0.0, 0.0, 0.0, 0.0, 0.0, *ranges)
    images = np.random.default_rng(1).integers(0, 256, (30, 16, 16)).astype(np.uint8)
    padded = np.pad(images.astype(int), ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    blurred = rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]
    pooled = blurred.reshape(30, 8, 2, 8, 2).max(axis=(2, 4)).reshape(30, 64)
    low, high = pooled.min(axis=1, keepdims=True), pooled.max(axis=1, keepdims=True)
    features = (pooled - low) * levels // (high - low)
    hidden = np.maximum((features - offset) @ layers[0]["weights"].T.astype(float) + layers[0]["bias"], 0)
    scores = hidden @ layers[1]["weights"].T.astype(float) + layers[1]["bias"]
    np.testing.assert_allclose(float_scores(network, images), scores, rtol=1e-4, atol=1e-3)


def test_the_step_of_version_1_is_now_a_result_of_training_for_int8():
    network = model_file.load(path_of("preconv-cheap-usps"))
    with h5py.File(path_of("preconv-cheap-usps")) as file:
        steps = [file[f"layers/{k}"].attrs["weight_step"] for k in (0, 1)]
    result = network.qat_for("int8", network.top)
    assert network.top == 63 and set(result.output_steps) == {0.0}
    assert [set(rows.tolist()) for rows in result.weight_steps if rows is not None] == [{step} for step in steps]
    assert [layer.weight_step for layer in split(network)] == steps


def test_the_densities_of_version_1_are_those_of_the_dense_ops():
    network = model_file.load(path_of("preconv-usps"))
    with h5py.File(path_of("preconv-usps")) as file:
        densities = [file[f"calibrations/63/densities/{k}"][()].tolist() for k in (0, 1)]
    assert [op.density.tolist() for op in lower(network, top=63, prune=False).ops[1:]] == densities


def test_what_version_2_had_trained_for_int8_is_found_again():
    network = model_file.load(path_of("uno-cnn-usps"))
    with h5py.File(path_of("uno-cnn-usps")) as file:
        assert [result.format for result in network.qat] == list(file["tuned"])
        steps = [file[f"tuned/int8/layers/{k}"].attrs["output_step"] for k in range(len(network.output_max))]
    assert network.qat_for("int8").output_steps == tuple(steps)


VERSION_1 = {
    "format_version: found 99, need 1, 2 or 3": lambda f: f.attrs.__setitem__("format_version", 99),
    "front_end: found fourier": lambda f: f.attrs.__setitem__("front_end", "fourier"),
    "input_shape: found (7, 8)": lambda f: f.attrs.__setitem__("input_shape", [7, 8]),
    "levels: found 100": lambda f: f.attrs.__setitem__("levels", 100),
    "labels: found 1": lambda f: f.attrs.__setitem__("labels", '["a"]'),
    "layers/0/weights: found NaN": lambda f: f["layers/0/weights"].__setitem__((0, 0), np.nan),
    "layers/0/weights: found (3, 3)": lambda f: replace_dataset(f, "layers/0/weights", np.zeros((3, 3), np.float32)),
    "layers/1/bias: found float64": lambda f: replace_dataset(f, "layers/1/bias", np.zeros(4)),
    "layers/1/bias: found no dataset": lambda f: f.__delitem__("layers/1/bias"),
    "layers/1/input_offset: found (40,)": lambda f: f.__setitem__("layers/1/input_offset", np.zeros(40, np.int16)),
    "content_hash": lambda f: f["layers/0/weights"].__setitem__((0, 0), 0.5),
    "provenance": lambda f: f.__delitem__("provenance"),
    "layers/0.output_max": lambda f: f["layers/0"].attrs.__setitem__("output_max", -1.0),
    "layers/1.weight_step: found 1.0": lambda f: f["layers/1"].attrs.__setitem__("weight_step", 1.0),
    "calibrations/63/densities: found 0": lambda f: [f.__delitem__(f"calibrations/63/densities/{k}") for k in (0, 1)],
    "calibrations/63/densities: found [(64,)]": lambda f: f.__delitem__("calibrations/63/densities/1"),
}
VERSION_2 = {
    "tuned: found int3": lambda f: f.create_group("tuned/int3"),
    "tuned/int8/layers/1.output_step: found 0.0": lambda f: f["tuned/int8/layers/1"].attrs.__setitem__(
        "output_step", 0.0
    ),
    "root.architecture: found nothing": lambda f: f.attrs.__delitem__("architecture"),
    "found 1000 layers": lambda f: f.attrs.__setitem__(
        "architecture", json.dumps({"input_shape": [1, 16, 16], "layers": [{"kind": "ReLU"}] * 1000})
    ),
}


@pytest.mark.parametrize(
    ("name", "complaint", "change"),
    [("preconv-usps", *case) for case in VERSION_1.items()] + [("uno-cnn-usps", *case) for case in VERSION_2.items()],
)
def test_a_broken_field_is_named(tmp_path, name, complaint, change):
    path = tmp_path / "old.h5"
    shutil.copyfile(path_of(name), path)
    assert complaint.replace("found 1000 layers", "found 1000") in complaint_of(path, change)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), 1e-9, 0.1, 0.0])
def test_a_step_that_cannot_be_is_refused(tmp_path, value):
    path = tmp_path / "cheap.h5"
    shutil.copyfile(path_of("preconv-cheap-usps"), path)
    with h5py.File(path, "r+") as file:
        file["layers/1"].attrs["weight_step"] = value
    with pytest.raises(InputError, match=r"layers/1\.weight_step: found"):
        model_file.load(path)
