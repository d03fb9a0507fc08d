"""Builds that replay PlatformIO's commands for another model: the same image, and PlatformIO where there is doubt."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from firmware_build import ROOT
from needed import need
from networks import network_of, random_network

from host.cache import cache_directory
from host.compile.boards import BOARDS
from host.compile.export import Export
from host.compile.exports import export_for
from host.errors import DigitduinoError, InputError
from host.link import replay
from host.link.elf import elf_sizes, image
from host.link.project import stage_project
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat

DEFAULT = ROOT / "firmware/model/default.h5"


class Asked(Exception):
    """PlatformIO would have been run."""


class Builds:
    """Builds projects below `folder` as `host verify` does, counts how often PlatformIO is asked, and can refuse it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept, self._folder = folder / "objects", folder
        self.asked, self.refuses = 0, False
        self._platformio = replay._run_platformio
        monkeypatch.setattr(replay, "_run_platformio", self._ask)

    def project(self, exported: Export) -> Path:
        place = self._folder / f"project{sum(1 for _ in self._folder.iterdir())}"
        stage_project(exported, place)
        return place

    def build(self, project: Path, environment: str, flags: str = "") -> Path:
        shutil.rmtree(project / ".pio", ignore_errors=True)
        return replay.build(project, environment, flags, self.kept)

    def by_platformio(self, project: Path, environment: str, flags: str = "") -> Path:
        self._platformio(project, environment, flags)
        return project / ".pio/build" / environment

    def borrow(self, environment: str, flags: str = "") -> Path:
        """A copy of what this run of pytest keeps of the firmware; returns the only kept folder."""
        shared, project = cache_directory() / "objects", self.project(exported("native"))
        replay.build(project, environment, flags, shared)
        place = f"{environment}-{replay._key(project, environment, flags)}"
        shutil.copytree(shared / place, self.kept / place)
        self.asked = 0
        return self.kept / place

    def _ask(self, project: Path, environment: str, flags: str, record: Path | None = None) -> None:
        self.asked += 1
        if self.refuses:
            raise Asked
        self._platformio(project, environment, flags, record)


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    need("avr-gcc", "gcc-avr avr-libc")
    return Builds(tmp_path, monkeypatch)


def exported(board: str = "uno", fmt: str = "int8", kernel: str = "portable") -> Export:
    return export_for(model_file.load(DEFAULT), WeightFormat[fmt.upper()], BOARDS[board], kernel)


def with_convolutions(board: str) -> Export:
    return export_for(network_of("padded"), WeightFormat.INT8, BOARDS[board])


def as_code(board: str) -> Export:
    return export_for(
        random_network(1, shape=(16, 16), hidden=8, classes=10), WeightFormat.INT8, BOARDS[board], "unrolled", 6
    )


@pytest.mark.parametrize(
    ("board", "flags", "make"),
    [
        ("uno", "", lambda: with_convolutions("uno")),
        ("uno", "", lambda: as_code("uno")),
        ("uno", "-DMODEL_PROFILE", lambda: exported("uno", "float16")),
        ("mega", "", lambda: as_code("mega")),
        ("native", "", lambda: with_convolutions("native")),
    ],
    ids=["convolutions", "weights as code", "profiling", "mega", "native"],
)
def test_a_replay_gives_platformios_image(builds: Builds, board: str, flags: str, make: Callable[[], Export]) -> None:
    """One fresh project is built by PlatformIO alone, the other from what it left of another model: all that is loaded
    is the same, and so is a chip's hex file, in every byte."""
    builds.borrow(board, flags)
    replayed = builds.build(builds.project(make()), board, flags)
    assert builds.asked == 0
    real = builds.by_platformio(builds.project(make()), board, flags)
    program = "program" if board == "native" else "firmware.elf"
    sections = image(real / program)
    assert len(sections) > 2 and sum(size for _, _, size, _ in sections) > 5000
    assert image(replayed / program) == sections
    if board != "native":
        assert (replayed / "firmware.hex").read_bytes() == (real / "firmware.hex").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "platformio.ini",
        "firmware/lib/nn/nn_argmax.c",
        "firmware/lib/nn/nn.h",
        "firmware/lib/nn/library.json",
        "firmware/src/main_avr.c",
        "firmware/src/new.h",
        "firmware/model/new.h",
    ],
)
def test_an_edit_of_the_project_is_platformios(builds: Builds, name: str) -> None:
    builds.borrow("native")
    project = builds.project(exported("native"))
    builds.build(project, "native")
    builds.refuses = True
    builds.build(project, "native")
    with (project / name).open("a") as file:
        file.write("\n")
    with pytest.raises(Asked):
        builds.build(project, "native")


@pytest.mark.parametrize("change", ["flags", "environment", "settings", "compiler"])
def test_other_surroundings_are_platformios(
    builds: Builds, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds.borrow("native")
    project = builds.project(exported("native"))
    builds.refuses = True
    if change == "settings":
        monkeypatch.setenv("PLATFORMIO_SETTING_FORCE_VERBOSE", "true")
    if change == "compiler":
        compiler = tmp_path / "bin/cc"
        compiler.parent.mkdir()
        compiler.symlink_to("/bin/true")
        monkeypatch.setenv("PATH", str(compiler.parent), prepend=":")
    with pytest.raises(Asked):
        builds.build(project, "uno" if change == "environment" else "native", "-DOTHER" if change == "flags" else "")


@pytest.mark.parametrize("name", ["avr-gcc", "avr-ar", "pgmspace.h", "stdint.h", "Arduino.h", "wiring.c"])
def test_files_outside_of_the_project_count(builds: Builds, name: str) -> None:
    """A compiler that was updated, a header of its library, Arduino's own sources."""
    place = builds.borrow("uno")
    note = json.loads((place / "replay.json").read_text())
    found = next(path for path in note["outside"] if Path(path).name.replace("-gcc-ar", "-ar") == name)
    project = builds.project(exported())
    builds.refuses = True
    builds.build(project, "uno")
    note["outside"][found][1] += 1
    (place / "replay.json").write_text(json.dumps(note))
    with pytest.raises(Asked):
        builds.build(project, "uno")
    note["outside"]["/nonexistent/header.h"] = [1, 1]
    (place / "replay.json").write_text(json.dumps(note))
    with pytest.raises(Asked):
        builds.build(project, "uno")


def test_an_edit_is_in_the_image(builds: Builds) -> None:
    builds.borrow("uno")
    project = builds.project(exported())
    before = image(builds.build(project, "uno") / "firmware.elf")
    source = project / "firmware/lib/nn/nn_argmax.c"
    source.write_text(source.read_text().replace(" > ", " >= "))
    assert image(builds.build(project, "uno") / "firmware.elf") != before


BROKEN: dict[str, Callable[[Path], object]] = {
    "an object is gone": lambda place: next(place.rglob("libnn.a")).unlink(),
    "an object is cut short": lambda place: next(place.rglob("libwire.a")).write_bytes(b"!<arch>\n"),
    "a command fails": lambda place: (place / "replay.sh").write_text("false\n"),
    "a program is not there": lambda place: (place / "replay.sh").write_text("avr-none -c\n"),
    "the commands are gone": lambda place: (place / "replay.sh").unlink(),
    "the note is cut short": lambda place: (place / "replay.json").write_text('{"path": '),
    "the note is of another version": lambda place: (place / "replay.json").write_text('{"words": []}'),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_what_cannot_be_replayed_is_platformios(builds: Builds, damage: str) -> None:
    place = builds.borrow("uno")
    project = builds.project(exported())
    BROKEN[damage](place)
    builds.refuses = True
    with pytest.raises(Asked):
        builds.build(project, "uno")


def test_what_failed_is_kept_anew(builds: Builds) -> None:
    place = builds.borrow("uno")
    project = builds.project(exported())
    real = image(builds.build(project, "uno") / "firmware.elf")
    BROKEN["an object is cut short"](place)
    for _ in range(2):
        assert image(builds.build(project, "uno") / "firmware.elf") == real
        assert builds.asked == 1


def test_a_project_with_scripts_of_its_own_is_platformios(builds: Builds) -> None:
    project = builds.project(exported("native"))
    settings = (project / "platformio.ini").read_text()
    more = "[env:scripted]\nextends = env:native\nextra_scripts = own.py\n"
    (project / "platformio.ini").write_text(f"{settings}\n{more}")
    (project / "own.py").write_text('Import("env")\nenv.Append(CPPDEFINES=["OWN"])\n')
    for expected in (1, 2):
        assert (builds.build(project, "scripted") / "program").exists()
        assert builds.asked == expected


def test_a_replay_of_another_image_is_not_used(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    gather = replay._gather

    def wrong(recording: object, project: Path, made: Path, fresh: Path) -> replay.Replay:
        known = gather(recording, project, made, fresh)  # type: ignore[arg-type]
        script = fresh / "replay.sh"
        script.write_text(script.read_text().replace(" -c ", " -DNN_PORTABLE -c "))
        return known

    monkeypatch.setattr(replay, "_gather", wrong)
    project = builds.project(exported(kernel="asm"))
    first = image(builds.build(project, "uno") / "firmware.elf")
    assert image(builds.build(project, "uno") / "firmware.elf") == first
    assert builds.asked == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [(100, "is greater than maximum allowed"), (1000, "(overflowed by|is greater than maximum allowed)")],
    ids=["board", "linker"],
)
def test_a_program_too_large_is_refused_in_platformios_words(builds: Builds, more: int, words: str) -> None:
    """That of the board leaves room for the bootloader; the limit of some compilers' linkers is the chip's flash."""
    builds.borrow("uno")
    project, uno = builds.project(as_code("uno")), BOARDS["uno"]
    flash, _ = elf_sizes(builds.build(project, "uno") / "firmware.elf")
    code = project / "firmware/model/model_code.S"
    code.write_text(f'{code.read_text()}\n.section .fini1,"ax",@progbits\n.space {uno.flash - flash + more}\n')
    with pytest.raises(InputError, match=rf"^uno: the firmware does not fit: .*{words}"):
        builds.build(project, "uno")
    assert builds.asked == 1


def test_a_build_that_fails_says_the_compilers_words(builds: Builds) -> None:
    builds.borrow("native")
    project = builds.project(exported("native"))
    header = project / "firmware/model/model.h"
    header.write_text(header.read_text().replace("#define", "#error planted\n#define", 1))
    with pytest.raises(DigitduinoError, match=r"^PlatformIO: native cannot be built: .*#error planted"):
        builds.build(project, "native")


def test_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_KEPT_PER_ENVIRONMENT", 2)
    for second, name in enumerate(("uno-1", "uno-2", "uno-3", "uno-new-1", "mega-1")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (second, second))
    replay._forget_the_oldest(tmp_path / "uno-3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mega-1", "uno-2", "uno-3", "uno-new-1"]
