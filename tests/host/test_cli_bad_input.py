"""Bad input at the command line: one clear line, the right exit code, no traceback, nothing half-written."""

import gzip
import struct

import h5py
import numpy as np
import pytest
from networks import random_network

from host.cli import main
from host.modelfile import file as model_file


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *arguments, code=2):
    """Run a command that must fail; return its one line."""
    try:
        got = main([str(argument) for argument in arguments])
    except SystemExit as stop:  # argparse's own refusals
        got = stop.code
    out, err = capsys.readouterr()
    assert got == code, err
    assert "Traceback" not in out + err
    lines = [line for line in err.splitlines() if line and not line.startswith("usage:")]
    assert len(lines) == 1 or any(line.startswith("usage") for line in err.splitlines()), err
    return lines[-1]


def usps_like(path, images=None, labels=None):
    """An HDF5 file in the seed's layout."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for split in ("train", "test"):
            file[f"{split}/data"] = rng.random((40, 256), np.float32) if images is None else images
            file[f"{split}/target"] = np.arange(40) % 10 if labels is None else labels
    return path


def train(capsys, path):
    return refused(capsys, "train", "--data", path, "-o", "out.h5")


def test_missing_data_file(place, capsys):
    assert "nothing.h5" in train(capsys, place / "nothing.h5")
    assert not (place / "out.h5").exists()


def test_truncated_hdf5(place, capsys):
    path = usps_like(place / "d.h5")
    path.write_bytes(path.read_bytes()[:3000])
    assert "d.h5" in train(capsys, path)


def test_nan_pixels(place, capsys):
    images = np.zeros((40, 256), np.float32)
    images[3, 7] = np.nan
    assert "found nan in row 3" in train(capsys, usps_like(place / "d.h5", images))


def test_wrong_shape(place, capsys):
    assert "d.h5" in train(capsys, usps_like(place / "d.h5", np.zeros((40, 250), np.float32)))


def test_labels_out_of_range(place, capsys):
    assert "labels: found 300" in train(capsys, usps_like(place / "d.h5", labels=np.full(40, 300)))


def test_images_and_labels_of_different_length(place, capsys):
    assert "d.h5" in train(capsys, usps_like(place / "d.h5", labels=np.arange(39) % 10))


def test_bad_idx_magic(place, capsys):
    for name in ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"):
        (place / name).write_bytes(gzip.compress(struct.pack(">4i", 1234, 2, 28, 28) + bytes(2 * 784)))
    for name in ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (place / name).write_bytes(gzip.compress(struct.pack(">2i", 0x801, 2) + bytes(2)))
    assert "magic" in train(capsys, place)


def test_unknown_names_suggest_the_near_one(place, capsys):
    assert "digits" in refused(capsys, "train", "--data", "digit", "-o", "out.h5")
    assert "preconv" in refused(capsys, "train", "--data", "digits", "--preset", "precnov", "-o", "out.h5")
    model_file.save(random_network(shape=(16, 16), classes=10), place / "m.h5")
    assert "did you mean uno?" in refused(capsys, "export", "m.h5", "--board", "unu")
    assert "portable" in refused(capsys, "export", "m.h5", "--kernel", "protable")


def test_a_model_of_another_format_version(place, capsys):
    model_file.save(random_network(), place / "m.h5")
    with h5py.File("m.h5", "r+") as file:
        file.attrs["format_version"] = 7
    line = refused(capsys, "export", "m.h5")
    assert "format_version: found 7, need 1" in line


def test_a_model_that_is_no_model(place, capsys):
    (place / "m.h5").write_text("hello")
    assert "m.h5" in refused(capsys, "evaluate", "m.h5", "--data", "digits")


def test_a_model_for_other_images(place, capsys):
    model_file.save(random_network(shape=(28, 28), classes=10), place / "m.h5")
    assert "need 28×28" in refused(capsys, "evaluate", "m.h5", "--data", "digits")


def test_a_missing_output_folder_is_noticed_before_training(place, capsys):
    assert "does not exist" in refused(capsys, "train", "-o", "none/out.h5")


def test_an_output_that_cannot_be_written(place, capsys):
    model_file.save(random_network(shape=(16, 16), classes=10), place / "m.h5")
    (place / "file").write_text("in the way")
    assert "file" in refused(capsys, "export", "m.h5", "-o", "file")
    assert "file" in refused(capsys, "export", "m.h5", "-o", "file/below")
    assert (place / "file").read_text() == "in the way"


def test_a_full_disk(place, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    line = refused(capsys, "train", "--data", "digits", "--preset", "preconv-seed", "--epochs", "2", "-o", "out.h5")
    assert "No space left" in line
    assert list(place.iterdir()) == []


def test_a_model_that_does_not_fit_names_the_bytes_and_what_would(place, capsys):
    model_file.save(random_network(shape=(28, 28), classes=10, hidden=200), place / "m.h5")
    line = refused(capsys, "export", "m.h5", "--board", "uno", "-o", "headers")
    assert "flash: found 4" in line and "32,256 there" in line
    assert "--hidden" in line and "would fit as int8" in line
    assert not (place / "headers").exists()
    line = refused(capsys, "export", "m.h5", "--board", "uno", "--format", "float32")
    assert "RAM" not in line or "2,048" in line


def test_what_is_said_to_fit_fits(place, capsys):
    model_file.save(random_network(shape=(28, 28), classes=10, hidden=200), place / "m.h5")
    line = refused(capsys, "export", "m.h5", "--board", "uno")
    hidden = int(line.split("--hidden ")[1].split()[0])
    model_file.save(random_network(shape=(28, 28), classes=10, hidden=hidden), place / "fits.h5")
    assert main(["export", "fits.h5", "--board", "uno", "-o", "headers"]) == 0
    model_file.save(random_network(shape=(28, 28), classes=10, hidden=hidden + 1), place / "not.h5")
    assert main(["export", "not.h5", "--board", "uno", "-o", "headers"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "-o", "x.h5", "--hidden", "0"],
        ["train", "-o", "x.h5", "--hidden", "many"],
        ["train", "-o", "x.h5", "--hidden", "300"],
        ["train", "-o", "x.h5", "--reg", "nan"],
        ["train", "-o", "x.h5", "--reg", "-1"],
        ["train", "-o", "x.h5", "--epochs", "-3"],
        ["train"],
        ["verify", "m.h5", "--data", "digits"],
        ["verify", "m.h5", "--data", "digits", "--board", "uno", "--min-accuracy", "2"],
        ["frobnicate"],
        [],
    ],
)
def test_bad_usage(place, capsys, arguments):
    refused(capsys, *arguments)
    assert list(place.iterdir()) == []


def test_a_missing_port_is_a_link_failure_with_a_hint(place, capsys):
    model_file.save(random_network(shape=(16, 16), classes=10), place / "m.h5")
    line = refused(capsys, "verify", "m.h5", "--data", "digits", "--port", "/dev/ttyNone", code=3)
    assert "no such port" in line and "host ports" in line


def test_a_file_is_no_port(place, capsys):
    model_file.save(random_network(shape=(16, 16), classes=10), place / "m.h5")
    line = refused(capsys, "verify", "m.h5", "--data", "digits", "--port", place / "m.h5", code=3)
    assert "not a serial device" in line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["evaluate", "m.h5", "--data", "digits", "--json", "m.h5"], "--json"),
        (["verify", "m.h5", "--data", "digits", "--board", "native", "--journal", "m.h5"], "--journal"),
        (["train", "-o", "new.h5", "--json", "new.h5"], "--json"),
    ],
)
def test_no_output_falls_on_another_file_of_the_command(place, capsys, arguments, named):
    model_file.save(random_network(), place / "m.h5")
    before = (place / "m.h5").read_bytes()
    line = refused(capsys, *arguments)
    assert f"{named}: found" in line and line.endswith("choose another name")
    assert (place / "m.h5").read_bytes() == before and not (place / "new.h5").exists()


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_file_that_is_no_journal_is_left_alone(place, capsys, resume):
    model_file.save(random_network(shape=(16, 16), classes=10), place / "m.h5")
    (place / "diary.txt").write_text("Dear diary,")
    arguments = ["--data", "digits", "--board", "native", "--limit", 2, "--journal", "diary.txt"]
    assert "diary.txt: found a file that is no journal" in refused(capsys, "verify", "m.h5", *arguments, *resume)
    assert (place / "diary.txt").read_text() == "Dear diary,"


@pytest.mark.parametrize("option", ["-o", "--json"])
def test_a_place_that_cannot_be_written_is_refused_before_the_training(place, capsys, monkeypatch, option):
    def never(*arguments, **options):
        raise AssertionError("trained")

    monkeypatch.setattr("host.cli.train.train", never)
    (place / "folder").mkdir()
    for target in ("folder", "nowhere/out"):
        given = ["-o", "out.h5", "--json", target] if option == "--json" else ["-o", target]
        assert target.split("/")[0] in refused(capsys, "train", "--data", "digits", *given)
        assert not (place / "out.h5").exists()
