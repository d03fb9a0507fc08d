"""A first reading of a foreign file in a process of its own, where it can do no harm.

libhdf5 never comes back from some damaged files, and may crash on others. The process is forked, so that it costs some
hundredths of a second; where there is no fork (Windows) there is no rehearsal.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from host.data.problem import problem

CPU_S = 3
_BYTES_PER_S = 1 << 22  # far below what a disk and gzip give; large files get more time


def rehearse(path: Path, read: Callable[[], object]) -> None:
    """Call `read`, which reads `path`, in a forked process. Raise InputError where that crashes, or takes more than
    CPU_S seconds of processor time and some for a large file. What `read` returns or raises is of no interest: the
    caller calls it again."""
    if not hasattr(os, "fork"):
        return
    with warnings.catch_warnings():
        # Python warns of forks beside other threads, whose locks nobody would release: the process takes none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _perform(read, CPU_S + path.stat().st_size // _BYTES_PER_S)
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


def _perform(read: Callable[[], object], cpu_s: int) -> None:
    """The forked process; it never returns."""
    import resource  # not on Windows

    try:
        faulthandler.disable()  # a crash is the parent's to report
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s if hard < 0 else min(cpu_s, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        read()
    finally:
        os._exit(0)
