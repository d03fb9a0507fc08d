"""Opens a board for a session: the native firmware as a child process, a simulated board, or a real port."""

from __future__ import annotations

import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from host.compile.boards import BOARDS, Board, Runner
from host.errors import InputError, LinkError, PortError, ToolMissing
from host.link.build import Built, build_simulator
from host.link.lock import port_lock
from host.link.transport import PipeTransport, SerialTransport, Transport

SIMULATED_MCUS = tuple(sorted({board.chip.name for board in BOARDS.values() if board.runner is Runner.SIMAVR}))
_START_TIMEOUT_S = 60.0  # it takes hundredths of a second; a busy machine is no reason to give up
_STOP_TIMEOUT_S = 5.0
_END_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Connection:
    """An open line and what is known about its far end before it speaks."""

    transport: Transport
    kind: str
    port: str
    simulated: bool


@dataclass(frozen=True)
class SimulatedBoard:
    """A running simulated board; `port` is its pty's path."""

    port: str
    process: subprocess.Popen[bytes]

    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return self.process.poll() is not None

    def wait(self) -> None:
        """Block until the board ends by itself; raise PortError with its last words where it failed."""
        self.process.wait()
        if self.process.returncode:
            raise PortError(f"simulated board: ended: {_last_words(self.process)}; export and build the firmware again")


@contextmanager
def connect_board(board: Board, built: Built) -> Iterator[Connection]:
    """Run `built` natively or on a simulated board while the block lasts."""
    if board.runner is Runner.NATIVE:
        with _native(built.program) as transport:
            yield Connection(transport, board.name, "pipe", simulated=False)
        return
    with simulated_board(board.chip.name, built.program) as simulated:
        try:
            with _serial(simulated.port) as transport:
                yield Connection(transport, board.name, simulated.port, simulated=True)
        except LinkError:
            if _has_ended(simulated.process):
                simulated.wait()
            raise


@contextmanager
def connect_port(port: str) -> Iterator[Connection]:
    """Open a real board at a device name or pyserial URL, if no other run has it."""
    with port_lock(port), _serial(port) as transport:
        yield Connection(transport, "port", port, simulated=False)


@contextmanager
def simulated_board(mcu: str, program: Path, extra: tuple[str, ...] = ()) -> Iterator[SimulatedBoard]:
    """Start a simulated board running `program` (ELF); end it with the block."""
    if mcu not in SIMULATED_MCUS:
        raise InputError(f"simulated board: found {mcu}, need one of {', '.join(SIMULATED_MCUS)}; choose uno or mega")
    if not program.is_file():
        name = next(board.environment for board in BOARDS.values() if board.chip.name == mcu)
        raise InputError(f"{program}: no such ELF file; build it with `pio run -e {name}`")
    # The board ends when its standard input does, so even a killed host leaves none behind. A session of its own keeps
    # Ctrl-C at the terminal with us, and us in charge of the board's end.
    command = [str(build_simulator()), "--mcu", mcu, "--elf", str(program), "--stdin-eof", *extra]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            yield SimulatedBoard(_announced_port(process), process)
        finally:
            _stop(process)


def _announced_port(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    ready = select.select([process.stdout], [], [], _START_TIMEOUT_S)[0]
    line = process.stdout.readline().decode(errors="replace").split() if ready else []
    if len(line) == 2 and line[0] == "port":
        return line[1]
    process.kill()
    raise PortError(f"simulated board: did not start: {_last_words(process)}; run `host doctor`")


def _last_words(process: subprocess.Popen[bytes]) -> str:
    """The last line on the standard error of a process that has ended or is about to."""
    assert process.stderr is not None
    lines = process.stderr.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended or does so at once: its line breaks a moment before it is gone."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_TIMEOUT_S)
    return process.returncode is not None


@contextmanager
def _native(program: Path) -> Iterator[Transport]:
    with ExitStack() as running:

        def start() -> tuple[int, int]:
            running.close()
            process = running.enter_context(_started(program))
            assert process.stdin is not None and process.stdout is not None
            return process.stdout.fileno(), process.stdin.fileno()

        yield PipeTransport(*start(), restart=start)


@contextmanager
def _started(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    try:
        process = subprocess.Popen(
            [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
    except OSError as error:
        raise ToolMissing(
            f"{program}: cannot be run: {error.strerror}; build it again with `pio run -e native`"
        ) from error
    with process:
        try:
            yield process
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
