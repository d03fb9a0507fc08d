"""Runs `host` commands, most as processes of their own, and looks for what they leave behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from patience import LIMIT_S

from host.cli import main
from host.compile.boards import BOARDS
from host.compile.export import Export
from host.compile.exports import export_for
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat

ROOT = Path(__file__).resolve().parents[2]


def exported(model: Path, fmt: str = "int8", board: str = "uno") -> Export:
    """What `host export` renders where the user leaves the choice open."""
    return export_for(model_file.load(model), WeightFormat[fmt.upper()], BOARDS[board])


def verify_usps(place: Path, *arguments: object) -> tuple[int, dict[str, Any]]:
    """Exit code and document of one `host verify` over USPS, in this process."""
    target = place / "result.json"
    code = main(["verify", *map(str, arguments), "--data", "usps", "--json", str(target)])
    return code, json.loads(target.read_text())


def surroundings() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def start_host(*arguments: object) -> subprocess.Popen[str]:
    """`host ARGUMENTS` in the background; its output is piped."""
    command = [sys.executable, "-m", "host", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=surroundings(), start_new_session=True
    )


def run_host(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`host ARGUMENTS` to its end."""
    command = [sys.executable, "-m", "host", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=surroundings(), timeout=LIMIT_S, check=False, cwd=cwd
    )


@contextmanager
def simulated(elf: Path, board: str = "uno") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A board of `host simulate`: its port, and the process."""
    with start_host("simulate", "--board", board, "--elf", elf) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " on /dev/" in line, line + process.communicate(timeout=LIMIT_S)[1]
            yield line.split(" on ")[1].split(";")[0], process
        finally:
            process.terminate()
            process.communicate(timeout=LIMIT_S)


def descendants(of: int) -> list[int]:
    """All living processes below process `of`."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # gone meanwhile
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, waiting = [], [of]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def program_of(process: int) -> str:
    """The file that a process runs; empty where it has ended."""
    try:
        return (Path("/proc") / str(process) / "exe").readlink().name
    except OSError:
        return ""


def wait_until(true: object, what: str, limit_s: float = LIMIT_S) -> None:
    """Poll `true()`; fail with `what` where it stays false."""
    assert callable(true)
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)
