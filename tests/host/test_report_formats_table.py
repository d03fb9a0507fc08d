"""The table of formats as an importer shows it: the original, our floats and every rounding side by side."""

from __future__ import annotations

import json

import numpy as np
import pytest
from inputs_files import floats, oblong_network, without_ranges

from host.data import Original, Samples
from host.nn.encode import encode
from host.nn.formats import WeightFormat
from host.nn.network import float_scores
from host.quantise.calibrate import calibrate
from host.quantise.lower import lower
from host.quantise.reference import infer
from host.report.formats_table import formats_table

NETWORK = oblong_network()
IMAGES = encode(NETWORK, floats(60))
FLOATS = float_scores(NETWORK, IMAGES)
LABELS = np.array(FLOATS.argmax(axis=1), np.int64)
OUTPUTS = np.eye(3)[LABELS]
OUTPUTS[:6] = OUTPUTS[:6][:, [2, 0, 1]]


def document(found):
    return json.loads(json.dumps(found.document("d", "inputs"), allow_nan=False))


def test_widths_of_activations_are_rows_of_their_own():
    found = formats_table(NETWORK, Samples(IMAGES), widths=True)
    names = [row.name for row in found.rows]
    assert names[:4] == ["float32", "float16", "int8", "int8 6-bit activations"]
    narrow = infer(lower(NETWORK, WeightFormat.INT8, top=63), IMAGES).classes
    assert document(found)["changed"]["int8 6-bit activations"] == np.sum(narrow != found.row("float32").classes)
    assert found.cells[4][:2] == ["int8 6-bit", "post-training"]
    assert "int8 6-bit activations" not in [row.name for row in formats_table(NETWORK, Samples(IMAGES)).rows]


def test_where_six_bits_are_the_usual_ones_eight_are_the_others():
    network = calibrate(NETWORK, Samples(IMAGES, np.zeros(60, np.int64)))
    usual = formats_table(network, Samples(IMAGES), widths=True)
    assert [row.name for row in usual.rows][2:4] in (
        ["int8", "int8 8-bit activations"], ["int8", "int8 6-bit activations"]
    )  # fmt: skip
    hashes = {row.name: row.model_hash for row in usual.rows}
    tops = {lower(network, WeightFormat.INT8, top=top).hash for top in (63, 255)}
    assert {hashes[name] for name in list(hashes)[2:4]} == tops


def test_the_original_is_a_row_and_a_column():
    samples = Samples(IMAGES, LABELS, Original(None, OUTPUTS))
    found = formats_table(NETWORK, samples)
    head, original, first = found.cells[:3]
    assert head == ["format", "rounding", "accuracy", "changed", "unlike original", "weights"]
    assert original == ["original", "", "90.00 %", "6", "0", ""]
    assert first[:5] == ["float32", "", "100.00 %", "0", "6"]
    result = document(found)
    assert (result["accuracy"]["original"], result["changed"]["original"]) == (0.9, 6)
    for row in found.rows:
        equal = int(np.sum(row.classes == OUTPUTS.argmax(axis=1)))
        assert result["agreement"][row.name]["original_classes_equal"] == equal
        assert result["agreement"][row.name]["original_equal"] is None


def test_without_labels_and_original_their_columns_are_gone():
    found = formats_table(NETWORK, Samples(IMAGES))
    assert found.cells[0] == ["format", "rounding", "changed", "weights"]
    assert all(len(line) == 4 for line in found.cells)
    assert document(found)["agreement"] == {}


def test_codes_are_compared_where_ours_are_sums_too():
    codes = infer(lower(NETWORK), IMAGES).scores.astype(np.int32)
    codes[3, 0] += 5
    result = document(formats_table(NETWORK, Samples(IMAGES, None, Original(codes))))
    assert result["agreement"]["int8"]["original_equal"] == 59
    assert result["agreement"]["int8"]["original_first"] == {
        "index": 3, "class": 0, "found": int(codes[3, 0]) - 5, "original": int(codes[3, 0])
    }  # fmt: skip
    assert result["agreement"]["float16"]["original_equal"] is None


@pytest.mark.parametrize("name", [None, "int8"])
def test_what_a_board_is_best_given(name):
    assert formats_table(NETWORK, Samples(IMAGES)).row(name).name == "int8"
    bare = formats_table(without_ranges(NETWORK), Samples(IMAGES))
    assert [row.name for row in bare.rows] == ["float32", "float16"]
    assert bare.row(None).name == "float32"
