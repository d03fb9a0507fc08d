"""A cross-section of what is compiled for chips, by the compiler that the other tests do not use: pytest in a process
of its own, since a compiler is chosen for a whole run. `make soak` tests everything with either."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from firmware_build import ROOT
from needed import lacking, need

from host.errors import ToolMissing
from host.link import avr_gcc

ARDUINOS = "7.3.0"
CROSS_SECTION = {
    "routines": (
        "tests/firmware/test_firmware_warnings.py",
        "tests/firmware/test_mixed_export.py",
        "tests/firmware/test_nn_on_avr.py",
        "tests/board/test_wire_on_avr.py",
    ),
    "programs": (
        "tests/board/test_default_model.py::test_the_firmware_of_a_fresh_clone_passes",
        "tests/board/test_layers.py::test_a_net_with_overlapping_pools_goes_the_whole_way[uno]",
        "tests/board/test_layers.py::test_a_mega_reads_what_no_near_pointer_reaches",
        # Assembly and code behind the front end, packed weights, padding, floats, and the deepest stack.
        *(
            f"tests/board/test_matrix.py::test_on_an_avr[{net}-uno]"
            for net in ("front end, 6 bits", "padded, int4", "pools, float32", "in turns, depthwise")
        ),
        *(
            f"tests/analysis/test_stack.py::test_the_stack_always_fits[in turns, depthwise-{kernel}]"
            for kernel in ("asm", "portable")
        ),
    ),
}
LIMIT_S = 1800


def other_compiler() -> str:
    """As --avr-gcc takes it: Arduino's, or where that is in use the first other one on PATH."""
    need("avr-gcc", "gcc-avr avr-libc")
    used = avr_gcc.compiler()
    assert used is not None
    if used.version != ARDUINOS:
        return ARDUINOS
    for folder in os.environ["PATH"].split(os.pathsep):
        path = shutil.which("avr-gcc", path=folder)
        if path is not None and Path(path).resolve() != used.path.resolve():
            return str(Path(path).parent)
    pytest.fail("found one avr-gcc on PATH, need two; `apt install gcc-avr avr-libc`")


@pytest.mark.parametrize("part", CROSS_SECTION)
def test_another_compiler_serves_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    compiler = other_compiler()
    monkeypatch.setenv(avr_gcc.VARIABLE, compiler)
    try:
        avr_gcc.chosen_folder()
    except ToolMissing as missing:
        lacking(str(missing))
    # What pytest-xdist tells its workers is not for this one.
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--avr-gcc={compiler}"]
    command += [f"--basetemp={tmp_path / 'inner'}", *CROSS_SECTION[part]]
    done = subprocess.run(
        command, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    used = re.search(r"^avr-gcc: ([\d.]+),", done.stdout, re.MULTILINE)
    assert used is not None and (used[1] == ARDUINOS) == (compiler == ARDUINOS)
