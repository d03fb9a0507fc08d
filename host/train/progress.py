"""How far a training is, for whoever shows it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_SECONDS_BETWEEN = 0.1


@dataclass(frozen=True)
class Progress:
    """What a caller may show; sent after each epoch or iteration, and on the way a few times a second."""

    step: int  # finished, counted over all phases: epochs, iterations or batches
    total: int  # at most: a phase may end sooner
    loss: float  # of the latest batch, or the mean of the epoch that just ended
    accuracy: float  # 0..1 on the rows (or augmented copies) trained on in the latest whole epoch; 0 in the first
    seconds_left: float  # of all phases
    stage: str = "train"  # or "teacher", "int8", "validation", …
    validation_loss: float | None = None  # after each epoch, where there is a validation part


@dataclass(frozen=True)
class Phase:
    """A part of a training; `cost` is what one of its steps takes, in any unit that all phases share."""

    name: str
    steps: int
    cost: float = 1.0


class ProgressMeter:
    """Counts the steps of all phases, in their order, and estimates the time left from the time spent."""

    def __init__(self, show: Callable[[Progress], None] | None, phases: Sequence[Phase]) -> None:
        self._show, self._phases, self._at = show, phases, -1
        self._total = sum(phase.steps for phase in phases)
        self._start = self._shown = time.monotonic()
        self._accuracy, self._done = 0.0, 0
        self._unspent = 0.0  # work that was finished earlier, or that a phase which ended sooner left out

    def enter(self, done: int = 0) -> "ProgressMeter":
        """Begin the next phase, of which `done` steps were finished by an earlier process; return the meter itself."""
        if self._at >= 0:
            left_out = self._phases[self._at].steps - self._done
            self._unspent += left_out * self._phases[self._at].cost
        self._at += 1
        self._unspent += done * self._phases[self._at].cost
        self._accuracy, self._done = 0.0, done
        return self

    def batch(self, done: int, loss: float) -> None:
        """Tell about a finished batch, if it is time to; `done` counts over all epochs of the phase."""
        now = time.monotonic()
        self._done = done
        if self._show is not None and now - self._shown >= _SECONDS_BETWEEN:
            self._send(loss, None, now)

    def epoch(self, done: int, loss: float, accuracy: float, validation_loss: float | None = None) -> None:
        """Tell about a finished epoch or iteration."""
        self._accuracy, self._done = accuracy, done
        self._send(loss, validation_loss, time.monotonic())

    def _send(self, loss: float, validation_loss: float | None, now: float) -> None:
        if self._show is None:
            return
        self._shown = now
        before, here = self._phases[: self._at], self._phases[self._at]
        step = sum(phase.steps for phase in before) + self._done
        work = sum(phase.steps * phase.cost for phase in before) + self._done * here.cost
        all_work = sum(phase.steps * phase.cost for phase in self._phases)
        spent = max(work - self._unspent, here.cost)
        left = (now - self._start) / spent * (all_work - work)
        self._show(Progress(step, self._total, loss, self._accuracy, left, here.name, validation_loss))
