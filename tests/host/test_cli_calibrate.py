"""`host calibrate`, and that no integers are made of a net whose ranges nobody measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from inputs_files import floats, oblong_network, saved, without_ranges
from networks import network_of, random_images, random_network

from host.cli import main
from host.data import Samples
from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.dense_chain import DenseNumbers, join
from host.nn.encode import encode
from host.nn.formats import WeightFormat
from host.nn.inference import scores_and_ranges
from host.nn.layers import Conv2d, FixedConv2d, Flatten, ReLU
from host.nn.network import Provenance, QatResult
from host.quantise.calibrate import calibrate, measure_ranges
from host.quantise.lower import lower

INTEGERS = [fmt for fmt in WeightFormat if fmt.is_integer]


@pytest.fixture
def place(tmp_path):
    """A model without ranges, and inputs."""
    saved(tmp_path, without_ranges(oblong_network()), "bare.h5")
    np.savez(tmp_path / "d.npz", inputs=floats())
    return tmp_path


def samples(count: int = 40) -> Samples:
    return Samples(encode(oblong_network(), floats(count)))


def refused(capsys, *arguments: object) -> str:
    assert main([*map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


NETS = {
    "rows of their own": oblong_network,
    "by layer": lambda: random_network(1),
    "a fixed kernel": lambda: network_of((FixedConv2d(((1, 0), (-1, 1))), ReLU(), Flatten())),
}


@pytest.mark.parametrize("fmt", INTEGERS, ids=lambda fmt: fmt.label)
@pytest.mark.parametrize("net", NETS)
def test_no_integers_are_made_of_a_net_without_ranges(net, fmt):
    network = NETS[net]()
    assert lower(network, fmt, prune=False).ops
    with pytest.raises(InputError, match=f"^{fmt.label}: layer . ?.*range of its outputs: found none.*host calibrate"):
        lower(without_ranges(network), fmt)


def test_floats_need_no_ranges():
    bare, network = without_ranges(oblong_network()), oblong_network()
    for fmt in (WeightFormat.FLOAT32, WeightFormat.FLOAT16):
        assert lower(bare, fmt).hash == lower(network, fmt).hash


def test_scores_alone_need_no_ranges():
    network = network_of("one layer")
    assert lower(without_ranges(network)).hash == lower(network).hash


def test_a_layer_that_is_always_silent_is_no_net_without_ranges():
    """As files of version 1 have it: the hidden layer's range is 0, the scores' is not."""
    first = DenseNumbers(np.zeros((5, 16), np.float32), np.full(5, -1, np.float32), None, output_max=0.0)
    last = DenseNumbers(np.ones((3, 5), np.float32), np.float32([0, 1, 2]), None, output_max=2.0)
    network = join((8, 8), 255, (first, last), ("a", "b", "c"), Provenance("digits", "0" * 64, "test", 0))
    assert lower(network, prune=False).classes == 3
    layers = (Conv2d(3, 3), ReLU(), Flatten())
    silent = network_of(layers, side=8)
    ranges = list(silent.output_max)
    ranges[1] = 0.0
    assert lower(replace(silent, output_max=tuple(ranges)), prune=False).classes == 10


@pytest.mark.parametrize(
    "command", [("export",), ("verify", "--board", "native", "--data"), ("evaluate", "--format", "int4", "--data")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_every_command_says_what_is_missing(place, capsys, command):
    given = [place / "d.npz"] if "--data" in command else ["-o", place / "out"]
    line = refused(capsys, command[0], place / "bare.h5", *command[1:], *given)
    assert "range of its outputs: found none" in line
    assert "run `host calibrate MODEL --data D`" in line
    assert not (place / "out").exists()


def test_evaluate_measures_floats_and_says_why_nothing_else(place, capsys):
    assert main(["evaluate", str(place / "bare.h5"), "--data", str(place / "d.npz"), "--json", str(place / "r")]) == 0
    assert set(json.loads((place / "r").read_text())["changed"]) == {"float32", "float16"}
    assert "left out: int8: layer 1: range" in capsys.readouterr().out


def test_measured_ranges_are_those_of_training_and_replace_the_file(place, capsys):
    assert main(["calibrate", str(place / "bare.h5"), "--data", str(place / "d.npz"), "--json", str(place / "r")]) == 0
    network = oblong_network()
    _, need = scores_and_ranges(network.parameters, network.scaling, samples().images[:, None])
    found, document = model_file.load(place / "bare.h5"), json.loads((place / "r").read_text())
    assert found.output_max == pytest.approx(need)
    assert document["output_max"] == list(found.output_max)
    assert (document["n"], document["accuracy"], document["percentile"]) == (40, None, None)
    assert document["hash"] == model_file.content_hash(found)
    assert document["float_agreement"]["int8 8-bit activations"] == found.calibrations[1].accuracy > 0.9
    assert [known.top for known in found.calibrations] == [63, 255]
    assert "answers as the float net" in capsys.readouterr().out
    assert main(["verify", str(place / "bare.h5"), "--data", str(place / "d.npz"), "--board", "native"]) == 0


def test_with_labels_it_tells_accuracies_and_keeps_the_source(place, capsys):
    before = (place / "bare.h5").read_bytes()
    np.savez(place / "l.npz", inputs=floats(), labels=np.arange(40) % 3)
    target = place / "out.h5"
    calibrating = ["calibrate", str(place / "bare.h5"), "--data", str(place / "l.npz"), "-o", str(target)]
    assert main([*calibrating, "--json", str(place / "r")]) == 0
    document = json.loads((place / "r").read_text())
    assert set(document["accuracy"]) == {"float32", "int8 6-bit activations", "int8 8-bit activations"}
    assert document["float_agreement"] is None
    assert (place / "bare.h5").read_bytes() == before
    once = target.read_bytes()
    assert main(calibrating) == 0
    assert target.read_bytes() == once
    assert "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("percentile", [25, 50, 90, 100])
def test_a_percentile_is_of_the_images(percentile):
    network = without_ranges(oblong_network())
    given = samples()
    singles = [measure_ranges(network, Samples(given.images[row : row + 1])).output_max for row in range(40)]
    need = np.sort(singles, axis=0)[int(np.ceil(39 * percentile / 100))]
    assert measure_ranges(network, given, percentile).output_max == pytest.approx(need, rel=1e-6)


def test_the_hundredth_percentile_is_the_largest():
    network = without_ranges(oblong_network())
    assert measure_ranges(network, samples(), 100.0).output_max == measure_ranges(network, samples()).output_max


def test_an_outlier_can_be_left_out():
    network = without_ranges(oblong_network())
    images = samples().images // 8
    images = np.concatenate([images, np.full_like(images[:1], 255)])
    wide, narrow = (measure_ranges(network, Samples(images), share).output_max[1] for share in (None, 95))
    assert narrow < wide / 2


def test_images_without_labels_are_judged_by_the_float_net():
    network = oblong_network()
    labelled = calibrate(network, replace(samples(), labels=np.zeros(40, np.int64)))
    judged = calibrate(network, samples())
    assert all(known.accuracy > 0.9 for known in judged.calibrations)
    for one, other in zip(labelled.calibrations, judged.calibrations, strict=True):
        for left, right in zip(one.densities, other.densities, strict=True):
            assert np.array_equal(left, right)


def test_ranges_that_training_chose_are_left_alone():
    network = random_network(1)
    none = (None,) * len(network.output_max)
    decided = QatResult("int8", network.parameters, none, (0.0,) * len(network.output_max))
    with pytest.raises(InputError, match="those that the training for int8 has chosen"):
        measure_ranges(replace(network, qat=(decided,)), Samples(random_images()))


def test_a_net_that_puts_out_nothing_has_nothing_to_be_measured():
    network = oblong_network()
    network.parameters.flat[:] = 0
    with pytest.raises(InputError, match="outputs that are all 0 on 40 images"):
        measure_ranges(network, samples())


def test_what_cannot_be_measured_writes_nothing(place, capsys):
    before = (place / "bare.h5").read_bytes()
    np.savez(place / "w.npz", inputs=floats(4, (9, 3)))
    calibrating = ("calibrate", place / "bare.h5", "--data")
    assert "found 9x3 numbers each, need 12x3" in refused(capsys, *calibrating, place / "w.npz")
    assert "does not exist" in refused(capsys, *calibrating, place / "d.npz", "-o", place / "none" / "x.h5")
    assert "comes with the package" in refused(capsys, "calibrate", "uno-cnn-usps", "--data", place / "d.npz")
    with pytest.raises(SystemExit):
        main([*map(str, calibrating), str(place / "d.npz"), "--percentile", "0"])
    assert (place / "bare.h5").read_bytes() == before
    assert sorted(path.name for path in Path(place).iterdir()) == ["bare.h5", "d.npz", "w.npz"]
