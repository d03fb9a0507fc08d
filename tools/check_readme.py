"""Runs the README's commands and compares what they print with what the README shows; `--update` writes it anew.

A block that is run follows a line `<!-- run -->`, or `<!-- run usps -->` where it needs that data set. Its `$` lines
are commands, executed in order in a temporary folder of its own; the other lines are their output. Times, the pty's
name and how often a busy machine asked again may differ freely, numbers by a few per cent (compilers differ), accuracy
by a tenth of a point. Hashes are as shown, except that training is exact on one machine only: where it ends at another
net, that output and the rest of its block are compared by form, which leaves accuracy three points and the other
numbers free.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
_BLOCK = re.compile(r"<!-- run ?(?P<data>\w*) -->\n```console\n(?P<body>.*?)```\n", re.DOTALL)
_FREE = re.compile(r"[\d.]+ s\b|/dev/pts/\d+|[\d.]+ digits/s|\d+ retr(?:y|ies)\b")
_HASH = re.compile(r"\b[0-9a-f]{16}\b")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_PERCENT = re.compile(r"([\d.]+) %")
_RELATIVE, _ABSOLUTE = 0.05, 3.0
_POINTS, _TRAINED_POINTS = 0.1, 3.0
# Blocks wait for compilers and for boards that keep to their clock.
_JOBS = 2


@dataclass(frozen=True)
class Step:
    """One command and the output that the README shows for it."""

    command: str
    shown: str

    @property
    def trains(self) -> bool:
        return self.command.startswith(("host demo", "host train"))


def steps(body: str) -> list[Step]:
    """The commands of one block."""
    found: list[Step] = []
    for line in body.splitlines():
        # The demo prints the commands that it runs.
        if line.startswith("$ ") and not (found and found[-1].command.startswith("host demo")):
            found.append(Step(line[2:], ""))
        else:
            found[-1] = Step(found[-1].command, found[-1].shown + line + "\n")
    return found


def run(command: str, place: Path) -> str:
    """What `command` prints in the folder `place`; `host` is this checkout's."""
    program, *arguments = shlex.split(command)
    if program != "host":
        raise SystemExit(f"README: found the command {program!r}, need host; do not mark that block to be run")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command_line = [sys.executable, "-m", "host", *arguments]
    result = subprocess.run(command_line, cwd=place, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"README: `{command}` ended with {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def agree(shown: str, printed: str, by_form: bool = False) -> bool:
    """Whether the texts are the same but for what may differ; see the head of this file."""
    shown, printed = _FREE.sub("#", shown), _FREE.sub("#", printed)
    if by_form:
        shown, printed = _HASH.sub("#", shown), _HASH.sub("#", printed)
    if _HASH.findall(shown) != _HASH.findall(printed):
        return False
    shown, printed = _HASH.sub("#", shown), _HASH.sub("#", printed)
    if _NUMBER.sub("#", shown).split() != _NUMBER.sub("#", printed).split():
        return False
    points = zip(_PERCENT.findall(shown), _PERCENT.findall(printed), strict=True)
    allowed = _TRAINED_POINTS if by_form else _POINTS
    if any(abs(float(a) - float(b)) > allowed + 1e-6 for a, b in points):
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return by_form or all(_close(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs)


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= max(_ABSOLUTE, _RELATIVE * max(a, b))


def wrong_steps(done: list[tuple[Step, str]]) -> list[str]:
    """What of a block is shown wrongly, given each step with what it printed."""
    wrong, is_other_net = [], False
    for step, printed in done:
        is_other_net |= step.trains and _HASH.findall(step.shown) != _HASH.findall(printed)
        if not agree(step.shown, printed, is_other_net):
            wrong.append(f"$ {step.command}\nshown:\n{step.shown}printed:\n{printed}")
    return wrong


def check(update: bool) -> list[str]:
    """The commands whose output the README shows wrongly; with `update`, the README is corrected instead."""
    text = README.read_text(encoding="utf-8")
    with ThreadPoolExecutor(_JOBS) as workers:
        blocks = list(workers.map(run_block, (match["body"] for match in _BLOCK.finditer(text))))
    if not update:
        return [problem for block in blocks for problem in wrong_steps(block)]
    renewed = iter(blocks)

    def rewrite(match: re.Match[str]) -> str:
        body = "".join(f"$ {step.command}\n{printed.strip(chr(10))}\n" for step, printed in next(renewed))
        return match[0].replace(match["body"], body)

    README.write_text(_BLOCK.sub(rewrite, text), encoding="utf-8")
    return []


def run_block(body: str) -> list[tuple[Step, str]]:
    with tempfile.TemporaryDirectory() as folder:
        return [(step, run(step.command, Path(folder))) for step in steps(body)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the outputs into the README")
    wrong = check(parser.parse_args().update)
    print("\n".join(wrong) or "README: every output is as shown")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
