"""Opens a board for a session: the native firmware as a child process, a simulated board, or a real port."""

from __future__ import annotations

import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host.deploy.target import Board
from host.errors import InputError, PortError, ToolMissing
from host.link.build import Built, build_simulator
from host.link.transport import PipeTransport, SerialTransport, Transport

SIMULATED_MCUS = ("atmega328p", "atmega2560")
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Connection:
    """An open line and what is known about its far end before it speaks."""

    transport: Transport
    kind: str
    port: str
    simulated: bool


@contextmanager
def connect_board(board: Board, built: Built) -> Iterator[Connection]:
    """Run `built` natively or on a simulated board while the block lasts."""
    if not board.is_avr:
        with _native(built.program) as transport:
            yield Connection(transport, board.name, "pipe", simulated=False)
        return
    with simulated_port(board.mcu, built.program) as port, _serial(port) as transport:
        yield Connection(transport, board.name, port, simulated=True)


@contextmanager
def connect_port(port: str) -> Iterator[Connection]:
    """Open a real board at a device name or pyserial URL."""
    with _serial(port) as transport:
        yield Connection(transport, "port", port, simulated=False)


@contextmanager
def simulated_port(mcu: str, program: Path, extra: tuple[str, ...] = ()) -> Iterator[str]:
    """Start a simulated board running `program` (ELF); yield its pty's path; end the board with the block."""
    if mcu not in SIMULATED_MCUS:
        raise InputError(f"simulated board: found {mcu}, need one of {', '.join(SIMULATED_MCUS)}; choose uno or mega")
    if not program.is_file():
        raise InputError(f"{program}: no such ELF file; build it with `pio run -e uno`")
    command = [str(build_simulator()), "--mcu", mcu, "--elf", str(program), "--stdin-eof", *extra]
    # A group of its own keeps Ctrl-C at the terminal with us, and us in charge of the board's end.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            yield _announced_port(process)
        finally:
            _stop(process)


def _announced_port(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None and process.stderr is not None
    ready = select.select([process.stdout], [], [], _START_TIMEOUT_S)[0]
    line = process.stdout.readline().decode(errors="replace").split() if ready else []
    if len(line) == 2 and line[0] == "port":
        return line[1]
    process.kill()
    said = process.stderr.read().decode(errors="replace").strip().splitlines() or ["no message"]
    raise PortError(f"simulated board: did not start: {said[-1]}; run `host doctor`")


@contextmanager
def _native(program: Path) -> Iterator[Transport]:
    try:
        process = subprocess.Popen(
            [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
    except OSError as error:
        raise ToolMissing(
            f"{program}: cannot be run: {error.strerror}; build it again with `pio run -e native`"
        ) from error
    with process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield PipeTransport(process.stdout.fileno(), process.stdin.fileno())
        finally:
            _stop(process)


@contextmanager
def _serial(port: str) -> Iterator[Transport]:
    transport = SerialTransport(port)
    try:
        yield transport
    finally:
        transport.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
