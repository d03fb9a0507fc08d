"""A transport whose line is bad on purpose."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from host.errors import PortError
from host.link.faults import Direction, Event, Faults, FaultyLine, Injected, Stall
from host.link.transport import Transport


class FaultyTransport:
    """Wraps any transport; `expected_bytes` is what a clean run sends, over which resets are spread."""

    def __init__(
        self,
        inner: Transport,
        faults: Faults,
        expected_bytes: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner = inner
        self._sleep = sleep
        self._arriving: deque[bytes | Stall | Event] = deque()
        self.injected = Injected()
        self._there = FaultyLine(faults, Direction.TO_BOARD, self.injected, expected_bytes)
        self._back = FaultyLine(faults, Direction.FROM_BOARD, self.injected)

    def read(self, timeout_s: float) -> bytes:
        if not self._arriving:
            self._arriving.extend(self._back.carry(self._inner.read(timeout_s)))
        while self._arriving:
            item = self._arriving.popleft()
            if isinstance(item, bytes):
                if item:
                    return item
            else:
                self._suffer(item)
        return b""

    def write(self, data: bytes) -> None:
        for item in self._there.carry(data):
            if isinstance(item, bytes):
                if item:
                    self._inner.write(item)
            else:
                self._suffer(item)

    def set_baud(self, baud: int) -> None:
        self._inner.set_baud(baud)

    def reset(self) -> None:
        self._arriving.clear()
        self._inner.reset()

    def close(self) -> None:
        self._inner.close()

    def _suffer(self, item: Stall | Event) -> None:
        if isinstance(item, Stall):
            self._sleep(item.seconds)
        elif item is Event.RESET:
            self.reset()
        else:
            self._inner.close()
            raise PortError("board: unplugged, as --faults asked; run again with --resume")
