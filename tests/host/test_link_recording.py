"""Which commands of a recorded build another model asks for; real recordings are replayed in tests/board."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.link.recording import UnclearError, outside_files, part_for, read_recording

BUILD = ".pio/build/uno"
MODEL = frozenset({"model/model.h"})
COMMANDS = [
    ("cc -c -o {b}/main.o main.c", "main.o: model/model.h lib/app.h"),
    ("cc -c -o {b}/quiet.o quiet.c", "quiet.o: lib/app.h \\\n  lib/a\\ b.h"),
    ("cc -o {b}/app.o -c app.c", None),
    ("ar rc {b}/libapp.a {b}/app.o", None),
    ("cc -c -o {b}/crc.o crc.c", "crc.o:"),
    ("ar rc {b}/libwire.a {b}/crc.o", None),
    ("ranlib {b}/libwire.a", None),
    ("ranlib {b}/libapp.a", None),
    ('cc -o "{b}/firmware.elf" {b}/main.o {b}/quiet.o -L{b} {b}/libapp.a {b}/libwire.a', None),
    ("objcopy {b}/firmware.elf {b}/firmware.hex", None),
]


def write(
    folder: Path, commands: list[tuple[str, str | None]] = COMMANDS, scripts: int = 0, path: str = "/bin"
) -> Path:
    (folder / "build.json").write_text(json.dumps({"flash": 32256, "ram": 2048, "scripts": scripts}))
    for number, (command, rule) in enumerate(commands):
        note = {"command": command.format(b=BUILD), "path": path if number else "/bin"}
        (folder / f"{number:05d}.json").write_text(json.dumps(note))
        if rule is not None:
            (folder / f"{number:05d}.d").write_text(f"{rule}\n")
    return folder


def test_what_sees_the_model_is_compiled_again_and_what_holds_it_made_again(tmp_path: Path) -> None:
    part = part_for(read_recording(write(tmp_path)), MODEL, BUILD)
    assert [COMMANDS[number][0].format(b=BUILD) for number in (0, 2, 3, 7, 8, 9)] == [
        command.text for command in part.commands
    ]
    assert part.needs == (f"{BUILD}/quiet.o", f"{BUILD}/libwire.a")
    assert part.makes == tuple(
        f"{BUILD}/{name}" for name in ("main.o", "app.o", "libapp.a", "firmware.elf", "firmware.hex")
    )


def test_a_source_of_the_model_itself_is_compiled_again(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path, [("cc -c -o {b}/m.o model/model.h", "m.o:")]))
    assert len(part_for(recording, MODEL, BUILD).commands) == 1


def test_dependencies_are_read_as_make_would(tmp_path: Path) -> None:
    commands = read_recording(write(tmp_path)).commands
    assert commands[1].read == ("lib/app.h", "lib/a b.h")
    assert commands[2].read is None and commands[4].read == ()


def test_outside_files_are_programs_headers_and_sources(tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    for name in (project / "own.h", outside / "bin/cc", outside / "core.c", outside / "system.h"):
        name.parent.mkdir(parents=True, exist_ok=True)
        name.touch(0o755)
    (folder := tmp_path / "record").mkdir()
    rule = f"core.o: {outside}/system.h {project}/own.h {outside}/gone.h"
    write(folder, [(f"cc -c -o {{b}}/core.o {outside}/core.c", rule)])
    note = json.loads((folder / "00000.json").read_text())
    (folder / "00000.json").write_text(json.dumps({**note, "path": str(outside / "bin")}))
    found = outside_files(read_recording(folder), project)
    assert found == {outside / name for name in ("bin/cc", "core.c", "system.h")}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: write(folder, scripts=1), "extra_scripts"),
        (lambda folder: write(folder, path="/usr/bin"), "found 2 different PATHs"),
        (lambda folder: write(folder, []), "found 0 different PATHs"),
        (lambda folder: (write(folder) / "build.json").unlink(), "cannot be read"),
        (lambda folder: (write(folder) / "00003.json").write_text("{"), "cannot be read"),
        (
            lambda folder: (write(folder) / "00003.json").write_text('{"command": "cc \'", "path": "/bin"}'),
            "cannot be read",
        ),
    ],
)
def test_what_is_unclear_is_said(tmp_path: Path, damage: object, words: str) -> None:
    assert callable(damage)
    damage(tmp_path)
    with pytest.raises(UnclearError, match=words):
        read_recording(tmp_path)


def test_a_build_without_the_model_is_unclear(tmp_path: Path) -> None:
    with pytest.raises(UnclearError, match="no command reads the model"):
        part_for(read_recording(write(tmp_path, COMMANDS[4:7])), MODEL, BUILD)
