"""Runs outside programs that build something, to their end, and finds what they say when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from host.errors import ToolMissing

# Ends a build that hangs, never a slow one: it takes seconds on a desktop, minutes on the smallest computer.
_BUILD_TIMEOUT_S = 3600
_STOP_TIMEOUT_S = 5


def run_tool(
    command: list[str], surroundings: dict[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a build to its end. Where it must be broken off, its compilers end with it: they would go on writing into
    a directory that is being deleted."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
        cwd=folder,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=_BUILD_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            _end_group(process)
            raise ToolMissing(
                f"{Path(command[0]).name}: found no end after {error.timeout:.0f} s; run `make setup` and try again"
            ) from error
        except BaseException:
            _end_group(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def last_error(result: subprocess.CompletedProcess[str]) -> str:
    """The line of a failed build that says most: the first with `error`, else the last one."""
    lines = [line.strip() for line in (result.stderr + "\n" + result.stdout).splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "overflow" in line.lower()]
    return (telling or lines or ["no message"])[0 if telling else -1][:300]


def _end_group(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_TIMEOUT_S)
