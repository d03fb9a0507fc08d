"""Writes down every command that a build runs: an extra script of PlatformIO's, for host/link/replay.py.

The folder is $DIGITDUINO_RECORD. `build.json` tells of the build as a whole, and each command has a file of its own,
numbered in the order of their start. A compiler writes beside it which files it read, since gcc does so by itself
where SUNPRO_DEPENDENCIES names a place. Nothing here may change what is built, nor let it fail.
"""

import itertools
import json
import os
from contextlib import suppress
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
folder = Path(os.environ["DIGITDUINO_RECORD"])
numbers = itertools.count()
spawn = env["SPAWN"]


def limit(name):
    """Bytes that a program of this board may take, as PlatformIO checks them; None for no limit."""
    return env.BoardConfig().get(f"upload.{name}", None) if "BOARD" in env else None


def record(shell, escape, command, arguments, surroundings):
    """Run a command as SCons would, and note it."""
    name = f"{next(numbers):05d}"
    with suppress(OSError):
        written = {"command": " ".join(arguments), "path": surroundings.get("PATH", "")}
        (folder / f"{name}.json").write_text(json.dumps(written), encoding="utf-8")
    return spawn(shell, escape, command, arguments, {**surroundings, "SUNPRO_DEPENDENCIES": str(folder / f"{name}.d")})


with suppress(OSError):
    whole = {
        "flash": limit("maximum_size"),
        "ram": limit("maximum_ram_size"),
        "scripts": len(env.GetProjectOption("extra_scripts", [])) - 1,  # besides this one
    }
    (folder / "build.json").write_text(json.dumps(whole), encoding="utf-8")
env.Replace(SPAWN=record)
