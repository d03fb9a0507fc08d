"""`host export --project`: a folder of the user's is never written over; a model's headers are, and it is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from full_disk import file_size_limit
from networks import random_network

from host.assets import asset_root
from host.cli import main
from host.modelfile import file as model_file

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two models and a project of the first."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        model_file.save(random_network(seed, shape=(16, 16), classes=10), tmp_path / f"{seed}.h5")
    assert export("1.h5") == 0
    return tmp_path


def export(model: str, folder: str = "p") -> int:
    return main(["export", model, "--kernel", "portable", "--project", folder])


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def said(capsys: Capture) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(("replaced", "left", "project"))]


def test_the_same_model_again_replaces_nothing(place: Path, capsys: Capture) -> None:
    before = files(place / "p")
    capsys.readouterr()
    assert export("1.h5") == 0
    assert said(capsys) == ["project in p; next: pio run -d p -e uno -t upload"]
    assert files(place / "p") == before


def test_another_model_replaces_the_headers_and_says_so(place: Path, capsys: Capture) -> None:
    before = files(place / "p")
    (place / "p/.pio/build").mkdir(parents=True)
    (place / "p/.pio/build/x").write_text("built")
    (place / "p/notes.txt").write_text("mine")
    (place / "p/firmware/src/own.c").write_text("int own;")
    capsys.readouterr()
    assert export("2.h5") == 0
    *replaced, left, _ = said(capsys)
    assert replaced == [f"replaced p/firmware/model/{name}" for name in ("model.h", "model_net.h", "model_code.S")]
    assert left == "left as they were: notes.txt, firmware/src/own.c"
    after = files(place / "p")
    changed = {path.relative_to(place / "p").as_posix() for path, content in before.items() if after[path] != content}
    assert changed == {f"firmware/model/{name}" for name in ("model.h", "model_net.h", "model_code.S")}
    assert (place / "p/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["platformio.ini", "firmware/src/main.cpp"])
def test_an_edited_file_is_not_written_over(place: Path, capsys: Capture, name: str) -> None:
    path = place / "p" / name
    path.write_text(path.read_text() + "\n; mine")
    before = files(place / "p")
    assert export("2.h5") == 2
    line = capsys.readouterr().err
    assert f"p/{name}: found another file than a project begins with, need it as it was" in line
    assert "the headers alone with -o p/firmware/model" in line and line.count("\n") == 1
    assert files(place / "p") == before
    assert main(["export", "2.h5", "--kernel", "portable", "-o", "p/firmware/model"]) == 0
    assert path.read_text().endswith("; mine")


def test_a_folder_of_other_files_stays_as_it_is(place: Path, capsys: Capture) -> None:
    (place / "own").mkdir()
    (place / "own/diary.txt").write_text("Dear diary,")
    assert export("1.h5", "own") == 2
    assert "own: found a folder with other files, such as diary.txt, need a new or empty one" in capsys.readouterr().err
    assert [path.name for path in (place / "own").iterdir()] == ["diary.txt"]
    assert export("1.h5", "1.h5") == 2
    assert "1.h5: found a file, need a folder for the project" in capsys.readouterr().err


def test_an_empty_folder_and_a_project_in_pieces_are_completed(place: Path) -> None:
    whole = files(place / "p")
    (place / "empty").mkdir()
    assert export("1.h5", "empty") == 0
    (place / "p/platformio.ini").unlink()
    (place / "p/firmware/model/model.h").unlink()
    assert export("1.h5") == 0
    assert files(place / "p") == whole
    assert {path.relative_to("empty"): content for path, content in files(Path("empty")).items()} == {
        path.relative_to(place / "p"): content for path, content in whole.items()
    }


@pytest.mark.parametrize("size", [2000, 3000])
def test_a_full_disk_leaves_an_older_project_as_it_was(place: Path, capsys: Capture, size: int) -> None:
    before = files(place / "p")
    with file_size_limit(size):
        assert export("2.h5") == 2
    line = capsys.readouterr().err
    assert "cannot be written: File too large" in line and line.count("\n") == 1
    assert files(place / "p") == before
    assert export("2.h5") == 0


@pytest.mark.parametrize("size", [2000, 3000])
def test_a_project_that_a_full_disk_cut_short_is_completed_by_the_next_try(place: Path, size: int) -> None:
    whole = files(place / "p")
    with file_size_limit(size):
        assert export("1.h5", "new") == 2
    assert all(content == whole[place / "p" / path.relative_to("new")] for path, content in files(Path("new")).items())
    assert export("1.h5", "new") == 0
    assert [path.relative_to("new") for path in sorted(files(Path("new")))] == [
        path.relative_to(place / "p") for path in sorted(whole)
    ]


def test_an_interrupt_before_the_headers_leaves_the_older_model(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = files(place / "p")
    with monkeypatch.context() as patch:
        patch.setattr("host.link.project.write_headers", interrupt)
        assert export("2.h5") == 130
    assert files(place / "p") == before


@pytest.mark.parametrize("inside", [".", "firmware", "firmware/new", "firmware/lib/a/b"])
def test_what_projects_are_made_from_is_no_place_for_one(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, inside: str
) -> None:
    root = place / "clone"
    for folder in ("templates", "firmware"):
        shutil.copytree(asset_root() / folder, root / folder)
    shutil.copy(asset_root() / "platformio.ini", root)
    for module in ("host.link.project", "host.compile.render"):
        monkeypatch.setattr(f"{module}.asset_root", lambda: root)
    before = files(root)
    assert export("1.h5", str(root / inside)) == 2
    assert "found the folder that projects are made from, need another" in capsys.readouterr().err
    assert files(root) == before
