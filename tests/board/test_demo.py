"""`host demo`, and projects that `host export --project` makes for people without this repository."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import LIMIT_S, run_host, simulated

from host.cli import main

Capture = pytest.CaptureFixture[str]


def test_the_demo_goes_the_whole_way(tmp_path: Path, capsys: Capture) -> None:
    place, target = tmp_path / "demo", tmp_path / "result.json"
    assert main(["demo", "--board", "uno", "-o", str(place), "--json", str(target)]) == 0
    shown = capsys.readouterr().out
    steps = [line.split()[2] for line in shown.splitlines() if line.startswith("$ host ")]
    assert steps == ["train", "evaluate", "export", "verify"]
    assert shown.endswith("verdict: PASS\n")
    assert {"digits.h5", "model"} == {path.name for path in place.iterdir()}
    assert {"model.h", "model_net.h"} <= {path.name for path in (place / "model").iterdir()}
    assert_passed(json.loads(target.read_text()), "uno")


def test_the_native_demo_prints_json_alone_where_it_is_asked_for(tmp_path: Path) -> None:
    done = run_host("demo", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_passed(json.loads(done.stdout), "native")
    assert "$ host train" in done.stderr and "verdict: PASS" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


def assert_passed(result: dict[str, Any], board: str) -> None:
    assert (result["verdict"], result["dataset"], result["board"]["kind"]) == ("pass", "digits", board)
    assert result["agreement"]["scores_equal"] == result["n"] == 359


def test_an_unknown_board_of_the_demo_is_refused_before_training(tmp_path: Path, capsys: Capture) -> None:
    assert main(["demo", "--board", "unu", "-o", str(tmp_path / "demo")]) == 2
    output, errors = capsys.readouterr()
    assert "did you mean uno?" in errors and output == ""
    assert list(tmp_path.iterdir()) == []


def test_an_exported_project_builds_by_itself_and_passes(
    trained: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    model, project = trained("preconv-seed"), tmp_path / "project"
    assert main(["export", str(model), "--project", str(project)]) == 0
    assert f"pio run -d {project} -e uno -t upload" in capsys.readouterr().out
    command = [sys.executable, "-m", "platformio", "run", "-d", str(project), "-e", "uno"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    with simulated(project / ".pio/build/uno/firmware.elf") as (port, _):
        arguments = ["--data", "usps", "--format", "int8", "--port", port, "--limit", 50]
        assert run_host("verify", model, *arguments).returncode == 0
    headers = project / "firmware/model"
    assert main(["export", str(model), "--check", "-o", str(headers)]) == 0
    assert "up to date" in capsys.readouterr().out
    (headers / "model.h").write_text("")
    assert main(["export", str(model), "--check", "-o", str(headers)]) == 1
    assert "differs from what this model renders" in capsys.readouterr().out
    assert (headers / "model.h").read_text() == ""
