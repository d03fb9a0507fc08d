"""The verdict and its document: a single differing bit is a failure, and the numbers add up."""

import json
from dataclasses import replace

import numpy as np
import pytest

from host.link import wire
from host.link.identity import Identity
from host.link.run import Outcome
from host.link.timing import Counters
from host.quantise.probes import Probes
from host.quantise.reference import Predictions
from host.report.compare import Comparison, confusion, recall
from host.report.document import RunFacts, evaluation, verification
from host.report.probes import ProbeComparison
from host.report.show import divergence, image_as_text

N = 6


def comparison(device_words=None, device_classes=None, integer=True):
    words = np.arange(N * 3, dtype=np.uint32).reshape(N, 3)
    classes = np.full(N, 2, np.uint8)
    return Comparison(
        labels=np.array([2, 2, 2, 2, 1, 0]),
        float_scores=np.tile(np.float32([0.1, 0.2, 0.9]), (N, 1)),
        quantised_classes=classes,
        quantised_words=words,
        device_classes=classes if device_classes is None else device_classes,
        device_words=words if device_words is None else device_words,
        integer_scores=integer,
    )


def outcome(**stats):
    result = wire.Result(2, 0, 160, (0, 1, 2))
    ready = wire.Ready(2, 0, 1, b"12345678", 0, 4, 4, 3, 2, 1, 0, 16_000_000, 16_000_000, b"atmega328p")
    counts = {"uptime_us": 0, "frames": 0, "bad_frames": 1, "overruns": 2, "stack_free": 900, "ram_static": 600}
    return Outcome(
        results=(result,) * N,
        ready=ready,
        identity=Identity(b"12345678", (0,), 4, 4, 3, 2),
        stats=wire.Stats(**{**counts, **stats}),
        counters=Counters(retries=3, bad_frames=4, resets=5),
        board_seconds=0.5,
        line_bytes=24 * N,
    )


def probed():
    """Nine that agree."""
    classes, scores = np.zeros(9, np.uint8), np.zeros((9, 3), np.int32)
    asked = Probes(tuple("abcdefghi"), np.zeros((9, 4, 4), np.uint8), tie=True, unreached=())
    return ProbeComparison(asked, Predictions(classes, scores), classes, scores.view(np.uint32))


FACTS = RunFacts("usps", "test", "ab" * 32, "int8", "preconv", "uno", "atmega328p", True, "/dev/pts/1", 115200,
                 7000, 600, 2.0, True)  # fmt: skip


def test_agreement_is_bit_for_bit():
    same = comparison()
    assert same.agrees and same.scores_equal == N and len(same.diverging()) == 0
    words = same.device_words.copy()
    words[4, 1] ^= 1
    off = comparison(device_words=words)
    assert not off.agrees and off.classes_equal == N and off.scores_equal == N - 1
    assert off.diverging().tolist() == [4]
    classes = same.device_classes.copy()
    classes[1] = 0
    wrong = comparison(device_classes=classes)
    assert not wrong.agrees and wrong.classes_equal == N - 1 and wrong.diverging().tolist() == [1]


def test_confusion_and_recall():
    matrix = confusion(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2]), 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert recall(matrix) == [0.5, 1.0, 1.0, None]


def test_the_verification_has_the_contracts_keys():
    document = verification(comparison(), probed(), outcome(), FACTS)
    json.dumps(document, allow_nan=False)
    assert document["schema"] == 1 and document["n"] == N and document["verdict"] == "pass"
    unknown = dict.fromkeys(("original_compared", "original_equal", "original_classes_equal", "original_first"))
    assert document["agreement"] == {"classes_equal": N, "scores_equal": N, "float_classes_equal": N, **unknown}
    assert document["accuracy"] == {"float": 4 / 6, "quantised": 4 / 6, "device": 4 / 6}
    assert document["probes"] == {"n": 9, "equal": 9, "first_differing": None, "tie": True, "unreached": []}
    assert document["cycles"] == {"min": 160, "median": 160, "max": 160, "mean": 160.0}
    link = document["link"]
    assert (link["retries"], link["crc_errors"], link["overruns"], link["resets"]) == (3, 5, 2, 5)
    assert link["images_per_s"] is None, "a reset has set the board's own clock back, and ours is not a simulated one's"
    real = verification(comparison(), probed(), outcome(), replace(FACTS, simulated=False))
    assert real["link"]["images_per_s"] == N / FACTS.wall_seconds
    asked = replace(outcome(), probes=outcome().results[:2])
    busy = verification(comparison(), probed(), asked, replace(FACTS, simulated=False))
    assert busy["link"]["images_per_s"] == (N + 2) / FACTS.wall_seconds and busy["cycles"] == document["cycles"]
    assert link["line_limit_images_per_s"] == pytest.approx(115200 / 240, abs=0.01)
    assert document["memory"]["ram_free_min"] == 900 and document["memory"]["flash"] == 7000
    assert np.array(document["confusion"]).sum() == N


def test_unknown_memory_is_null_not_a_number():
    memory = verification(comparison(), probed(), outcome(stack_free=0xFFFF), FACTS)["memory"]
    assert memory["ram_free_min"] is None


def test_mismatches_name_the_digit_and_all_four_views():
    classes = np.full(N, 2, np.uint8)
    classes[5] = 1
    document = verification(comparison(device_classes=classes), probed(), outcome(), FACTS)
    assert document["mismatches"] == [{"index": 5, "label": 0, "float": 2, "quantised": 2, "device": 1}]


def test_an_evaluation_counts_changes_against_float():
    labels = np.array([0, 1, 1, 2])
    classes = {"float32": np.array([0, 1, 1, 1]), "int8": np.array([0, 1, 0, 1])}
    sizes = {"float32": 40, "int8": 10}
    document = evaluation("usps", "test", labels, classes, 3, sizes, {"int8": "post-training"})
    assert document["accuracy"] == {"float32": 0.75, "int8": 0.5}
    assert (document["weights"], document["rounding"]) == (sizes, {"int8": "post-training"})
    assert document["changed"] == {"float32": 0, "int8": 1}
    assert document["recall"]["int8"] == [1.0, 0.5, 0.0]


def test_an_image_as_text_has_a_line_a_row_and_shades():
    text = image_as_text(np.array([[0, 255], [128, 0]], np.uint8))
    assert text.splitlines() == ["  @@", "++"]


def test_the_divergence_shows_image_scores_and_the_place():
    words = comparison().device_words.copy()
    words[0, 2] = 99
    text = divergence(comparison(device_words=words), np.full((N, 2, 2), 255, np.uint8), 0)
    assert "digit 0, label 2" in text and "@@@@" in text
    differing = next(line for line in text.splitlines() if "differs" in line)
    assert differing.split() == ["2", "0.900", "2", "99", "<-", "differs"]


def test_float_scores_differ_visibly_in_the_last_bit():
    scores = np.tile(np.float32([1.0, 2.0, 3.0]), (N, 1))
    near = scores.copy()
    near[0, 0] = np.nextafter(np.float32(1.0), np.float32(2.0))
    base = comparison(integer=False)
    pair = Comparison(
        base.labels, base.float_scores, base.quantised_classes, scores.view(np.uint32), base.device_classes,
        near.view(np.uint32), False,
    )  # fmt: skip
    assert "1.0000001" in divergence(pair, np.zeros((N, 2, 2), np.uint8), 0)
