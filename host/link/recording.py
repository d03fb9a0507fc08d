"""What tools/platformio/scripts/record.py wrote down of one build, and which of its commands a change of the model
asks for again."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

_SPACE = re.compile(r"(?<!\\)\s+")


class UnclearError(Exception):
    """A build that cannot be told apart into commands; its one argument says why."""


@dataclass(frozen=True)
class Command:
    """One command for the shell, its words, and the files it read besides those words; None where nothing tells."""

    text: str
    words: tuple[str, ...]
    read: tuple[str, ...] | None

    @property
    def compiles(self) -> bool:
        """Whether it is one that turns a source into an object, and so may read headers."""
        return "-c" in self.words


@dataclass(frozen=True)
class Recording:
    """A whole build. `path` is the PATH that it ran with; `flash` and `ram` in bytes are what PlatformIO lets a program
    of this board take, None for no limit."""

    commands: tuple[Command, ...]
    path: str
    flash: int | None
    ram: int | None


@dataclass(frozen=True)
class Part:
    """The commands that must run again for another model, the files they find made, and those they make."""

    commands: tuple[Command, ...]
    needs: tuple[str, ...]
    makes: tuple[str, ...]


def read_recording(folder: Path) -> Recording:
    """Raise UnclearError where the build did more than run commands, or the recording is not whole."""
    try:
        whole = json.loads((folder / "build.json").read_text(encoding="utf-8"))
        noted = {path: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("[0-9]*.json"))}
        commands = tuple(
            Command(note["command"], tuple(shlex.split(note["command"])), _dependencies(path.with_suffix(".d")))
            for path, note in noted.items()
        )
        paths = {note["path"] for note in noted.values()}
    except (OSError, ValueError, KeyError) as error:
        raise UnclearError(f"the recording cannot be read: {error}") from error
    if whole["scripts"]:
        raise UnclearError("platformio.ini names extra_scripts, whose doings no command shows")
    if len(paths) != 1:
        raise UnclearError(f"found {len(paths)} different PATHs, need one")
    return Recording(commands, paths.pop(), whole["flash"], whole["ram"])


def part_for(recording: Recording, model: frozenset[str], build: str) -> Part:
    """What another content of the files `model` asks for; `build` is the folder of what is made, and all names are
    relative to the project. A file there first appears in the command that makes it."""
    seen: set[str] = set()
    made: dict[str, None] = {}
    needs: dict[str, None] = {}
    commands = []
    for command in recording.commands:
        files = [word for word in command.words if word.startswith(f"{build}/")]
        new = [word for word in files if word not in seen]
        seen.update(files)
        if made.keys().isdisjoint(files) and not _sees(command, model):
            continue
        commands.append(command)
        needs |= dict.fromkeys(word for word in files if word not in new and word not in made)
        made |= dict.fromkeys(new)
    if not commands:
        raise UnclearError("no command reads the model")
    return Part(tuple(commands), tuple(needs), tuple(made))


def outside_files(recording: Recording, project: Path) -> set[Path]:
    """The files outside of the project that a build read: compilers, Arduino's sources, headers of the system."""
    found = set()
    for command in recording.commands:
        program = shutil.which(command.words[0], path=recording.path)
        for word in (program or "", *command.words[1:], *(command.read or ())):
            path = Path(word)
            if path.is_absolute() and project not in path.parents and path.is_file():
                found.add(path.resolve())
    return found


def _sees(command: Command, model: frozenset[str]) -> bool:
    return command.compiles and (command.read is None or not model.isdisjoint((*command.words, *command.read)))


def _dependencies(path: Path) -> tuple[str, ...] | None:
    """What a compiler wrote where SUNPRO_DEPENDENCIES said: a rule for make."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    _, _, files = text.replace("\\\n", " ").partition(": ")
    return tuple(re.sub(r"\\(.)", r"\1", word) for word in _SPACE.split(files.strip()) if word)
