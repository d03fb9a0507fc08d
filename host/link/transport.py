"""Byte streams to a board: a serial port through pyserial, or a pair of pipes. No protocol knowledge."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import serial

from host.errors import PortError
from host.link.ports import opening_hint
from host.link.wire import DEFAULT_BAUD

_WRITE_TIMEOUT_S = 10
_DRAIN_TIMEOUT_S = 2
_RESET_PULSE_S = 0.1


class Transport(Protocol):
    """What the session's driver needs of a line."""

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived, at once; else wait up to `timeout_s` and return b"". Raise PortError if it is gone."""

    def write(self, data: bytes) -> None:
        """Send all of `data`; raise PortError if the line is gone."""

    def set_baud(self, baud: int) -> None:
        """Change the rate once everything written has left."""

    def reset(self) -> None:
        """Reset the board as its line allows: by DTR, by opening anew, or by starting its process again."""

    def close(self) -> None:
        """Release the line; closing twice is allowed."""


class SerialTransport:
    """A serial port, a pty or any URL that pyserial knows (socket://, rfc2217://)."""

    def __init__(self, port: str, baud: int = DEFAULT_BAUD) -> None:
        self._port = port
        try:
            self._serial = serial.serial_for_url(
                port, baudrate=baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True
            )
        except TypeError:  # URL handlers take no `exclusive`
            self._serial = _open_plain(port, baud)
        except (serial.SerialException, OSError, ValueError) as error:
            raise PortError(opening_hint(port, error)) from error

    def read(self, timeout_s: float) -> bytes:
        try:
            self._serial.timeout = timeout_s
            first: bytes = self._serial.read(1)
            waiting = self._serial.in_waiting if first else 0
            return first + self._serial.read(waiting) if waiting else first
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def write(self, data: bytes) -> None:
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException as error:
            raise PortError(
                f"{self._port}: took no bytes for {_WRITE_TIMEOUT_S} s; reset the board, check the cable and rerun"
            ) from error
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def set_baud(self, baud: int) -> None:
        try:
            self._drain()
            self._serial.baudrate = baud
        except (serial.SerialException, OSError, ValueError) as error:
            raise PortError(f"{self._port}: baud: {baud} is refused ({error}); try --baud {DEFAULT_BAUD}") from error

    def reset(self) -> None:
        try:
            self._serial.dtr = False
            time.sleep(_RESET_PULSE_S)
            self._serial.dtr = True
        except OSError:  # a pty has no DTR; the simulated board takes opening for it
            self._reopen()

    def close(self) -> None:
        self._serial.close()

    def _drain(self) -> None:
        """Wait until what was written has left, where the port can tell. tcdrain could wait for ever."""
        end = time.monotonic() + _DRAIN_TIMEOUT_S
        with suppress(AttributeError, NotImplementedError):  # URL handlers know no out_waiting
            while self._serial.out_waiting and time.monotonic() < end:
                time.sleep(0.001)

    def _reopen(self) -> None:
        try:
            self._serial.close()
            self._serial.open()
        except (serial.SerialException, OSError) as error:
            raise self._gone(error) from error

    def _gone(self, error: Exception) -> PortError:
        return PortError(f"{self._port}: vanished while in use ({error}); plug the board in again and rerun")


def _open_plain(port: str, baud: int) -> serial.SerialBase:
    try:
        return serial.serial_for_url(port, baudrate=baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S)
    except (serial.SerialException, OSError, ValueError) as error:
        raise PortError(opening_hint(port, error)) from error


class PipeTransport:
    """The native firmware's standard input and output, as file descriptors that belong to whoever started it;
    `restart` starts it again and returns the new pair (from board, to board)."""

    def __init__(self, from_board: int, to_board: int, restart: Callable[[], tuple[int, int]] | None = None) -> None:
        self._from_board = from_board
        self._to_board = to_board
        self._restart = restart

    def read(self, timeout_s: float) -> bytes:
        if not select.select([self._from_board], [], [], timeout_s)[0]:
            return b""
        data = os.read(self._from_board, 1 << 16)
        if not data:
            raise PortError("native board: ended while in use; rerun, or report a bug with the model")
        return data

    def write(self, data: bytes) -> None:
        while data:
            if not select.select([], [self._to_board], [], _WRITE_TIMEOUT_S)[1]:
                raise PortError(f"native board: took no bytes for {_WRITE_TIMEOUT_S} s; rerun, or report a bug")
            try:
                data = data[os.write(self._to_board, data[: select.PIPE_BUF]) :]
            except BrokenPipeError as error:
                raise PortError("native board: ended while in use; rerun, or report a bug with the model") from error

    def set_baud(self, baud: int) -> None:
        """A pipe has no rate."""

    def reset(self) -> None:
        if self._restart is None:
            raise PortError("native board: cannot be reset here; leave `reset` out of --faults")
        self._from_board, self._to_board = self._restart()

    def close(self) -> None:
        """The descriptors belong to whoever started the process."""
