"""A pty that passes bytes to and from a board through a bad line, for any serial program.

The client's opening and rate are passed on, since a board notices both: opening resets it, as DTR would.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios
import time
import tty
from collections.abc import Callable

from host.errors import PortError
from host.link.faults import Faults
from host.link.faulty import FaultyTransport
from host.link.transport import SerialTransport

_SLICE_S = 0.02
_TERMIOS2 = "4IB19s2I"
_TCGETS2 = 0x802C542A
"""Linux's ioctl for rates that have no constant, such as 250,000; the numbers of <asm/ioctls.h>."""


class FaultyPort:
    """Serves the board at `board_port` again, at `path`, through a line with `faults`."""

    def __init__(self, board_port: str, faults: Faults) -> None:
        self._board_port = board_port
        self._faults = faults
        self._master, slave = os.openpty()
        self.path = os.ttyname(slave)
        tty.setraw(slave)
        os.close(slave)

    def serve(self, has_ended: Callable[[], bool]) -> None:
        """Pass bytes on, one client after the other, until the board ends or a fault unplugs it. Each client meets the
        same faults, because counting begins anew with it."""
        while not has_ended():
            if self._is_open():
                self._serve_client(has_ended)
            else:
                time.sleep(_SLICE_S)

    def close(self) -> None:
        """Take the port away; whoever has it open notices."""
        os.close(self._master)

    def _is_open(self) -> bool:
        poll = select.poll()
        poll.register(self._master, 0)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    def _serve_client(self, has_ended: Callable[[], bool]) -> None:
        rate = self._rate()
        line = FaultyTransport(SerialTransport(self._board_port, rate), self._faults)
        try:
            while self._is_open() and not has_ended():
                if self._rate() != rate:
                    rate = self._rate()
                    line.set_baud(rate)
                self._pass_on(line)
        finally:
            line.close()

    def _pass_on(self, line: FaultyTransport) -> None:
        if select.select([self._master], [], [], 0)[0]:
            try:
                line.write(os.read(self._master, 1 << 12))
            except OSError as error:
                if error.errno != errno.EIO:  # the client has closed its end
                    raise PortError(f"{self.path}: {error.strerror}; start `host simulate` again") from error
        data = line.read(0.001)
        while data and self._is_open():
            data = data[os.write(self._master, data) :]

    def _rate(self) -> int:
        state = fcntl.ioctl(self._master, _TCGETS2, bytes(struct.calcsize(_TERMIOS2)))
        rate = int(struct.unpack(_TERMIOS2, state)[-1])
        return rate if rate > 0 and rate != termios.B0 else 9600
