"""A verification that is killed at any moment and resumed reports what an undisturbed one does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from commands import run_host
from kill_bench import write_model
from patience import LIMIT_S

KILLS = 25


def test_killed_and_resumed_again_and_again_the_report_is_the_undisturbed_one(repository: Path) -> None:
    command = [sys.executable, repository / "tools/soak_kills.py", "--kills", str(KILLS), "--seed", "7"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=os.environ)
    assert result.returncode == 0, result.stdout + result.stderr
    said = re.findall(r"^(\d+) kills .*, (\d+) in mid-run, (\d+) runs completed", result.stdout, re.M)
    assert said, result.stdout
    kills, mid_run, complete = map(int, said[-1])  # before it, how far it is every half minute
    assert kills >= KILLS and complete >= 1
    assert mid_run >= 3, "the moments no longer fall into the runs"


def test_a_data_file_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    """Of the same name and size: one pixel is another. The line is cut behind the probes, among the digits."""
    model, table, journal = write_model(tmp_path / "m.h5"), tmp_path / "d.csv", tmp_path / "run.journal"
    rows = [[k % 10, *((k * j) % 256 for j in range(256))] for k in range(50)]
    table.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    arguments = ["verify", model, "--data", table, "--board", "native", "--split", "train", "--journal", journal]
    done = run_host(*arguments, "--faults", "unplug=9000")
    assert done.returncode == 3, done.stderr
    kept = journal.read_bytes()
    assert kept.count(b"\n") > 4
    table.write_text(table.read_text().replace(",255\n", ",254\n", 1))
    done = run_host(*arguments, "--resume")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "run.journal: dataset_sha256: found " in done.stderr
    assert journal.read_bytes() == kept
