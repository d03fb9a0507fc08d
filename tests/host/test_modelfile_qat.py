"""The model file of a net that was trained for weight formats and tops of activations: read as written, or refused."""

from dataclasses import replace

import numpy as np
import pytest
from broken_models import complaint_of
from networks import qat_network, random_network

from host.modelfile import file as model_file
from host.nn.formats import WEIGHT_TOPS
from host.nn.network import QatResult

FORMATS = tuple(WEIGHT_TOPS)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.h5"
    model_file.save(qat_network("padded"), path)
    return path


def test_a_saved_net_reads_back_bit_for_bit(saved, tmp_path):
    network, back = qat_network("padded"), model_file.load(saved)
    assert [result.format for result in back.qat] == list(FORMATS)
    for one, other in zip(network.qat, back.qat, strict=True):
        assert np.array_equal(one.parameters.flat, other.parameters.flat)
        assert one.output_steps == other.output_steps
        for mine, theirs in zip(one.weight_steps, other.weight_steps, strict=True):
            assert (mine is None) == (theirs is None) and (mine is None or np.array_equal(mine, theirs))
    reordered = replace(network, qat=network.qat[::-1])
    assert model_file.content_hash(back) == model_file.content_hash(network) == model_file.content_hash(reordered)
    model_file.save(back, tmp_path / "again.h5")
    assert saved.read_bytes() == (tmp_path / "again.h5").read_bytes()


def test_only_a_tuned_net_has_another_hash():
    network = qat_network("plain")
    hashes = {model_file.content_hash(replace(network, qat=network.qat[:count])) for count in range(4)}
    assert len(hashes) == 4


def put(name, at, value):
    def change(file):
        file[name][at] = value

    return change


def put_attribute(name, value):
    return lambda file: file[name].attrs.__setitem__("output_step", value)


BREAKAGES = {
    "qat: found int3": lambda f: f.create_group("qat/int3"),
    "qat/int4: found 100": lambda f: f.create_group("qat/int4/100"),
    "qat/int4/255/layers/0/weights: found no dataset": lambda f: f.__delitem__("qat/int4/255/layers/0/weights"),
    "qat/int4/255/layers/0/weights: found others, need whole multiples": put(
        "qat/int4/255/layers/0/weights", (0, 0, 0, 0), 0.123456
    ),
    "qat/ternary/255/layers/7/weights: found NaN": put("qat/ternary/255/layers/7/weights", (0, 0), np.nan),
    "qat/int8/255/layers/0/weight_steps: found 4, the least 0.0": put("qat/int8/255/layers/0/weight_steps", 1, 0),
    "qat/int8/255/layers/7/weight_steps: found several steps": put("qat/int8/255/layers/7/weight_steps", 1, 1.0),
    "layers/1.output_step: found 0.0, need one above 0 behind a ReLU": put_attribute("qat/int8/255/layers/1", 0),
    "layers/2.output_step: found 0.5, need one above 0 behind a ReLU": put_attribute("qat/int8/255/layers/2", 0.5),
    "qat/int8/255/layers: found no group": lambda f: f.__delitem__("qat/int8/255/layers"),
    "qat/int8/255/layers/1.output_step: found nan": put_attribute("qat/int8/255/layers/1", np.nan),
    "content_hash": put("qat/int8/255/layers/0/bias", 0, 0.5),
    "another hash": put_attribute("qat/int8/255/layers/1", 0.5),
}


@pytest.mark.parametrize("complaint", BREAKAGES)
def test_a_broken_file_is_refused_in_one_line(saved, complaint):
    assert complaint in complaint_of(saved, BREAKAGES[complaint])


def narrow_result(network, top, output_step):
    """Weights of one step each, made by hand, for the dense layers behind a front end."""
    rows = [None] * len(network.architecture.layers)
    parameters = network.parameters.copy()
    for index in (4, 6):
        weights = parameters.of(index)["weights"]
        rows[index] = np.full(len(weights), 0.25, np.float32)
        weights[...] = np.clip(np.rint(weights / 0.25), -7, 7) * 0.25
    steps = [0.0] * len(rows)
    steps[5] = output_step
    return QatResult("int4", parameters, tuple(rows), tuple(steps), top)


@pytest.mark.parametrize("output_step", [0.0, 0.125])
def test_each_top_of_activations_has_numbers_of_its_own(tmp_path, output_step):
    network = random_network()
    network = replace(network, qat=(narrow_result(network, 63, output_step), narrow_result(network, 255, 0.5)))
    model_file.save(network, tmp_path / "net.h5")
    back = model_file.load(tmp_path / "net.h5")
    assert {(result.format, result.top) for result in back.qat} == {("int4", 63), ("int4", 255)}
    assert back.qat_for("int4", 63).output_steps[5] == output_step
    assert back.qat_for("int4").output_steps[5] == 0.5
    assert back.qat_for("int4", 15) is None and back.qat_for("int8", 63) is None
    hashes = {model_file.content_hash(replace(network, qat=(narrow_result(network, top, 0.5),))) for top in (63, 255)}
    assert len(hashes) == 2 and model_file.content_hash(random_network()) not in hashes
