"""Builds a staged project with PlatformIO, or by the commands that PlatformIO ran when it was built for another model.

Most of PlatformIO's time is its own start; of its commands, those that see the model and the link take a tenth of it.
So the first build notes them and keeps the objects that they link. What is kept counts for one content of every file of
the project but the model's headers, for one set of flags and surroundings, and only while the compilers and the headers
outside of the project are those of then. It is used only if it gave the very same image as PlatformIO for the model
that it was made with. In every other case PlatformIO builds.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from host.assets import asset_root
from host.cache import tree_digest
from host.compile.render import RENDERED
from host.errors import InputError, ToolMissing
from host.link import avr_gcc
from host.link.elf import elf_sizes, image
from host.link.process import last_error, run_tool
from host.link.project import MODEL_FOLDER
from host.link.recording import Recording, UnclearError, outside_files, part_for, read_recording

PROGRAMS = ("firmware.elf", "firmware.hex", "program")
_RECORDER = Path("tools/platformio/scripts/record.py")
_COMPILERS = ("avr-gcc", "gcc", "cc")
_NOTE = "replay.json"
_SCRIPT = "replay.sh"
_KEPT_PER_ENVIRONMENT = 8
_MODEL = frozenset(f"{MODEL_FOLDER.as_posix()}/{name}" for name in RENDERED)


@dataclass(frozen=True)
class Replay:
    """What building for another model takes besides _SCRIPT: its PATH, the kept files and the folders it writes into
    (relative to the project), the state of the files outside, and the board's limits in bytes."""

    path: str
    needs: list[str]
    folders: list[str]
    outside: dict[str, list[int]]
    flash: int | None
    ram: int | None


def build(project: Path, environment: str, flags: str, kept: Path) -> Path:
    """Build the staged `project` in place and return the folder of its programs; `kept` is where objects are kept.

    Raise ToolMissing or InputError with the compiler's words."""
    place = kept / f"{environment}-{_key(project, environment, flags)}"
    made = project / ".pio" / "build" / environment
    try:
        known = _load(place)
    except UnclearError:
        _run_platformio(project, environment, flags)
        return made
    if known is not None:
        if _is_as_kept(known) and _replay(known, place, project, made):
            return made
        shutil.rmtree(project / ".pio", ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="digitduino-") as folder:
        record = Path(folder)
        _run_platformio(project, environment, flags, record)
        with suppress(OSError):
            _keep(record, project, made, place)
    return made


def surroundings_digest() -> str:
    """Of what lies outside of a project and decides what PlatformIO makes of it."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("PLATFORMIO_")}
    pointer = avr_gcc.POINTER.read_text(encoding="utf-8") if avr_gcc.POINTER.is_file() else ""
    search = avr_gcc.search_path()
    compilers = [Path(path).resolve() for name in _COMPILERS if (path := shutil.which(name, path=search))]
    state = [sorted(settings.items()), pointer, version("platformio"), sys.version_info[:2], _states(compilers)]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _key(project: Path, environment: str, flags: str) -> str:
    there = sorted(path.name for path in (project / MODEL_FOLDER).iterdir())
    recorder = (asset_root() / _RECORDER).read_text(encoding="utf-8")
    state = [environment, flags, tree_digest(project, _MODEL), there, surroundings_digest(), recorder]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:24]


def _run_platformio(project: Path, environment: str, flags: str, record: Path | None = None) -> None:
    command = [sys.executable, "-m", "platformio", "run", "-s", "-d", str(project), "-e", environment]
    # PlatformIO takes its settings from PLATFORMIO_*; a user's build directory must not leak into the private one.
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith(("PLATFORMIO_BUILD", "PLATFORMIO_SRC"))}
    surroundings["PLATFORMIO_BUILD_FLAGS"] = flags
    if record is None:
        result = run_tool(command, surroundings)
    else:
        others = surroundings.get("PLATFORMIO_EXTRA_SCRIPTS", "")
        scripts = f"{others}\npre:{asset_root() / _RECORDER}".strip()
        recorded = {"PLATFORMIO_EXTRA_SCRIPTS": scripts, "DIGITDUINO_RECORD": str(record)}
        result = run_tool(command, surroundings | recorded)
        if result.returncode and not any(record.glob("[0-9]*.json")):
            # It did not come to its first command, for which the recorder may be to blame.
            result = run_tool(command, surroundings)
    if result.returncode == 0:
        return
    reason = last_error(result)
    if "overflowed" in reason or "will not fit" in reason or "is greater than maximum allowed" in reason:
        raise InputError(f"{environment}: the firmware does not fit: {reason}; choose a smaller model or --format int8")
    raise ToolMissing(f"PlatformIO: {environment} cannot be built: {reason}; run `make setup`, then `host doctor`")


def _load(place: Path) -> Replay | None:
    """None where nothing is kept, or nothing whole. Raise UnclearError where PlatformIO alone can build this."""
    try:
        fields = json.loads((place / _NOTE).read_text(encoding="utf-8"))
        if fields is not None:
            return Replay(**fields)
    except (OSError, ValueError, TypeError):
        return None
    raise UnclearError("this was tried before")


def _is_as_kept(known: Replay) -> bool:
    try:
        return known.outside == _states(map(Path, known.outside))
    except OSError:
        return False


def _states(paths: Iterable[Path]) -> dict[str, list[int]]:
    """Size and time of change of each file: what tells another compiler from that of yesterday."""
    found = {path: path.stat() for path in paths}
    return {str(path): [stat.st_size, stat.st_mtime_ns] for path, stat in sorted(found.items())}


def _replay(known: Replay, place: Path, project: Path, made: Path) -> bool:
    """Whether the programs are there now, within the board's limits. PlatformIO says in its own words what is wrong
    otherwise."""
    try:
        for name in known.folders:
            (project / name).mkdir(parents=True, exist_ok=True)
        for name in known.needs:
            (project / name).symlink_to(place / name)
        script = place / _SCRIPT
        done = run_tool(["sh", "-e", str(script)], {**os.environ, "PATH": known.path}, project)
    except (OSError, ToolMissing):
        return False
    return done.returncode == 0 and _fits(made / "firmware.elf", known)


def _fits(elf: Path, known: Replay) -> bool:
    if not elf.exists():
        return True
    flash, ram = elf_sizes(elf)
    return (known.flash is None or flash <= known.flash) and (known.ram is None or ram <= known.ram)


def _keep(record: Path, project: Path, made: Path, place: Path) -> None:
    """Put into `place` what later builds need, once it has proved itself; else a note that it has not."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".made-", dir=place.parent) as folder:
        fresh = Path(folder) / place.name
        fresh.mkdir()
        try:
            known = _gather(read_recording(record), project, made, fresh)
        except UnclearError:
            known = None
        if known is not None and not _proves_itself(known, fresh, project, made):
            known = None
        (fresh / _NOTE).write_text(json.dumps(None if known is None else asdict(known)), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
    _forget_the_oldest(place)


def _gather(recording: Recording, project: Path, made: Path, fresh: Path) -> Replay:
    """Copy what other builds need into `fresh`, and say what they do with it."""
    part = part_for(recording, _MODEL, made.relative_to(project).as_posix())
    script = "\n".join(command.text for command in part.commands) + "\n"
    if str(project) in script:
        raise UnclearError("a command names the project's own place")
    for name in part.needs:
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(project / name, fresh / name)
    (fresh / _SCRIPT).write_text(script, encoding="utf-8")
    return Replay(
        path=recording.path,
        needs=list(part.needs),
        folders=sorted({Path(name).parent.as_posix() for name in (*part.needs, *part.makes)}),
        outside=_states(outside_files(recording, project)),
        flash=recording.flash,
        ram=recording.ram,
    )


def _proves_itself(known: Replay, fresh: Path, project: Path, made: Path) -> bool:
    """Whether a replay gives the image that PlatformIO made; `made` is left as PlatformIO left it."""
    aside = made.with_name(f"{made.name}.made")
    made.rename(aside)
    try:
        return _replay(known, fresh, project, made) and all(
            image(aside / name) == image(made / name) for name in PROGRAMS if (aside / name).exists()
        )
    finally:
        shutil.rmtree(made, ignore_errors=True)
        aside.rename(made)


def _forget_the_oldest(place: Path) -> None:
    """Of each environment so many are kept; a build that loses its objects meanwhile is PlatformIO's."""
    environment = place.name.rpartition("-")[0]
    kept = [path for path in place.parent.glob(f"{environment}-*") if path.name.rpartition("-")[0] == environment]
    for path in sorted(kept, key=lambda path: path.stat().st_mtime)[:-_KEPT_PER_ENVIRONMENT]:
        shutil.rmtree(path, ignore_errors=True)
