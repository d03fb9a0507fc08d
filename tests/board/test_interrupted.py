"""`host verify` through a bad line, killed, and resumed: the report of an undisturbed run."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import LIMIT_S, exported, run_host, start_host

from host.compile.boards import BOARDS
from host.link.build import build_firmware

Model = Callable[..., Path]
BAD_LINE = "drop=0.0005,flip=0.0005,dup=0.0002,insert=0.0002,truncate=0.005,reset=10"


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    """A journal of the test's own; builds stay where they are."""
    return tmp_path / "run.journal"


def report(target: Path) -> dict[str, Any]:
    """Without what a disturbance may change: times, the line's counters, a simulated board's port."""
    result: dict[str, Any] = json.loads(target.read_text())
    del result["seconds"], result["link"], result["board"]["port"]
    if cycles := result.pop("cycles"):
        # A reset moves the clock's interrupts, which cost an inference a few cycles more or less.
        result["cycles"] = round(cycles["mean"], -2)
    return result


def verify(model: Path, target: Path, *arguments: object) -> dict[str, Any]:
    done = run_host("verify", model, "--data", "usps", "--json", target, *arguments)
    assert done.returncode == 0, done.stderr
    return report(target)


@pytest.mark.parametrize(
    ("board", "extra"),
    [("native", ["--split", "train"]), ("uno", ["--limit", "500"]), ("uno", ["--limit", "500", "--baud", "500000"])],
)
def test_a_bad_line_and_ten_resets_change_nothing_but_the_counters(
    trained: Model, tmp_path: Path, board: str, extra: list[str], journals: Path
) -> None:
    arguments = ["--board", board, "--journal", journals]
    clean = verify(trained("preconv"), tmp_path / "clean.json", *arguments, *extra)
    faulty = verify(trained("preconv"), tmp_path / "faulty.json", *arguments, *extra, "--faults", BAD_LINE)
    assert faulty == clean
    link = json.loads((tmp_path / "faulty.json").read_text())["link"]
    assert link["retries"] > 50 and link["crc_errors"] > 50 and link["faults"]["reset"] == 10
    assert 5 <= link["resets"] <= 10


def test_a_run_killed_again_and_again_ends_with_the_same_report(trained: Model, tmp_path: Path, journals: Path) -> None:
    arguments = ["--split", "train", "--board", "native", "--journal", journals]
    clean = verify(trained("preconv"), tmp_path / "clean.json", *arguments)
    dice = random.Random(5)
    sizes = []
    # Silences make the run long enough to be hit in its midst.
    command = ["--data", "usps", *arguments, "--resume", "--faults", "stall=0.002:0.05"]
    for number in [signal.SIGKILL, signal.SIGINT] * 3:
        with start_host("verify", trained("preconv"), *command) as process:
            before = journals.stat().st_size if journals.exists() else 0
            while process.poll() is None and (not journals.exists() or journals.stat().st_size <= before):
                time.sleep(0.01)
            time.sleep(dice.random() / 4)
            process.send_signal(number)
            process.communicate(timeout=LIMIT_S)
        sizes.append(journals.stat().st_size if journals.exists() else 0)
    assert sizes == sorted(sizes) and sizes[-1] > 1000
    assert verify(trained("preconv"), tmp_path / "end.json", *arguments, "--resume") == clean
    assert not journals.exists()


def test_a_resumed_run_refuses_another_model_dataset_or_board(trained: Model, tmp_path: Path, journals: Path) -> None:
    arguments = ["--data", "usps", "--journal", journals]
    done = run_host("verify", trained("preconv"), *arguments, "--board", "native", "--faults", "unplug=40000")
    assert done.returncode == 3 and "unplugged, as --faults asked" in done.stderr
    kept = journals.read_bytes()
    for model, change, name in [
        ("preconv-seed", ["--board", "native"], "model"),
        ("preconv", ["--board", "native", "--limit", 5], "n"),
        ("preconv", ["--board", "native", "--split", "train"], "split"),
        ("preconv", ["--board", "native", "--format", "float16"], "exports"),
        ("preconv", ["--board", "uno"], "board"),
    ]:
        done = run_host("verify", trained(model), *arguments, *change, "--resume")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert f"run.journal: {name}: found " in done.stderr
    assert journals.read_bytes() == kept


@pytest.mark.parametrize("spec", ["drop=0.0005,flip=0.0005,reset=2,seed=4"])
def test_any_client_meets_the_bad_line_of_a_simulated_board(trained: Model, tmp_path: Path, spec: str) -> None:
    elf = build_firmware(exported(trained("preconv"), "float16"), BOARDS["uno"]).program
    with start_host("simulate", "--elf", elf, "--faults", spec) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline()
            assert "behind a bad line on /dev/" in words
            port = words.split(" on ")[1].split(";")[0]
            for rate in (250_000, 500_000):
                target = tmp_path / f"{rate}.json"
                verify(trained("preconv"), target, "--port", port, "--limit", 400, "--baud", rate)
                link = json.loads(target.read_text())["link"]
                assert link["retries"] > 20 and link["resets"] >= 1
        finally:
            process.terminate()
            process.communicate(timeout=LIMIT_S)
