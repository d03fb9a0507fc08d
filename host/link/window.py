"""The images that wait for an answer: at most so many as the board has room for, each recorded once.

A board answers in the order in which it was asked. So a broken frame, at either end, stands for the image that was sent
longest ago, and an image whose successor is answered first was lost.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from host.errors import LinkTimeout
from host.link import wire
from host.link.timing import Counters, Timing
from host.link.wire import Frame, MessageType


@dataclass
class _Outstanding:
    index: int
    digest: int
    deadline: float
    tries: int = 1


class Window:
    """Hands frames to `send` and results to `record(index, result)`. Raise LinkTimeout for an image tried too often.

    `slots` is the board's room; `rate` the slowest that the line may have, in bits per second."""

    def __init__(
        self,
        images: Sequence[bytes],
        record: Callable[[int, wire.Result], None],
        send: Callable[[bytes], None],
        clock: Callable[[], float],
        timing: Timing,
        counters: Counters,
    ) -> None:
        self._images = images
        self._leading = 0
        self._record = record
        self._send = send
        self._clock = clock
        self._timing = timing
        self._counters = counters
        # Sequence number → image, in the order of sending.
        self._outstanding: OrderedDict[int, _Outstanding] = OrderedDict()
        self._next_index = 0
        self.slots = 1
        self.rate = wire.DEFAULT_BAUD

    def begin_with(self, images: Sequence[bytes]) -> None:
        """Send these before the others, of which none may have been sent yet; they are recorded below 0."""
        self._images = [*images, *self._images]
        self._leading = len(images)

    @property
    def is_done(self) -> bool:
        """Whether every image has been recorded."""
        return not self._outstanding and self._next_index == len(self._images)

    @property
    def deadline(self) -> float:
        """When the first of the images waits no longer; there must be one."""
        return min(image.deadline for image in self._outstanding.values())

    def send_all_again(self) -> None:
        """After a greeting: what was on its way is lost, which is nobody's fault."""
        for sequence in list(self._outstanding):
            self._send_image(sequence)

    def fill(self) -> None:
        """Send new images while the board has room."""
        while len(self._outstanding) < self.slots and self._next_index < len(self._images):
            sequence = self._next_index & 0xFF
            if sequence in self._outstanding:
                return  # 256 images back, one is still to be answered
            digest = zlib.crc32(self._images[self._next_index])
            self._outstanding[sequence] = _Outstanding(self._next_index, digest, 0.0)
            self._send_image(sequence)
            self._next_index += 1

    def take(self, sequence: int, result: wire.Result) -> None:
        """Record an answer, if anybody waits for it and the image lay in the board's RAM as it was sent."""
        image = self._outstanding.get(sequence)
        if image is None:
            return
        if result.digest != image.digest:
            self._resend(sequence)
            return
        order = list(self._outstanding)
        del self._outstanding[sequence]
        self._record(image.index - self._leading, result)
        for lost in order[: order.index(sequence)]:
            self._resend(lost)
        self.fill()

    def answer_was_lost(self) -> None:
        """A broken frame stands for the image that was sent longest ago."""
        if self._outstanding:
            sequence, image = next(iter(self._outstanding.items()))
            if image.tries < self._timing.quick_tries:
                self._resend(sequence)

    def resend_late(self) -> bool:
        """Send again what has waited too long; whether there was any."""
        now = self._clock()
        late = [sequence for sequence, image in self._outstanding.items() if image.deadline <= now]
        for sequence in late:
            # Whatever is left of its first bytes at the board must not spoil the second.
            self._send(wire.DELIMITER)
            self._resend(sequence)
        return bool(late)

    def _resend(self, sequence: int) -> None:
        image = self._outstanding[sequence]
        image.tries += 1
        self._counters.retries += 1
        if image.tries > self._timing.tries:
            raise LinkTimeout(
                f"{self._name(image.index)}: found no valid answer in {self._timing.tries} tries, need one; "
                "check the cable and try a lower --baud"
            )
        self._send_image(sequence)

    def _name(self, index: int) -> str:
        return f"image {index - self._leading}" if index >= self._leading else f"probe {index}"

    def _send_image(self, sequence: int) -> None:
        self._outstanding.move_to_end(sequence)
        image = self._outstanding[sequence]
        frame = wire.encode(Frame(MessageType.IMAGE, sequence, self._images[image.index]))
        self._send(frame)
        line_s = 10 * len(frame) * len(self._outstanding) / self.rate
        image.deadline = self._clock() + self._timing.reply_s + line_s
