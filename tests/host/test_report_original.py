"""Answers held against those of a net's original: code for code where they are codes, by class else."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from inputs_files import graph_of_codes
from test_report import FACTS, N, comparison, outcome, probed

from host.data import Original
from host.quantise.ops import scores_as_codes
from host.quantise.reference import infer
from host.report.compare import Comparison
from host.report.document import verification
from host.report.original import CLASSES, CODES, Difference, against_original


def of_codes(flip: tuple[int, int] | None = None) -> tuple[Comparison, Original]:
    """What a board with a graph of codes answers, right, and its original's codes, one of them changed at `flip`."""
    graph = graph_of_codes()
    assert scores_as_codes(graph.ops[-1])
    images = np.random.default_rng(1).integers(0, 256, (20, 2, 3), dtype=np.uint8)
    found = infer(graph, images)
    codes = (found.scores - 128).astype(np.int8)
    assert len(np.unique(codes)) > 10, "not all clamped"
    if flip is not None:
        codes[flip] ^= 1
    original = Original(codes)
    same = Comparison(
        *(None, np.zeros((20, 3), np.float32), found.classes, found.words, found.classes, found.words, True),
        original=original,
        scores_are_codes=True,
    )
    return same, original


def test_equal_codes_agree():
    same, _ = of_codes()
    found = same.against_original
    assert (found.compared, found.equal, found.classes_equal, found.first) == (CODES, 20, 20, None)
    assert not found.differs


@pytest.mark.parametrize("flip", [(0, 0), (7, 2), (19, 1)])
def test_one_code_that_differs_is_found_and_named(flip):
    off, original = of_codes(flip)
    found = off.against_original
    need = int(original.codes[flip])
    assert (found.compared, found.equal, found.differs) == (CODES, 19, True)
    assert found.first == Difference(*flip, need ^ 1, need)
    assert off.agrees, "board and reference still say the same"


def test_it_is_the_device_that_is_compared():
    same, _ = of_codes()
    words = same.device_words.copy()
    words[3, 1] ^= 4
    found = replace(same, device_words=words).against_original
    assert (found.equal, found.first.index, found.first.klass) == (19, 3, 1)


def test_sums_are_compared_with_whole_numbers_of_their_own_width():
    scores = np.array([[5, -70000], [3, 4]], np.int32)
    classes = np.array([0, 1])
    assert against_original(Original(scores), classes, scores, as_codes=False).equal == 2
    off = against_original(Original(scores + np.int32([[0, 0], [0, 1]])), classes, scores, as_codes=False)
    assert (off.compared, off.equal, off.first) == (CODES, 1, Difference(1, 1, 4, 5))


@pytest.mark.parametrize(
    ("original", "scores", "as_codes"),
    [
        (Original(np.int8([[1, 2], [2, 1]])), np.int32([[10, 20], [10, 20]]), False),
        (Original(np.int32([[1, 2], [2, 1]])), np.int32([[10, 20], [10, 20]]), True),
        (Original(np.int8([[1, 2], [2, 1]])), np.float32([[10, 20], [10, 20]]), False),
        (Original(None, np.float32([[0.1, 0.9], [1, 0]])), np.int32([[10, 20], [10, 20]]), True),
    ],
    ids=["codes and sums", "sums and codes", "floats", "outputs"],
)
def test_numbers_of_another_unit_say_the_class_alone(original, scores, as_codes):
    found = against_original(original, np.array([1, 1]), scores, as_codes=as_codes)
    assert (found.compared, found.equal, found.classes_equal, found.first) == (CLASSES, None, 1, None)
    assert not found.differs


def test_the_verification_says_what_was_compared():
    off, _ = of_codes((7, 2))
    found = outcome()
    ready = replace(found.ready, classes=3)
    document = verification(off, probed(), replace(found, ready=ready), replace(FACTS, passed=False))
    agreement = json.loads(json.dumps(document, allow_nan=False))["agreement"]
    assert (agreement["original_compared"], agreement["original_equal"]) == ("codes", 19)
    assert agreement["original_classes_equal"] in (19, 20)
    assert agreement["original_first"]["index"] == 7
    assert agreement["original_first"]["class"] == 2


def test_without_labels_there_is_no_accuracy_and_all_else():
    classes = np.full(N, 2, np.uint8)
    classes[5] = 1
    document = verification(replace(comparison(device_classes=classes), labels=None), probed(), outcome(), FACTS)
    json.dumps(document, allow_nan=False)
    assert document["accuracy"] == {"float": None, "quantised": None, "device": None}
    assert (document["confusion"], document["recall"], document["n"]) == (None, None, N)
    assert document["agreement"]["classes_equal"] == N - 1
    assert document["mismatches"] == [{"index": 5, "label": None, "float": 2, "quantised": 2, "device": 1}]
