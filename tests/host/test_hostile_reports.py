"""Reports made to harm, which pictures are drawn from."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hostile_refusals import Runner, refused

REPORT_CASES = [
    "",
    "[",
    "[" * 100_000,
    "null",
    '{"schema":1,"board":{}}',
    '{"schema":1,"board":1,"confusion":[[1e999]]}',
]


@pytest.mark.parametrize("text", REPORT_CASES, ids=range(len(REPORT_CASES)))
def test_hostile_report(run_limited: Runner, tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    assert "report.json" in refused(run_limited, tmp_path, "report", path)


def test_names_in_a_report_reach_a_picture_as_they_are(run_limited: Runner, tmp_path: Path) -> None:
    """Neither as formulas, which matplotlib would fail to read, nor as elements of an SVG or letters of a terminal."""
    report = {
        "schema": 1,
        "n": 4,
        "confusion": [[2, 0], [0, 2]],
        "accuracy": {"device": 1.0},
        "dataset": "$\\frac{",
        "split": "<script>alert(1)</script>",
        "model": {"preset": "]]><!-- \x1b[2J\0", "hash": "0" * 64, "format": "int8"},
        "board": {"kind": "uno", "mcu": "&x;", "simulated": False},
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    code, said, _ = run_limited(tmp_path, "plot", "report.json", "recall", "-o", "p.svg")
    assert code == 0, said
    elements = {element.tag.rpartition("}")[2] for element in ElementTree.parse(tmp_path / "p.svg").iter()}
    assert "svg" in elements and "script" not in elements and "\x1b" not in said
