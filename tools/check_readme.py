"""Runs the README's commands and compares what they print with what the README shows; `--update` writes it anew.

A block that is run follows a line `<!-- run -->`, or `<!-- run usps -->` where it needs that data set. Its `$` lines
are commands, executed in order in one temporary folder for the whole README; the other lines are their output. Numbers
may differ by a few per cent, since training is exact on one machine only; hashes, times and the pty's name may differ
freely.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
_BLOCK = re.compile(r"<!-- run ?(?P<data>\w*) -->\n```console\n(?P<body>.*?)```\n", re.DOTALL)
_FREE = re.compile(r"\b[0-9a-f]{16}\b|[\d.]+ s\b|/dev/pts/\d+|[\d.]+ digits/s")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_RELATIVE, _ABSOLUTE = 0.05, 3.0


@dataclass(frozen=True)
class Step:
    """One command and the output that the README shows for it."""

    command: str
    shown: str


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


def agree(shown: str, printed: str) -> bool:
    """Whether the texts are the same but for small differences of numbers."""
    shown, printed = _FREE.sub("#", shown), _FREE.sub("#", printed)
    if _NUMBER.sub("#", shown).split() != _NUMBER.sub("#", printed).split():
        return False
    pairs = zip(_NUMBER.findall(shown), _NUMBER.findall(printed), strict=True)
    return all(_close(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs)


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= max(_ABSOLUTE, _RELATIVE * max(a, b))


def check(update: bool) -> list[str]:
    """The commands whose output the README shows wrongly; with `update`, the README is corrected instead."""
    text = README.read_text(encoding="utf-8")
    wrong = []
    with tempfile.TemporaryDirectory() as folder:

        def rerun(match: re.Match[str]) -> str:
            body = ""
            for step in steps(match["body"]):
                printed = run(step.command, Path(folder))
                if not agree(step.shown, printed):
                    wrong.append(f"$ {step.command}\nshown:\n{step.shown}printed:\n{printed}")
                body += f"$ {step.command}\n{printed.strip(chr(10))}\n"
            return match[0].replace(match["body"], body)

        renewed = _BLOCK.sub(rerun, text)
    if update:
        README.write_text(renewed, encoding="utf-8")
        return []
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the outputs into the README")
    wrong = check(parser.parse_args().update)
    print("\n".join(wrong) or "README: every output is as shown")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
