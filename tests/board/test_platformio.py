"""`pio run` as a user types it, in a copy of the checkout, with the stand-in platforms and nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from needed import need
from patience import LIMIT_S

pytestmark = pytest.mark.xdist_group("platformio")

PIO = [sys.executable, "-m", "platformio"]
NARROWING = "\nuint8_t narrow(uint16_t wide);\nuint8_t narrow(uint16_t wide)\n{\n    return wide;\n}\n"


@pytest.fixture(scope="module")
def home(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's home, freshly provisioned offline."""
    for program, package in (("gcc", "gcc"), ("avr-gcc", "gcc-avr avr-libc"), ("avrdude", "avrdude")):
        need(program, package)
    place = tmp_path_factory.mktemp("home")
    tool = [sys.executable, str(repository / "tools/provision_platformio.py"), "--offline"]
    subprocess.run(tool, env=surroundings(place), check=True, timeout=LIMIT_S)
    return place


def surroundings(home: Path) -> dict[str, str]:
    """No variable of PlatformIO's: a user types nothing but the command."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PLATFORMIO")}
    return {**kept, "HOME": str(home)}


def copy_project(repository: Path, place: Path) -> Path:
    shutil.copy2(repository / "platformio.ini", place / "platformio.ini")
    ignored = shutil.ignore_patterns("sim", "build")
    shutil.copytree(repository / "firmware", place / "firmware", ignore=ignored)
    return place


@pytest.fixture(scope="module")
def project(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone, as far as `pio` can see; the tests of this module build in it one after the other."""
    return copy_project(repository, tmp_path_factory.mktemp("clone"))


def pio(project: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PIO, "run", *arguments],
        cwd=project,
        env=surroundings(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_a_fresh_clone_builds_for_the_pc_and_the_uno(project: Path, home: Path) -> None:
    done = pio(project, home)
    assert done.returncode == 0, done.stdout
    assert os.access(project / ".pio/build/native/program", os.X_OK)
    assert (project / ".pio/build/uno/firmware.elf").is_file()
    assert (project / ".pio/build/uno/firmware.hex").read_text(encoding="ascii").startswith(":")
    assert not (home / ".platformio").exists()


def test_other_avr_boards_build(project: Path, home: Path) -> None:
    done = pio(project, home, "-e", "mega", "-e", "nanoatmega328", "-e", "nanoatmega328new")
    assert done.returncode == 0, done.stdout
    assert "3 succeeded" in done.stdout


def test_size_prints_the_share_of_the_board(project: Path, home: Path) -> None:
    done = pio(project, home, "-e", "uno", "-t", "size")
    assert done.returncode == 0, done.stdout
    assert "Device: atmega328p" in done.stdout
    assert re.search(r"Program: +\d+ bytes \(\d+\.\d% Full\)", done.stdout)


def test_upload_calls_avrdude_with_port_rate_and_hex(project: Path, home: Path) -> None:
    done = pio(project, home, "-v", "-e", "uno", "-t", "upload", "--upload-port", "/dev/digitduino-none")
    assert done.returncode == 1
    assert re.search(
        r"^avrdude -p atmega328p -c arduino -b 115200 -D -P \"?/dev/digitduino-none\"? "
        r"-U flash:w:\.pio/build/uno/firmware\.hex:i$",
        done.stdout,
        re.MULTILINE,
    ), done.stdout
    assert re.search(r"avrdude.*(?:can't|cannot) open (?:device|port) \"?/dev/digitduino-none", done.stdout)


@pytest.mark.parametrize("port", ["/dev/digitduino-none", "/dev/null"])
def test_upload_to_a_mega_that_is_not_there_ends(project: Path, home: Path, port: str) -> None:
    """avrdude 7.1 would try for ever."""
    done = pio(project, home, "-e", "mega", "-t", "upload", "--upload-port", port)
    assert done.returncode == 1
    assert f"Error: {port}: no serial port" in done.stdout


def test_flags_of_the_project_reach_our_sources_and_strictness_stays_there(
    repository: Path, home: Path, tmp_path: Path
) -> None:
    done = pio(copy_project(repository, tmp_path), home, "-v", "-e", "uno", "-j", "1")
    assert done.returncode == 0, done.stdout
    compiled = dict(re.findall(r"^(avr-g(?=.* -c ).* -o \S*/(\w+/[^/ ]+)\.o .*)$", done.stdout, re.MULTILINE))
    lines = {name: line.split() for line, name in compiled.items()}
    kernel, glue, core = lines["nn/nn_preconv.c"], lines["src/main_avr.c"], lines["FrameworkArduino/wiring.c"]
    for line in (kernel, glue, core):
        assert {"-flto", "-ffp-contract=off", "-mmcu=atmega328p", "-Ifirmware/model"} <= set(line)
    assert kernel.index("-O2") > kernel.index("-Os")
    assert kernel.index("-std=gnu99") > kernel.index("-std=gnu11")
    assert {"-Werror", "-Wconversion", "-Wdouble-promotion"} <= set(kernel) & set(glue)
    assert not {"-Werror", "-O2"} & set(core)


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ("native", "lib/wire/wire_crc.c"),
        ("uno", "lib/wire/wire_crc.c"),
        ("native", "lib/nn/nn_argmax.c"),
        ("uno", "lib/app/app.c"),
        ("native", "src/native_main.c"),
        ("uno", "src/main_avr.c"),
    ],
)
def test_a_narrowing_in_our_sources_is_an_error(
    repository: Path, home: Path, tmp_path: Path, environment: str, place: str
) -> None:
    project = copy_project(repository, tmp_path)
    with (project / "firmware" / place).open("a", encoding="utf-8") as source:
        source.write(NARROWING)
    done = pio(project, home, "-e", environment)
    assert done.returncode == 1
    assert "-Werror=conversion" in done.stdout, done.stdout


def test_every_library_asks_for_the_same_strict_warnings(repository: Path) -> None:
    """PlatformIO cannot share flags between platformio.ini and library.json, so a test keeps them equal."""
    match = re.search(r"^\[strict\]\nflags = (.+)$", (repository / "platformio.ini").read_text(encoding="utf-8"), re.M)
    assert match is not None
    for name in ("nn", "wire", "app"):
        manifest = json.loads((repository / "firmware/lib" / name / "library.json").read_text(encoding="utf-8"))
        assert manifest["build"]["flags"][0] == match[1], name
