"""Headers: deterministic, exact, harmless whatever a model file calls itself; they compile and compute."""

import dataclasses
import re
import subprocess

import numpy as np
import pytest
from host.deploy.plan import ABI, plan
from host.deploy.quantise import quantise
from hypothesis import given
from hypothesis import strategies as st
from networks import random_network

from host.compile import render
from host.errors import InputError
from host.nn.formats import WeightFormat

FORMATS = (WeightFormat.FLOAT32, WeightFormat.FLOAT16, WeightFormat.INT8)
"""Of pre-convolved nets."""


def planned(fmt=WeightFormat.INT8, **options):
    return plan(quantise(random_network(**options), fmt))


@pytest.mark.parametrize("fmt", FORMATS)
def test_rendering_twice_gives_the_same_bytes(fmt):
    assert render.render(planned(fmt)) == render.render(planned(fmt))


def test_headers_carry_neither_date_nor_path():
    for text in render.render(planned()).values():
        assert not re.search(r"20\d\d-\d\d|/home|/tmp|/work|\d\d:\d\d", text)


@given(st.integers(0, 2**32 - 1).map(lambda bits: np.uint32(bits).view(np.float32)).filter(np.isfinite))
def test_float_literals_round_trip(value):
    literal = render.c_literal(value)
    assert literal.endswith("f") and ("." in literal or "e" in literal)
    assert np.float32(literal[:-1]).view(np.uint32) == value.view(np.uint32)


@given(st.text())
def test_no_text_can_end_or_open_a_comment(text):
    safe = render.c_comment(text)
    assert "*/" not in safe and "/*" not in safe and "\n" not in safe and safe.isascii()


def test_hostile_names_stay_inside_their_comment(tmp_path):
    network = random_network()
    network = dataclasses.replace(
        network,
        labels=("*/ int main(", '"', "\n#error", "??/"),
        provenance=dataclasses.replace(network.provenance, preset='x*/\n#include "/etc/passwd"'),
    )
    text = render.render(plan(quantise(network, WeightFormat.INT8)))["model.h"]
    (tmp_path / "nn.h").write_text(f"#define NN_ABI {ABI}\n")
    (tmp_path / "t.c").write_text(text + "\nint main(void) { return MODEL_CLASSES; }\n")
    subprocess.run(["gcc", "-Wall", "-Werror", "-I", tmp_path, tmp_path / "t.c", "-o", tmp_path / "t"], check=True)
    assert subprocess.run([tmp_path / "t"], check=False).returncode == 4


def test_another_core_is_a_compile_error_that_says_what_to_do(tmp_path):
    (tmp_path / "nn.h").write_text(f"#define NN_ABI {ABI + 1}\n")
    (tmp_path / "t.c").write_text(render.render(planned())["model.h"])
    result = subprocess.run(
        ["gcc", "-fsyntax-only", "-I", tmp_path, tmp_path / "t.c"], capture_output=True, text=True, check=False
    )
    assert result.returncode != 0 and "run `host export` again" in result.stderr


def test_writing_leaves_old_headers_when_the_disk_is_full(tmp_path, monkeypatch):
    render.write_headers(planned(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left"):
        render.write_headers(planned(seed=8), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_abi_is_the_cores(repository):
    header = (repository / "firmware/lib/nn/nn.h").read_text()
    assert re.search(rf"#define NN_ABI {ABI}\b", header)


def test_an_unknown_kernel_is_refused():
    with pytest.raises(InputError, match="portable"):
        plan(quantise(random_network(), WeightFormat.INT8), "quantum")


def test_sums_are_given_sixteen_bits_only_where_that_is_proved():
    small = plan(quantise(random_network(top=63), WeightFormat.INT8))
    for step in small.steps:
        low = step.bias + 63 * np.minimum(step.weights.astype(int), 0).sum(axis=1)
        high = step.bias + 63 * np.maximum(step.weights.astype(int), 0).sum(axis=1)
        assert (step.accumulator_bits == 16) == bool(low.min() >= -32768 and high.max() <= 32767)
    wide = planned(shape=(16, 16), scale=1.0)
    assert wide.steps[0].accumulator_bits == 32


def test_arena_regions_never_overlap_while_both_are_in_use():
    for fmt in FORMATS:
        for hidden in (1, 7, 40, 200):
            laid = planned(fmt, hidden=hidden)
            size = 1 if fmt is WeightFormat.INT8 else 4
            features = laid.steps[0].inputs
            assert 2 * features <= laid.arena_bytes
            assert laid.steps[0].source == 0 and features <= laid.steps[0].target
            assert laid.steps[0].target + size * laid.steps[0].outputs <= laid.arena_bytes
            assert laid.steps[1].source == laid.steps[0].target
            assert laid.steps[0].target % 4 == 0 and laid.arena_bytes % 4 == 0
