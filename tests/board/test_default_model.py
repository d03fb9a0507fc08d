"""The committed model: its headers are up to date, and the firmware of a fresh clone answers for it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from commands import LIMIT_S, run_host, simulated

from host.compile.boards import BOARDS
from host.compile.budget import fits
from host.modelfile import file as model_file
from tools import render_default_model


@pytest.fixture
def tool() -> ModuleType:
    return render_default_model


@pytest.fixture
def copy(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of firmware/model that the tool works on."""
    folder = tmp_path / "firmware/model"
    shutil.copytree(tool.FOLDER, folder)
    for name, path in {"ROOT": tmp_path, "FOLDER": folder, "MODEL": folder / "default.h5"}.items():
        monkeypatch.setattr(tool, name, path)
    return folder


def test_the_committed_headers_are_what_the_committed_model_renders(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0


def test_an_outdated_header_is_noticed_and_rendered_anew(
    tool: ModuleType, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = copy / "model_net.h"
    text = header.read_text()
    header.write_text(text.replace("Rendered", "Written"))
    assert tool.main(["--check"]) == 1
    assert "firmware/model/model_net.h: differs" in capsys.readouterr().out
    assert tool.main([]) == 0
    assert header.read_text() == text
    (copy / "model.h").unlink()
    assert tool.main(["--check"]) == 1


def test_it_knows_the_embedded_digits_and_fits_every_board(tool: ModuleType) -> None:
    source = model_file.load(tool.MODEL).provenance
    assert (source.dataset, source.preset, source.seed) == ("digits", "preconv", 0)
    assert source.metrics["test"] > 0.98
    assert [board.name for board in BOARDS.values() if not fits(tool.default_export().on(board), board)] == []


def test_the_firmware_of_a_fresh_clone_passes(repository: Path, tmp_path: Path) -> None:
    shutil.copy2(repository / "platformio.ini", tmp_path)
    shutil.copytree(repository / "firmware", tmp_path / "firmware", ignore=shutil.ignore_patterns("sim", "build"))
    command = [sys.executable, "-m", "platformio", "run", "-e", "uno"]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    with simulated(tmp_path / ".pio/build/uno/firmware.elf") as (port, _):
        model = tmp_path / "firmware/model/default.h5"
        done = run_host("verify", model, "--data", "digits", "--port", port, "--json", "-")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert (result["verdict"], result["model"]["format"]) == ("pass", "int8")
        assert result["agreement"]["scores_equal"] == result["n"] == 359
        assert result["accuracy"]["device"] > 0.98
