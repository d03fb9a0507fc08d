"""What a command imports: nothing heavy that it does not need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from patience import LIMIT_S

CODE = """
import json, sys
from host.cli import main
try:
    code = main(json.loads(sys.argv[1]))
except SystemExit as end:
    code = end.code
print("\\n" + json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""
HEAVY = {"numpy", "h5py", "scipy", "sklearn", "jinja2", "serial", "elftools", "tqdm", "pooch", "matplotlib", "torch"}
COMMANDS = {
    "--help": set(),
    "verify --help": set(),
    "train --list": {"numpy", "h5py"},
    "models": {"h5py", "numpy"},
    "ports": {"numpy", "h5py", "serial"},
    "export {model} --board uno -o {folder}": {"numpy", "h5py", "jinja2", "serial", "elftools"},
}


def imported(arguments: list[str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(arguments)], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    code, names = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stdout + done.stderr
    return set(names)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_what_it_needs(repository: Path, tmp_path: Path, command: str) -> None:
    model = repository / "firmware/model/default.h5"
    arguments = [word.format(model=model, folder=tmp_path) for word in command.split()]
    assert imported(arguments) & HEAVY <= COMMANDS[command]


@pytest.mark.parametrize("command", ["verify", "evaluate", "export", "train", "simulate", "doctor", "plot", "import_"])
def test_no_command_begins_with_what_few_of_its_runs_need(command: str) -> None:
    """SciPy's optimiser trains by L-BFGS-B alone, scikit-learn has one data set, tqdm serves terminals."""
    code = f"import sys, host.cli.{command}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    top = {name.split(".")[0] for name in done.stdout.split()}
    assert "numpy" in top or command in ("simulate", "doctor")
    assert top & {"scipy", "sklearn", "pooch", "matplotlib", "torch", "tqdm", "elftools"} == set()
