"""What `make setup` is made of: which system packages are asked for, and what the wheel carries."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from needed import lacking, need_module
from patience import LIMIT_S

EVERYDAY = ("sh", "env", "cat", "grep", "head", "mktemp", "rm", "test", "printf", "gcc", "make", "id")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH with everyday programs and nothing of AVR; tests put stand-ins beside them."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in EVERYDAY:
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    return programs


def put_program(place: Path, name: str, body: str) -> None:
    (place / name).unlink(missing_ok=True)
    (place / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    (place / name).chmod(0o755)


def run_setup(repository: Path, programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(repository / "tools/setup_system.sh"), *arguments],
        env={"PATH": str(programs), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_the_list_names_what_is_missing(repository: Path, machine: Path) -> None:
    packages = run_setup(repository, machine, "--list").stdout.split()
    assert {"gcc-avr", "avrdude", "clang-format"} <= set(packages)
    assert not {"gcc", "make", "python3-venv"} & set(packages)


def test_without_root_one_line_says_what_to_install(repository: Path, machine: Path) -> None:
    put_program(machine, "id", "echo 1000")
    put_program(machine, "apt-get", "echo must not be called; exit 9")
    done = run_setup(repository, machine)
    assert done.returncode == 4
    assert done.stdout == ""
    assert re.fullmatch(r"error: .*run `sudo apt-get install [\w .-]*gcc-avr[\w .-]*`\n", done.stderr)


def test_without_apt_one_line_says_what_to_install(repository: Path, machine: Path) -> None:
    done = run_setup(repository, machine)
    assert done.returncode == 4
    assert re.fullmatch(r"error: .*no apt-get, need [\w .-]*gcc-avr.*\n", done.stderr)


def test_as_root_lists_are_fetched_only_when_the_first_try_fails(repository: Path, machine: Path) -> None:
    put_program(machine, "id", "echo 0")
    log = machine / "calls"
    put_program(
        machine,
        "apt-get",
        f'echo "$*" >>{log}; test -e {machine}/updated && exit 0\n'
        f"case $1 in update) : >{machine}/updated;; *) exit 100;; esac",
    )
    assert run_setup(repository, machine).returncode == 0
    first, update, second = log.read_text(encoding="utf-8").splitlines()
    assert first == second
    assert first.startswith("install")
    assert "gcc-avr" in first.split()
    assert update.startswith("update")


def test_a_failing_apt_ends_in_its_own_words(repository: Path, machine: Path) -> None:
    put_program(machine, "id", "echo 0")
    put_program(machine, "apt-get", "echo 'E: no space left'; exit 100")
    done = run_setup(repository, machine)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert "E: no space left" in done.stderr


def test_nothing_is_printed_where_nothing_is_missing(repository: Path) -> None:
    listed = run_setup(repository, Path(os.environ["PATH"]), "--list").stdout.split()
    if listed:
        lacking(f"this machine lacks {' '.join(listed)}; run `make setup`")
    done = run_setup(repository, Path(os.environ["PATH"]))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_describes_every_command(repository: Path) -> None:
    done = subprocess.run(
        ["make", "-s", "help"], cwd=repository, capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    described = dict(re.findall(r"^make (\w+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert set(described) == {"help", "setup", "demo", "test", "check", "format", "bench", "soak", "clean"}


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package as pip installs it, away from the checkout."""
    need_module("hatchling", "pip install hatchling")
    place = tmp_path_factory.mktemp("wheel")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(place),
        str(repository),
    ]
    subprocess.run(pip, check=True, capture_output=True, timeout=LIMIT_S)
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def test_the_wheel_carries_what_export_and_verify_need(repository: Path, installed: Path) -> None:
    assets = installed / "host" / "_assets"
    for folder in ("templates", "firmware/lib", "firmware/src", "firmware/model", "tools/platformio"):
        expected = {path.relative_to(repository) for path in (repository / folder).rglob("*") if path.is_file()}
        expected = {path for path in expected if "__pycache__" not in path.parts}
        assert {path for path in expected if not (assets / path).is_file()} == set()
    for name in ("platformio.ini", "firmware/sim/Makefile", "tools/provision_platformio.py"):
        assert (assets / name).read_bytes() == (repository / name).read_bytes()
    assert not (assets / "firmware/sim/build").exists()
    assert (installed / "host/py.typed").is_file()


def test_an_installed_package_finds_its_own_files(installed: Path) -> None:
    code = "import json, host.assets as a; r = a.asset_root(); print(json.dumps([str(r), (r / 'firmware').is_dir()]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=installed, env={"PYTHONPATH": str(installed)}, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == [str(installed / "host" / "_assets"), True]


def test_a_checkout_is_its_own_root(repository: Path) -> None:
    from host.assets import asset_root

    assert asset_root() == repository


@pytest.mark.xdist_group("of one")
def test_groups_of_tests_stay_in_one_workers_hands(request: pytest.FixtureRequest) -> None:
    """Where pytest and pytest-xdist do not agree about them they are forgotten without a word."""
    is_grouped = request.node.nodeid.endswith("@of one")
    assert is_grouped == getattr(request.config.option, "loadgroup", False)
