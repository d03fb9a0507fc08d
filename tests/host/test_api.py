"""The documented Python API: the document's own example runs, and each function answers as its command does."""

import re
from pathlib import Path

import numpy as np
import pytest
from given_networks import GIVEN, given_network

from host import api
from host.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_of_the_document_runs(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.S).group(1)
    names = {}
    exec(compile(example, "docs/python.md", "exec"), names)
    flash, ram, cycles = map(int, capsys.readouterr().out.splitlines()[0].split())
    assert 5_000 < flash < 32_256 and 500 < ram < 2_048 and cycles > 1_000
    assert names["found"].document["n"] == 50 and names["found"].document["verdict"] == "pass"


def test_all_that_it_names_is_in_the_document():
    text = (ROOT / "docs/python.md").read_text()
    verbs = [name for name in api.__all__ if name[0].islower()]
    assert [name for name in verbs if f"{name}(" not in text and f"`{name}`" not in text] == []


def test_floats_are_calibrated_before_they_are_quantised(tmp_path):
    network = api.load_model("preconv-usps")
    path = tmp_path / "net.h5"
    api.save_model(network, path)
    assert api.quantise(api.load_model(path)).hash == api.quantise(network).hash


def test_a_net_that_does_not_fit_is_refused_with_its_numbers():
    network = given_network(GIVEN["given, dense"], (1, 100, 100))
    with pytest.raises(InputError, match=r"uno: .* flash: found [0-9,]+"):
        api.compile_for(network, "uno")


def test_mistakes_are_one_line_each():
    network = api.load_model("firmware/model/default.h5")
    graph, images = api.quantise(network), np.zeros((2, 16, 16), np.uint8)
    mistakes = {
        "format: found 'int7' (did you mean int8?)": lambda: api.quantise(network, "int7"),
        "activation_bits: found 7, need one of": lambda: api.quantise(network, "int8", 7),
        "import: input_range: found (1, 1)": lambda: api.import_model("x.tflite", input_range=(1, 1)),
        "digits: split: found 'testt' (did you mean test?)": lambda: api.load_samples("digits", network, "testt"),
        "images: found float64 (2, 16, 16), need codes": lambda: api.infer(graph, images / 255),
        "images: found uint8 (2, 256), need codes": lambda: api.float_scores(network, images.reshape(2, 256)),
    }
    for complaint, mistake in mistakes.items():
        with pytest.raises(InputError) as caught:
            mistake()
        assert str(caught.value).startswith(complaint) and "\n" not in str(caught.value)


def test_inputs_of_an_imported_net_are_taken_in_its_own_unit(tmp_path):
    network = given_network(GIVEN["given, dense"])
    values = np.random.default_rng(1).normal(0, 1, (20, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "inputs.npz", inputs=values)
    asked = api.load_samples(str(tmp_path / "inputs.npz"), network)
    zero, scale = network.scaling.offset, 1 / network.scaling.divisor
    assert np.array_equal(asked.samples.images, np.clip(np.rint(values / scale) + zero, 0, 255).reshape(20, 16, 16))
    assert asked.samples.labels is None and api.infer(api.quantise(network), asked.samples.images).scores.shape == (
        20,
        10,
    )
