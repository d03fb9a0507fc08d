"""Files that libhdf5 does not come back from are read by a process that nobody misses."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from host.data.rehearsal import rehearse
from host.errors import InputError
from host.modelfile import file as model

ENDLESS = "ac9d0058dd9e0785afafb9fbea0ed3e5d840bcbc"
"""Found by fuzzing: libhdf5 never comes back from reading its first attribute of text."""


def test_a_model_that_libhdf5_reads_for_ever_is_refused(repository: Path) -> None:
    with pytest.raises(InputError, match=r"file: found damage \(its reading does not end\), need a whole file"):
        model.load(repository / "firmware/fuzz/corpus/model" / ENDLESS)


def test_a_crash_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(InputError, match=r"its reading crashes \(SIGSEGV\)"):
        rehearse(tmp_path / "f", lambda: os.kill(os.getpid(), signal.SIGSEGV))


def test_what_is_read_or_raised_stays_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f").write_bytes(b"x")
    done: list[int] = []

    def fail() -> None:
        raise ValueError("not here")

    rehearse(tmp_path / "f", lambda: done.append(1))
    rehearse(tmp_path / "f", fail)
    assert done == []
    assert capfd.readouterr() == ("", "")


def test_an_interrupt_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"x")
    wait, pids = os.waitpid, []

    def interrupted(pid: int, options: int) -> tuple[int, int]:
        pids.append(pid)
        if len(pids) == 1:
            raise KeyboardInterrupt
        return wait(pid, options)

    monkeypatch.setattr(os, "waitpid", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rehearse(tmp_path / "f", lambda: time.sleep(600))
    assert len(pids) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
