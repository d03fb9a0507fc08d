"""A first reading of a foreign file in a process of its own, where it can do no harm.

libhdf5 never comes back from some damaged files, and may crash on others. The process is forked, so that it costs some
hundredths of a second; where there is no fork (Windows) there is no sandbox.

What never ends is known by its processor time, and how much is too much no number of seconds says: a Raspberry Pi takes
ten times as long as a desktop, and as long again while it compiles. So the process first does a small fixed piece of
work of the same kind, and gets so many times what that took here and now: at least ten times what honest files need.
"""

from __future__ import annotations

import faulthandler
import math
import os
import signal
import time
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from host.data.problem import problem

BASE_YARDSTICKS = 500
"""What reading may take beside the data. The largest pretrained model takes 6."""
YARDSTICKS_A_MIB = 10
"""What a MiB of data may take to be decoded and checked; float32 out of gzip takes less than 1."""
_STEPS, _NUMBERS = 20_000, 1 << 17
_PACKED = zlib.compress(bytes(range(256)) * 4096)

Grant = Callable[[int], None]
"""To be called with a number of bytes before so many are read: the time for them is allowed then."""


def read_in_sandbox(path: Path, read: Callable[[Grant], object]) -> None:
    """Call `read`, which reads `path`, in a forked process. Raise InputError where that crashes, or takes more
    processor time than BASE_YARDSTICKS and YARDSTICKS_A_MIB of the file's size and of what it is granted. What `read`
    returns or raises is of no interest: the caller calls it again, with `no_limit`."""
    if not hasattr(os, "fork"):
        return
    with warnings.catch_warnings():
        # Python warns of forks beside other threads, whose locks nobody would release: the process takes none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _perform(read, path)
    try:
        status = os.waitpid(pid, 0)[1]
    except BaseException:  # Ctrl-C
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        how = "does not end" if number == signal.SIGXCPU else f"crashes ({signal.Signals(number).name})"
        raise problem(path, "file", f"damage (its reading {how})", "a whole file", "copy it again")


def no_limit(size: int) -> None:
    """The Grant of a reading outside the sandbox."""


def yardstick_s() -> float:
    """Processor time for a fixed piece of work as reading is made of: steps of Python, a MiB out of zlib, numbers."""
    start, total = time.process_time(), 0
    for step in range(_STEPS):
        total = (total * 31 + step) & 0xFFFF
    levels = np.frombuffer(zlib.decompress(_PACKED), np.uint8)[:_NUMBERS].astype(np.float64)
    np.rint(np.round(levels * 0.1, 3))
    # A clock that is too coarse to see the work must not make the limit nothing.
    return max(time.process_time() - start, 1e-3)


def _perform(read: Callable[[Grant], object], path: Path) -> None:
    """The forked process; it never returns."""
    try:
        faulthandler.disable()  # a crash is the parent's to report
        _prepare_to_die()
        unit = yardstick_s()
        allowed = time.process_time() + BASE_YARDSTICKS * unit

        def grant(size: int) -> None:
            nonlocal allowed
            allowed += YARDSTICKS_A_MIB * unit * size / (1 << 20)
            _limit_processor(allowed)

        grant(path.stat().st_size)
        read(grant)
    finally:
        os._exit(0)


def _prepare_to_die() -> None:
    import resource  # not on Windows

    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_processor(seconds: float) -> None:
    """End this process by SIGXCPU once it has taken so much processor time; the system counts whole seconds."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))
