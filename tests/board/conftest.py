"""Builds the simulated board and AVR programs for it, and holds a running board."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import serial
from firmware_build import make_simulators
from needed import need
from patience import LIMIT_S
from workbench import Workbench

PROGRAMS = Path(__file__).parent / "programs"
STRICT = ["-std=gnu99", "-Os", "-Wall", "-Wextra", "-Werror"]


class Port(serial.Serial):
    """A serial port that keeps what the board has said while it was being opened; on a busy machine that is much."""

    def _reset_input_buffer(self) -> None:
        pass


class Board:
    """A running `simboard`; `port` is its pseudo-terminal."""

    def __init__(self, simboard: Path, report: Path, *arguments: str | Path) -> None:
        self._report = report
        self._ports = ExitStack()
        self.process = subprocess.Popen(
            [simboard, "--stdin-eof", "--report", report, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.port = line.split()[1] if line.startswith("port ") else ""

    def open(self, baud: int, timeout_s: float = LIMIT_S) -> serial.Serial:
        """The port at `baud`, closed with the board. Opening it resets the board, whose programs say `!` when ready."""
        port = self._ports.enter_context(Port(self.port, baud, timeout=timeout_s))
        assert port.read_until(b"!")[-1:] == b"!"
        return port

    def close(self) -> None:
        """Close what `open` opened."""
        self._ports.close()

    def wait(self) -> tuple[int, str]:
        """Exit code and standard error of a board that ends by itself."""
        _, errors = self.process.communicate(timeout=LIMIT_S)
        self.close()
        return self.process.returncode, errors

    def reports(self, wanted: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """Ask it for reports until one is `wanted`."""
        end = time.monotonic() + LIMIT_S
        while True:
            self._report.unlink(missing_ok=True)
            self.process.send_signal(signal.SIGUSR1)
            while not self._report.exists():
                assert self.process.poll() is None and time.monotonic() < end
                time.sleep(0.001)
            report = dict(json.loads(self._report.read_text()))
            if wanted(report):
                return report
            assert time.monotonic() < end, report

    def stop(self) -> dict[str, float]:
        """Close its standard input; returns its report."""
        if self.process.poll() is None:
            assert self.wait() == (0, "")
        return dict(json.loads(self._report.read_text()))

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.wait()


@pytest.fixture(scope="session")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `simboard` and `cyclecount`."""
    build = tmp_path_factory.mktemp("sim")
    make_simulators(build)
    return build


@pytest.fixture(scope="session")
def avr(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`avr(program, mcu, NAME=value)` compiles programs/NAME.c, or source text that holds a newline."""
    compiler = need("avr-gcc", "gcc-avr")
    folder = tmp_path_factory.mktemp("avr")
    built: dict[tuple[object, ...], Path] = {}

    def build(program: str, mcu: str = "atmega328p", **defines: int) -> Path:
        key = (program, mcu, *sorted(defines.items()))
        if key not in built:
            source = PROGRAMS / f"{program}.c"
            if "\n" in program:
                source = folder / f"{len(built)}.c"
                source.write_text(program)
            elf = folder / f"{len(built)}.elf"
            macros = [f"-D{name}={value}" for name, value in defines.items()]
            command = [compiler, f"-mmcu={mcu}", *STRICT, f"-I{PROGRAMS}", *macros, str(source), "-o", str(elf)]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            assert result.returncode == 0, result.stderr
            built[key] = elf
        return built[key]

    return build


@pytest.fixture(scope="session")
def workbench(simulators: Path) -> Workbench:
    need("avr-gcc", "gcc-avr avr-libc")
    return Workbench()


@pytest.fixture
def start(simulators: Path, tmp_path: Path) -> Iterator[Callable[..., Board]]:
    """`start(elf, *arguments, mcu=...)` runs a board; all are ended with the test."""
    boards: list[Board] = []

    def start_board(elf: Path, *arguments: str | Path, mcu: str = "atmega328p") -> Board:
        report = tmp_path / f"report{len(boards)}.json"
        boards.append(Board(simulators / "simboard", report, "--mcu", mcu, "--elf", elf, *arguments))
        return boards[-1]

    yield start_board
    for board in boards:
        board.kill()


@pytest.fixture
def count(simulators: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`count(elf, *arguments, mcu=...)` runs `cyclecount` to its end."""

    def run(elf: Path, *arguments: str | Path, mcu: str = "atmega328p") -> subprocess.CompletedProcess[str]:
        command = [simulators / "cyclecount", "--mcu", mcu, "--elf", elf, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)

    return run
