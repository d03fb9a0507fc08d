"""How far a training is, for whoever shows it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

_SECONDS_BETWEEN = 0.1


@dataclass(frozen=True)
class Progress:
    """What a caller may show; sent a few times a second and after each epoch."""

    step: int  # batches finished, in this stage
    total: int  # at most: early stopping may end sooner
    loss: float  # of the latest batch, or the mean of the epoch that just ended
    accuracy: float  # 0..1 on the rows trained on in the latest whole epoch; 0 in the first
    seconds_left: float  # of this stage
    stage: str = "train"  # or "teacher"
    validation_loss: float | None = None  # after each epoch, where there is a validation part


class Meter:
    """Counts the batches of one stage and estimates the time left from the time spent."""

    def __init__(self, show: Callable[[Progress], None] | None, total: int, done: int, stage: str) -> None:
        self._show, self._total, self._first, self._stage = show, total, done, stage
        self._start = self._shown = time.monotonic()
        self._accuracy = 0.0

    def batch(self, done: int, loss: float) -> None:
        """Tell about a finished batch, if it is time to; `done` counts over all epochs."""
        now = time.monotonic()
        if self._show is not None and now - self._shown >= _SECONDS_BETWEEN:
            self._send(done, loss, None, now)

    def epoch(self, done: int, loss: float, accuracy: float, validation_loss: float | None) -> None:
        """Tell about a finished epoch."""
        self._accuracy = accuracy
        self._send(done, loss, validation_loss, time.monotonic())

    def _send(self, done: int, loss: float, validation_loss: float | None, now: float) -> None:
        if self._show is not None:
            self._shown = now
            left = (now - self._start) / max(1, done - self._first) * (self._total - done)
            self._show(Progress(done, self._total, loss, self._accuracy, left, self._stage, validation_loss))
