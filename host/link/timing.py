"""How long the session waits, how often it tries, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """All waits in seconds, all bounds in tries."""

    quiet_s: float = 2.5
    """A board that never resets on opening is greeted after this silence; a bootloader listens for about one second."""
    greeting_s: float = 1.0
    reply_s: float = 3.0
    greetings: int = 8
    """To a board that has never answered."""
    regreetings: int = 32
    """To a board that has: the line is known to work, however badly."""
    tries: int = 30
    """Of one image."""
    quick_tries: int = 10
    """So often an image is sent again at once; then only when its deadline has passed, because bytes that are no answer
    to anything may come as fast as they like."""
    trials: int = 16
    """Of a higher rate, one after the other."""
    failures: int = 6
    """Broken frames in a row, after which both ends may be at different rates."""
    resets: int = 50


@dataclass
class Counters:
    """What went wrong on the line and was mended."""

    retries: int = 0
    bad_frames: int = 0
    resets: int = 0
