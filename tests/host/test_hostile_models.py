"""Models whose attributes and names are made to harm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hostile_refusals import Runner, refused, save_model

from host import pretrained

MODEL_ATTRIBUTES: dict[str, tuple[str, str, object]] = {
    "labels of a mebibyte": ("/", "labels", json.dumps(["x" * (1 << 21)] * 10)),
    "labels nested": ("/", "labels", "[" * 100_000),
    "labels of numbers": ("/", "labels", "[1,2,3]"),
    "labels with escapes": ("/", "labels", json.dumps(["\x1b[2J", *"123456789"])),
    "labels with a surrogate": ("/", "labels", json.dumps(["\ud800", *"123456789"])),
    "labels with a new line": ("/", "labels", json.dumps(["a\nb", *"123456789"])),
    "labels turned around": ("/", "labels", json.dumps(["\u202eabc", *"123456789"])),
    "labels too long": ("/", "labels", json.dumps(["x" * 65, *"123456789"])),
    "an endless seed": ("provenance", "seed", float("inf")),
    "a seed that is no number": ("provenance", "seed", "seven"),
    "an architecture nested": ("/", "architecture", "[" * 100_000),
    "an architecture of numbers": ("/", "architecture", "[1,2,3]"),
    "an architecture with escapes": ("/", "architecture", json.dumps({"input_shape": "\x1b[2J", "layers": []})),
    "a scale of texts": ("/", "scaling_divisor", "wide"),
    "scales of many": ("/", "scaling_divisor", np.ones(5000)),
    "a shape of texts": ("/", "input_shape", ["a", "b"]),
    "a shape of three": ("/", "input_shape", [16, 16, 16]),
    "an endless range": ("layers/0", "output_max", float("inf")),
    "a range of many": ("layers/0", "output_max", np.ones(5000)),
    "a version of texts": ("/", "format_version", "1"),
    "versions": ("/", "format_version", [1, 2]),
    "levels with escapes": ("/", "front_end", "\x1b]0;title\x07"),
    "a hash with escapes": ("/", "content_hash", "\x1b[31m"),
    "a step of NaN": ("layers/0", "weight_step", float("nan")),
}


ONLY_IN_VERSION_1 = ("input_shape", "front_end", "weight_step")


@pytest.mark.parametrize("case", MODEL_ATTRIBUTES)
def test_hostile_attributes_of_a_model(run_limited: Runner, tmp_path: Path, case: str) -> None:
    group, name, value = MODEL_ATTRIBUTES[case]
    path = tmp_path / "m.h5"
    if name in ONLY_IN_VERSION_1:
        shutil.copyfile(pretrained.FOLDER / "preconv-usps.h5", path)
    else:
        save_model(path)
    with h5py.File(path, "a", libver="latest") as file:
        file[group].attrs[name] = value
    assert "m.h5" in refused(run_limited, tmp_path, "export", path, "-o", "headers")


def test_a_model_with_a_hundred_thousand_groups(run_limited: Runner, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    save_model(path)
    with h5py.File(path, "a", libver="latest") as file:
        empty = file.create_group("empty")
        for index in range(5000):
            empty[f"link {index}"] = empty
    assert "thousands" in refused(run_limited, tmp_path, "export", path, "-o", "headers")


def test_a_model_that_names_itself_for_a_terminal_is_escaped(run_limited: Runner, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    save_model(path)
    with h5py.File(path, "a") as file:
        file["provenance"].attrs["preset"] = "evil\x1b[2J\n*/ int x;"
    code, said, _ = run_limited(tmp_path, "export", path, "--board", "uno", "-o", "headers")
    assert code == 0 and "\x1b" not in said and "evil\\x1b[2J */ int x;" in said
    text = (tmp_path / "headers/model.h").read_text()
    assert "\x1b" not in text and "evil" in text and "*/ int" not in text
