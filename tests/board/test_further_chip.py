"""A chip that no Arduino has, the ATmega1284P: where docs/adding-a-board.md leads, from a row of data to the verdict.

Its flash is read by ELPM, as a Mega's, and its program counter has two bytes, as an Uno's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from host.cli import main

BOARD = "atmega1284p"
IMAGES = 12


def verify(place: Path, *wish: str) -> dict[str, Any]:
    """What `host verify` says of some digits on the simulated chip."""
    target = place / "measured.json"
    run = ["--board", BOARD, "--data", "digits", "--limit", str(IMAGES), "--json", str(target)]
    assert main(["verify", *wish, *run]) == 0
    result: dict[str, Any] = json.loads(target.read_text())
    assert result["board"].items() >= {"kind": BOARD, "mcu": "atmega1284p", "f_cpu": 16_000_000}.items()
    assert (result["agreement"]["classes_equal"], result["agreement"]["scores_equal"]) == (IMAGES, IMAGES)
    return result


@pytest.mark.parametrize(
    ("model", "kernel"), [("preconv-usps", "unrolled"), ("preconv-usps", "asm"), ("uno-cnn-usps", "asm")]
)
def test_a_further_chip_answers_bit_for_bit_and_as_predicted(tmp_path: Path, model: str, kernel: str) -> None:
    predicted, wish = tmp_path / "predicted.json", [model, "--kernel", kernel]
    assert main(["export", *wish, "--board", BOARD, "-o", str(tmp_path / "out"), "--json", str(predicted)]) == 0
    budget, result = json.loads(predicted.read_text())["predicted"], verify(tmp_path, *wish)
    assert budget["ram_static"] == result["memory"]["ram_static"]
    assert budget["flash"] == pytest.approx(result["memory"]["flash"], rel=0.01)


@pytest.mark.parametrize("fmt", ["float32", "int4"])
def test_portable_kernels_read_its_far_flash(tmp_path: Path, fmt: str) -> None:
    assert verify(tmp_path, "preconv-usps", "--kernel", "portable", "--format", fmt)["model"]["format"] == fmt
