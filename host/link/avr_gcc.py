"""Which avr-gcc builds firmware: the first on PATH, or the one that DIGITDUINO_AVR_GCC names.

That variable holds a folder, or the version of a compiler that tools/provision_platformio.py has brought. It holds for
the stand-in platforms; PlatformIO's own bring a compiler of theirs.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from host.compile.boards import COMPILERS
from host.errors import ToolMissing
from host.link.process import run_tool

VARIABLE = "DIGITDUINO_AVR_GCC"
POINTER = Path("~/.cache/digitduino/platformio.ini").expanduser()
"""Where platformio.ini looks for more settings; tools/provision_platformio.py names its stand-ins there."""
_BROUGHT = "digitduino-avr-gcc-"


@dataclass(frozen=True)
class Compiler:
    """Where it is and what it says of itself, such as 5.4.0."""

    path: Path
    version: str


def core_directory() -> Path:
    """PlatformIO's, which holds its platforms and packages."""
    if exported := os.environ.get("PLATFORMIO_CORE_DIR"):
        return Path(exported).expanduser()
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(POINTER, encoding="utf-8")
    return Path(settings.get("platformio", "core_dir", fallback="~/.platformio")).expanduser()


def has_stand_ins() -> bool:
    """Whether PlatformIO builds with the system's tools."""
    return (core_directory() / "platforms" / "digitduino-atmelavr").is_dir()


def chosen_folder() -> Path | None:
    """Of the compiler that was asked for; None where PATH decides. Raise ToolMissing where it is not there."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return None
    packages = core_directory() / "packages"
    folder = Path(wanted) if os.sep in wanted else packages / f"{_BROUGHT}{wanted}" / "bin"
    if (folder / "avr-gcc").is_file():
        return folder
    brought = sorted(path.name.removeprefix(_BROUGHT) for path in packages.glob(f"{_BROUGHT}*"))
    known = f"{', '.join(brought)} or the folder of an avr-gcc" if brought else "the folder of an avr-gcc"
    raise ToolMissing(
        f"{VARIABLE}: found {wanted}, need {known}; `python tools/provision_platformio.py --avr-gcc` brings 7.3.0"
    )


def search_path() -> str:
    """PATH, with the chosen compiler's folder before all others."""
    folder, rest = chosen_folder(), os.environ.get("PATH", os.defpath)
    return rest if folder is None else f"{folder}{os.pathsep}{rest}"


def compiler() -> Compiler | None:
    """The avr-gcc that the stand-ins build with; None where there is none."""
    path = shutil.which("avr-gcc", path=search_path())
    return None if path is None else _asked(Path(path))


def builder_version() -> str:
    """Of the avr-gcc that PlatformIO builds with: the stand-ins', else its own, which it may not have fetched yet."""
    if has_stand_ins():
        found = compiler()
    else:
        own = shutil.which("avr-gcc", path=core_directory() / "packages" / "toolchain-atmelavr" / "bin")
        found = None if own is None else _asked(Path(own))
    return COMPILERS[1] if found is None else found.version


def _asked(path: Path) -> Compiler:
    try:
        version = run_tool([str(path), "-dumpversion"]).stdout.strip()
    except OSError as error:
        raise ToolMissing(f"{path}: cannot be run: {error.strerror}; name another by {VARIABLE}") from error
    return Compiler(path, version if re.fullmatch(r"[\d.]+", version) else "of an unknown version")
