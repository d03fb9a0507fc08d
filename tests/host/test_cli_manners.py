"""How the command behaves as a process: help, interrupts, pipes that close, terminals."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from commands import LIMIT_S, run_host, surroundings
from serial.tools import list_ports, list_ports_common

from host.cli import EXIT_INTERRUPTED, main
from host.modelfile import file as model_file

COMMANDS = (
    *(
        "demo",
        "fetch",
        "train",
        "evaluate",
        "export",
        "plot",
        "models",
        "ports",
        "doctor",
        "simulate",
        "verify",
        "explain",
    ),
)
Capture = pytest.CaptureFixture[str]


def test_help_names_every_command_and_each_has_an_example(capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    overview = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^    {command} +\w", overview, re.M), command
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        assert f"Example: host {command}" in capsys.readouterr().out


def test_help_and_version_answer_at_once() -> None:
    """No library that takes long to import is needed for them."""
    loaded = "import sys, host.cli.parser as p; p.build_parser().format_help(); print(*sys.modules)"
    command = [sys.executable, "-c", loaded]
    modules = subprocess.run(command, capture_output=True, text=True, env=surroundings(), check=True).stdout.split()
    assert not {"numpy", "scipy", "h5py", "sklearn", "serial", "jinja2", "pooch"} & set(modules)
    done = run_host("--version")
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "digitduino", "")


@pytest.mark.parametrize(
    "arguments", [["train", "--list"], ["--help"], ["evaluate", "firmware/model/default.h5", "--data", "digits"]]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_is_no_error(
    monkeypatch: pytest.MonkeyPatch, repository: Path, arguments: list[str], unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    assert closed_output(repository, arguments) == (0, "")


def test_a_reader_that_goes_away_does_not_change_the_verdict(repository: Path) -> None:
    arguments = ["verify", "firmware/model/default.h5", "--data", "digits", "--board", "native", "--min-accuracy", "1"]
    assert closed_output(repository, arguments) == (1, "")


def closed_output(repository: Path, arguments: list[str]) -> tuple[int, str]:
    """Exit code and errors of a command whose standard output nobody reads."""
    readable, writable = os.pipe()
    os.close(readable)
    command = [sys.executable, "-m", "host", *arguments]
    done = subprocess.run(
        command, stdout=writable, stderr=subprocess.PIPE, env=surroundings(), cwd=repository, check=False
    )
    os.close(writable)
    return done.returncode, done.stderr.decode()


@pytest.fixture
def terminal() -> tuple[int, int]:
    """Both ends of a terminal of 80 columns for the command's errors; its progress bar goes there."""
    return terminal_of(80)


def terminal_of(columns: int) -> tuple[int, int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24 if columns else 0, columns, 0, 0))
    return ours, theirs


def read_until(fd: int, wanted: str) -> str:
    """What comes over a terminal up to `wanted`."""
    seen, end = "", time.monotonic() + LIMIT_S
    while wanted not in seen:
        assert select.select([fd], [], [], end - time.monotonic())[0], seen[-500:]
        seen += os.read(fd, 4096).decode(errors="replace")
    return seen


def test_a_progress_bar_shows_loss_accuracy_and_time_left_within_80_columns(tmp_path: Path) -> None:
    for columns in (80, 0):  # a container's terminal does not tell its width
        code, _, bar = interrupted_training(terminal_of(columns), signal.SIGINT, "-o", tmp_path / "m.h5")
        assert code == 130
        assert re.search(r"training +\d+ %\|.*\|\d+/\d+ \d+:\d\d<[\d:?]+, train loss \d\.\d+ accuracy \d+\.\d\d %", bar)


def interrupted_training(terminal: tuple[int, int], number: int, *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and terminal of an endless training, interrupted when it shows its progress."""
    ours, theirs = terminal
    command = [sys.executable, "-m", "host", "train", "--epochs", "100000", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=surroundings(), text=True)
    try:
        seen = read_until(ours, " accuracy ") + read_until(ours, "\r")
        process.send_signal(number)
        output = process.communicate(timeout=LIMIT_S)[0]
    finally:
        process.kill()
        os.close(theirs)
    return process.returncode, output, seen + read_until(ours, "host: interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_training_saves_the_best_so_far_where_asked(
    terminal: tuple[int, int], tmp_path: Path, number: int
) -> None:
    model = tmp_path / "m.h5"
    code, output, _ = interrupted_training(terminal, number, "-o", model, "--checkpoint")
    assert code == 130
    assert output.splitlines() == [
        f"saved the best network so far to {model}",
        f"kept {model}.checkpoint; --resume instead of --checkpoint goes on from there",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.h5", "m.h5.checkpoint"]
    assert model_file.load(model).provenance.dataset == "digits"
    assert main(["evaluate", str(model), "--data", "digits"]) == 0


def test_interrupted_training_leaves_nothing_where_not_asked(terminal: tuple[int, int], tmp_path: Path) -> None:
    code, output, _ = interrupted_training(terminal, signal.SIGINT, "-o", tmp_path / "m.h5")
    assert (code, output) == (130, "")
    assert list(tmp_path.iterdir()) == []


def test_interrupted_training_leaves_an_older_model_as_it_was(terminal: tuple[int, int], tmp_path: Path) -> None:
    model = tmp_path / "m.h5"
    model.write_text("older")
    assert interrupted_training(terminal, signal.SIGINT, "-o", model)[0] == 130
    assert model.read_text() == "older"


def test_no_progress_bar_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = run_host("train", "--preset", "preconv-seed", "--epochs", 5, "-o", tmp_path / "m.h5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\r" not in done.stdout


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupt_while_starting_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    """In the middle of its imports."""
    (tmp_path / "numpy.py").write_text(f"import os, signal\nos.kill(os.getpid(), signal.{number})\n")
    command = [sys.executable, "-m", "host", "train", "--list"]
    environment = {**surroundings(), "PYTHONPATH": os.pathsep.join([str(tmp_path), surroundings()["PYTHONPATH"]])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "host: interrupted\n")


def test_doctor_finds_everything_here(capsys: Capture) -> None:
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for name in ("gcc", "make", "PlatformIO", "platform native", "simulated board", "data digits", "reader of .onnx"):
        assert re.search(rf"^ok +{name}: ", shown, re.M), shown
    version = subprocess.run(["avr-gcc", "-dumpversion"], capture_output=True, text=True, check=True).stdout.strip()
    assert re.search(rf"^ok +avr-gcc: {re.escape(version)}, /.*avr-gcc; ", shown, re.M), shown


def test_doctor_says_that_platformio_is_missing(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "No module named platformio" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert main(["doctor"]) == 4
    assert re.search(r"^missing +PlatformIO: `pip install platformio`", capsys.readouterr().out, re.M)


def test_doctor_says_that_the_compiler_asked_for_is_missing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITDUINO_AVR_GCC", "4.9.2")
    assert main(["doctor"]) == 4
    assert re.search(r"^missing +avr-gcc: DIGITDUINO_AVR_GCC: found 4.9.2, need ", capsys.readouterr().out, re.M)


@pytest.mark.parametrize("option", [("--board", "native"), ("--format", "text")])
def test_a_compiler_that_is_missing_stops_nothing_that_it_does_not_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: tuple[str, str]
) -> None:
    monkeypatch.setenv("DIGITDUINO_AVR_GCC", "9.9.9")
    assert main(["export", "preconv-usps", *option, "-o", str(tmp_path)]) == 0
    assert main(["export", "preconv-usps", "--board", "uno", "-o", str(tmp_path)]) == 4


def test_doctor_says_what_is_missing_and_what_brings_it(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("PATH", tmp_path), ("DIGITDUINO_CACHE", tmp_path / "c"), ("DIGITDUINO_DATA", tmp_path)):
        monkeypatch.setenv(name, str(value))
    assert main(["doctor"]) == 4
    shown = capsys.readouterr().out
    assert re.search(r"^missing +gcc: .*apt install gcc", shown, re.M), shown
    assert re.search(r"^missing +avr-gcc: .*apt install gcc-avr avr-libc", shown, re.M), shown
    assert re.search(r"^missing +simulated board: .*apt install", shown, re.M), shown
    assert re.search(r"^missing +data usps: .*host fetch usps", shown, re.M), shown


def test_doctor_says_which_readers_are_missing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tflite" else known(name, *rest)
    )
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^missing +reader of \.tflite: `pip install 'digitduino\[tflite\]'`", shown, re.M), shown


def port(device: str, vendor: int | None, description: str) -> list_ports_common.ListPortInfo:
    found = list_ports_common.ListPortInfo(device)
    found.vid, found.description = vendor, description
    return found


def test_ports_puts_likely_boards_first(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    there = [port("/dev/ttyS0", None, "n/a"), port("/dev/ttyUSB0", 0x1A86, "USB2.0-Ser!")]
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    assert main(["ports"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["/dev/ttyUSB0  CH340  (likely a board)", "/dev/ttyS0  n/a"]
    there.clear()
    assert main(["ports"]) == 0
    assert "no serial ports" in capsys.readouterr().out


def test_ctrl_c_in_the_middle_of_an_import_is_an_interruption_too(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """There Python up to 3.11 raises a RuntimeError of its own."""

    class Struck:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    def run(_: object) -> int:
        class Imported:
            field = Struck()

        return 0

    monkeypatch.setattr("host.cli.ports.run", run)
    assert main(["ports"]) == EXIT_INTERRUPTED
    assert capsys.readouterr().err == "host: interrupted\n"


def test_another_runtime_error_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: object) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr("host.cli.ports.run", run)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["ports"])
