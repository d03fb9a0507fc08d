"""Files that libhdf5 does not come back from are read by a process that nobody misses."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from data_files import small_split, write_hdf5
from yardstick import yardstick_s

from host import data
from host.data import sandbox
from host.data.sandbox import Grant, read_in_sandbox
from host.errors import InputError
from host.modelfile import file as model

ENDLESS = "ac9d0058dd9e0785afafb9fbea0ed3e5d840bcbc"
"""Found by fuzzing: libhdf5 never comes back from reading its first attribute of text."""


def test_a_model_that_libhdf5_reads_for_ever_is_refused(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "BASE_YARDSTICKS", 40)
    with pytest.raises(InputError, match=r"file: found damage \(its reading does not end\), need a whole file"):
        model.load(repository / "firmware/fuzz/corpus/model" / ENDLESS)


def burn(yardsticks: float) -> None:
    """Take processor time by the tests' own measure."""
    end = time.process_time() + yardsticks * max(yardstick_s() for _ in range(5))
    while time.process_time() < end:
        pass


def endless(_: Grant) -> None:
    while True:
        pass


def test_what_an_honest_file_may_take_is_many_times_what_it_takes(tmp_path: Path) -> None:
    """The largest pretrained model takes 6 yardsticks; no machine is ever so uneven that they become 60."""
    (tmp_path / "f").write_bytes(b"x")
    read_in_sandbox(tmp_path / "f", lambda _: burn(60))


def test_a_slow_machine_gets_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"x")
    limits: list[float] = []
    monkeypatch.setattr(sandbox, "_limit_processor", limits.append)
    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(os, "_exit", lambda code: None)
    monkeypatch.setattr(sandbox, "_prepare_to_die", lambda: None)
    monkeypatch.setattr("faulthandler.disable", lambda: None)
    monkeypatch.setattr(os, "waitpid", lambda pid, options: (0, 0))
    for unit in (0.001, 0.1):
        monkeypatch.setattr(sandbox, "yardstick_s", lambda unit=unit: unit)
        start = time.process_time()
        read_in_sandbox(tmp_path / "f", lambda grant: grant(100 << 20))
        plain, granted = (limit - start for limit in limits[-2:])
        assert plain == pytest.approx(unit * sandbox.BASE_YARDSTICKS, rel=1e-3, abs=0.1)
        assert granted - plain == pytest.approx(unit * sandbox.YARDSTICKS_A_MIB * 100)


def test_time_is_granted_for_the_data_that_a_file_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each dataset's size is granted before it is read, so that no large set is ever too slow."""
    train, test = small_split(40), small_split(20, seed=1)
    path = write_hdf5(tmp_path / "d.h5", train, test, "float32", compression="gzip")
    granted: list[int] = []
    monkeypatch.setattr("host.data.hdf5.read_in_sandbox", lambda path, read: read(granted.append))
    data.load(str(path))
    with h5py.File(path) as file:
        sizes = [file[name].nbytes for name in ("train/data", "train/target", "test/data", "test/target")]
    assert granted == sizes


def test_an_endless_reading_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind a grant, and whatever the file's size."""
    (tmp_path / "f").write_bytes(np.zeros(1 << 20, np.uint8).tobytes())
    monkeypatch.setattr(sandbox, "yardstick_s", lambda: 1e-4)
    for read in (endless, lambda grant: (grant(1 << 20), endless(grant))):
        with pytest.raises(InputError, match="its reading does not end"):
            read_in_sandbox(tmp_path / "f", read)


def test_a_crash_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(InputError, match=r"its reading crashes \(SIGSEGV\)"):
        read_in_sandbox(tmp_path / "f", lambda _: os.kill(os.getpid(), signal.SIGSEGV))


def test_what_is_read_or_raised_stays_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "f").write_bytes(b"x")
    done: list[int] = []

    def fail(_: Grant) -> None:
        raise ValueError("not here")

    read_in_sandbox(tmp_path / "f", lambda _: done.append(1))
    read_in_sandbox(tmp_path / "f", fail)
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
        read_in_sandbox(tmp_path / "f", lambda _: time.sleep(600))
    assert len(pids) == 2
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
