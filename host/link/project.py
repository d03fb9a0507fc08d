"""A folder as a complete PlatformIO project: what is written into it, and what may not be written over."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from host.assets import asset_root
from host.atomic import copy_file
from host.compile.export import Export
from host.compile.render import RENDERED, render, write_headers
from host.errors import InputError

_FIRMWARE = Path("firmware")
_SETTINGS = Path("platformio.ini")
MODEL_FOLDER = _FIRMWARE / "model"
_IGNORED = shutil.ignore_patterns(".pio", "__pycache__", "sim", "fuzz", "build", "*.h5")
_BUILDS = (".pio",)


@dataclass(frozen=True)
class Known:
    """What a project folder holds already: headers that are about to change, and what is no part of a project, from
    the folder on."""

    replaced: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()


def stage_project(export: Export, directory: Path) -> None:
    """Make `directory` a complete PlatformIO project for `export`: platformio.ini, firmware/, rendered headers.

    What is there stays, but for the headers, which come last: wherever this ends early, each file is whole, an older
    project still is one, and the next try completes a new one. Raise InputError where something cannot be written.
    """
    root = asset_root()
    for place in list(_sources()):
        target = directory / place
        if not target.exists():
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                why = f"{target.parent}: cannot be made: {error.strerror or error}"
                raise InputError(f"{why}; choose another place for the project") from error
            copy_file(root / place, target)
    write_headers(export, directory / MODEL_FOLDER)


def project_digest(export: Export) -> str:
    """Of all that `stage_project` would write into an empty directory: names and contents."""
    root, state = asset_root(), hashlib.sha256()
    contents = {place: (root / place).read_bytes() for place in _sources()}
    contents |= {MODEL_FOLDER / name: text.encode() for name, text in render(export).items()}
    for place, content in sorted(contents.items()):
        state.update(place.as_posix().encode() + b"\0" + hashlib.sha256(content).digest())
    return state.hexdigest()


def check_project(export: Export, directory: Path) -> Known:
    """What a project for `export` finds in `directory`.

    Raise InputError where it would write over anything but the headers of a model, or fall among files that are none of
    a project.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: found a file, need a folder for the project; choose another place")
    root, sources = asset_root(), set(_sources())
    place = directory.resolve()
    if place == root or (root / _FIRMWARE) in (place, *place.parents):
        raise InputError(
            f"{directory}: found the folder that projects are made from, need another; choose one elsewhere, or "
            "replace the headers alone with -o"
        )
    if not directory.exists():
        return Known()
    present = {path for path in sources if (directory / path).exists()}
    others = tuple(_others(directory, sources))
    if others and not present:
        raise InputError(
            f"{directory}: found a folder with other files, such as {others[0]}, need a new or empty one or a project "
            "that was exported before; choose another place"
        )
    edited = sorted(path for path in present if not _is_same(root / path, directory / path))
    if edited:
        more = f" and {len(edited) - 1} more" if len(edited) > 1 else ""
        raise InputError(
            f"{directory / edited[0]}: found another file than a project begins with{more}, need it as it was; export "
            f"to another folder, or the headers alone with -o {directory / MODEL_FOLDER}"
        )
    places = {directory / MODEL_FOLDER / name: text for name, text in render(export).items()}
    replaced = tuple(path for path, text in places.items() if path.exists() and path.read_bytes() != text.encode())
    return Known(replaced, others)


def _sources() -> Iterator[Path]:
    """Every file that `stage_project` copies as it is."""
    yield _SETTINGS
    root = asset_root()
    for folder, folders, files in os.walk(root / _FIRMWARE):
        ignored = _IGNORED(folder, [*folders, *files])
        folders[:] = [name for name in folders if name not in ignored]
        place = Path(folder).relative_to(root)
        rendered = RENDERED if place == MODEL_FOLDER else ()
        yield from (place / name for name in files if name not in ignored and name not in rendered)


def _others(directory: Path, sources: set[Path]) -> Iterator[Path]:
    """What is there besides, sorted: of the folder itself without what lies deeper, of firmware/ every file."""
    for path in sorted(directory.iterdir()):
        if path.name not in (_SETTINGS.name, _FIRMWARE.name, *_BUILDS):
            yield path.relative_to(directory)
    for path in sorted((directory / _FIRMWARE).rglob("*")):
        place = path.relative_to(directory)
        is_rendered = place.parent == MODEL_FOLDER and place.name in RENDERED
        if not path.is_dir() and place not in sources and not is_rendered:
            yield place


def _is_same(ours: Path, theirs: Path) -> bool:
    return theirs.is_file() and theirs.read_bytes() == ours.read_bytes()
