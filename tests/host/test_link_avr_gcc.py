"""Which avr-gcc builds firmware."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from host.compile.boards import ATMEGA328P, BOARDS
from host.errors import ToolMissing
from host.link import avr_gcc
from host.link.target import target_board


def fake(folder: Path, version: str) -> Path:
    """An avr-gcc that knows its version."""
    folder.mkdir(parents=True)
    (folder / "avr-gcc").write_text(f"#!/bin/sh\necho {version}\n")
    (folder / "avr-gcc").chmod(0o755)
    return folder


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only one on PATH; PlatformIO's folder is the test's."""
    folder = fake(tmp_path / "system", "5.4.0")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(avr_gcc.VARIABLE, raising=False)
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "core"))
    return folder


@pytest.fixture
def stand_ins(system: Path, tmp_path: Path) -> Path:
    """The same, PlatformIO building with it."""
    (tmp_path / "core/platforms/digitduino-atmelavr").mkdir(parents=True)
    return system


def found() -> tuple[Path, str]:
    compiler = avr_gcc.compiler()
    assert compiler is not None
    return compiler.path.parent, compiler.version


def test_left_open_it_is_the_first_on_path(system: Path) -> None:
    assert avr_gcc.chosen_folder() is None
    assert avr_gcc.search_path() == str(system)
    assert found() == (system, "5.4.0")


def test_a_version_names_one_that_was_brought(system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = fake(tmp_path / "core/packages/digitduino-avr-gcc-7.3.0/bin", "7.3.0")
    monkeypatch.setenv(avr_gcc.VARIABLE, "7.3.0")
    assert found() == (brought, "7.3.0")
    assert avr_gcc.search_path() == f"{brought}{os.pathsep}{system}"


def test_a_folder_names_any(system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = fake(tmp_path / "other", "14.1.0")
    monkeypatch.setenv(avr_gcc.VARIABLE, str(other))
    assert found() == (other, "14.1.0")


@pytest.mark.parametrize("wanted", ["7.3.0", "/nonexistent/bin"])
def test_what_is_not_there_is_said_in_one_line(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    fake(tmp_path / "core/packages/digitduino-avr-gcc-6.0.0/bin", "6.0.0")
    monkeypatch.setenv(avr_gcc.VARIABLE, wanted)
    with pytest.raises(
        ToolMissing, match=rf"^DIGITDUINO_AVR_GCC: found {wanted}, need 6.0.0 or the folder .*--avr-gcc"
    ):
        avr_gcc.compiler()


def test_a_program_is_foretold_by_the_compiler_that_platformio_builds_with(system: Path, tmp_path: Path) -> None:
    """Its own, of which it may have to fetch one yet; with the stand-in platforms the system's, whatever lies there."""
    assert target_board("uno").chip.compiler == avr_gcc.builder_version() == "7.3.0"
    fake(tmp_path / "core/packages/toolchain-atmelavr/bin", "5.1.0")
    assert avr_gcc.builder_version() == "5.1.0"
    (tmp_path / "core/platforms/digitduino-atmelavr").mkdir(parents=True)
    assert target_board("uno").chip.compiler == avr_gcc.builder_version() == "5.4.0"


@pytest.mark.parametrize(
    ("version", "foretold"),
    [("5.4.0", "5.4.0"), ("5.1.0", "5.4.0"), ("4.9.2", "7.3.0"), ("14.1.0", "7.3.0"), ("what", "7.3.0")],
)
def test_a_5_is_foretold_by_the_figures_of_5_4_and_any_other_by_those_of_7_3(
    stand_ins: Path, version: str, foretold: str
) -> None:
    (stand_ins / "avr-gcc").write_text(f"#!/bin/sh\necho {version}\n")
    target = target_board("uno")
    assert target.chip.compiler == foretold
    assert target == replace(BOARDS["uno"], chip=replace(ATMEGA328P, compiler=foretold))


def test_one_that_cannot_run_is_said_in_one_line_and_left_alone_where_it_builds_nothing(stand_ins: Path) -> None:
    (stand_ins / "avr-gcc").write_text("nothing that runs")
    with pytest.raises(
        ToolMissing, match=r"^\S+/avr-gcc: cannot be run: Exec format error; name another by DIGITDUINO"
    ):
        target_board("uno")
    assert target_board("native") == BOARDS["native"]


def test_none_at_all(system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert avr_gcc.compiler() is None


def test_one_that_knows_no_version(system: Path) -> None:
    (system / "avr-gcc").write_text("#!/bin/sh\necho what\n")
    assert found() == (system, "of an unknown version")


def test_platformios_folder_is_the_exported_the_pointed_at_or_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pointer = tmp_path / "pointer.ini"
    monkeypatch.setattr(avr_gcc, "POINTER", pointer)
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "mine"))
    assert avr_gcc.core_directory() == tmp_path / "mine"
    monkeypatch.delenv("PLATFORMIO_CORE_DIR")
    assert avr_gcc.core_directory() == Path("~/.platformio").expanduser()
    pointer.write_text(f"[platformio]\ncore_dir = {tmp_path}\n")
    assert avr_gcc.core_directory() == tmp_path and not avr_gcc.has_stand_ins()
    (tmp_path / "platforms/digitduino-atmelavr").mkdir(parents=True)
    assert avr_gcc.has_stand_ins()
