"""Every write that can fail, failing: afterwards the old content is there whole or the new, and nothing else."""

from __future__ import annotations

import dis
import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from fake_board import ready
from full_disk import file_size_limit
from networks import random_network

from host import atomic
from host.cli.console import Console
from host.compile.render import write_headers
from host.compile.select import plain
from host.errors import InputError
from host.link import wire
from host.link.journal import SYNC_S, open_journal
from host.modelfile import file as model_file
from host.modelfile.seed_text import write as write_matrices
from host.nn.formats import WeightFormat
from host.quantise.lower import lower
from host.train import checkpoint

Save = Callable[[Path, int], object]


def save_checkpoint(folder: Path, version: int) -> None:
    state = checkpoint.Checkpoint(version, {}, {"weights": np.full(500, version, np.float32)})
    checkpoint.save(folder / "m.checkpoint", "mark", state)


def headers(version: int) -> object:
    return plain(lower(random_network(version), WeightFormat.INT8))


PLANS = {version: headers(version) for version in (1, 2)}
NETWORKS = {version: random_network(version) for version in (1, 2)}
SAVES: dict[str, Save] = {
    "model": lambda folder, version: model_file.save(NETWORKS[version], folder / "m.h5"),
    "headers": lambda folder, version: write_headers(PLANS[version], folder),  # type: ignore[arg-type]
    "matrices": lambda folder, version: write_matrices(NETWORKS[version], folder),
    "report": lambda folder, version: Console(str(folder / "r.json")).document({"n": [version] * 3000}),
    "checkpoint": save_checkpoint,
    "picture": lambda folder, version: atomic.write_bytes(folder / "p.png", bytes([version]) * 9000),
}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(params=SAVES)
def save(request: pytest.FixtureRequest) -> Save:
    chosen: Save = SAVES[request.param]
    return chosen


@pytest.fixture
def whole(save: Save, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, bytes]]:
    """What each version looks like when nothing fails."""
    result = {}
    for version in (1, 2):
        folder = tmp_path_factory.mktemp("whole")
        save(folder, version)
        result[version] = content(folder)
    assert result[1] != result[2]
    return result


@pytest.mark.parametrize("is_there", [False, True])
def test_a_disk_that_is_full_after_any_number_of_bytes(
    save: Save, whole: dict[int, dict[str, bytes]], tmp_path: Path, is_there: bool
) -> None:
    if is_there:
        save(tmp_path, 1)
    largest = max(map(len, whole[2].values()))
    for size in (0, 1, 7, *range(64, largest, max(64, largest // 12)), largest - 1):
        with file_size_limit(size), pytest.raises(InputError, match="cannot be written") as caught:
            save(tmp_path, 2)
        assert "\n" not in str(caught.value)
        assert content(tmp_path) == (whole[1] if is_there else {}), size
    with file_size_limit(largest):
        save(tmp_path, 2)
    assert content(tmp_path) == whole[2]


CALLS = {
    "fsync": errno.EIO,
    "replace": errno.EACCES,
    "chmod": errno.EPERM,
    "close": errno.EIO,
}


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_any_single_call_that_fails(
    save: Save,
    whole: dict[int, dict[str, bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    is_there: bool,
) -> None:
    real = getattr(os, call)
    calls, at = 0, 0

    def fails(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == at:
            if call == "close":
                real(*arguments, **options)  # as the system does: the descriptor is gone all the same
            raise OSError(CALLS[call], os.strerror(CALLS[call]))
        return real(*arguments, **options)

    for at in range(1, 50):
        for name in content(tmp_path):
            (tmp_path / name).unlink()
        if is_there:
            save(tmp_path, 1)
        calls = 0
        monkeypatch.setattr(os, call, fails)
        try:
            save(tmp_path, 2)
            said, is_new = "cannot be written", True
        except InputError as error:
            said, is_new = str(error), False
        finally:
            monkeypatch.setattr(os, call, real)
        assert "cannot be written" in said and "\n" not in said
        assert content(tmp_path) == (whole[2] if is_new else whole[1] if is_there else {}), at
        if calls < at:
            break
    assert is_new and at > 1, "the call is never made"


def test_the_folder_is_brought_to_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    atomic.write_text(tmp_path / "a", "text")
    assert len(synced) == 2 and synced[0].name.startswith(".a.") and synced[1] == tmp_path


def test_a_set_of_files_keeps_its_permissions_when_it_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atomic.write_texts(tmp_path, {"a": "1", "b": "1"})
    (tmp_path / "a").chmod(0o640)
    real, calls = os.replace, []

    def second_fails(source: object, target: object) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(InputError, match="b: cannot be written: Input/output error"):
        atomic.write_texts(tmp_path, {"a": "2", "b": "2"})
    assert content(tmp_path) == {"a": b"1", "b": b"1"}
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


# --- the journal, which grows instead ----------------------------------------------------------------------------

RESULTS = [wire.Result(0, 7 * k, k, (k, 2, 3)) for k in range(40)]


def record_all(path: Path, *, resume: bool) -> None:
    with open_journal(path, {}, len(RESULTS), resume=resume) as journal:
        journal.meet(ready())
        for index, result in enumerate(RESULTS):
            if index not in journal.known:
                journal.record(index, result)


def known(path: Path) -> dict[int, wire.Result]:
    with open_journal(path, {}, len(RESULTS), resume=True) as journal:
        return dict(journal.known)


def test_a_journal_on_a_disk_that_is_full_after_any_number_of_bytes_loses_nothing(tmp_path: Path) -> None:
    record_all(tmp_path / "whole", resume=False)
    whole = (tmp_path / "whole").read_bytes()
    for size in range(0, len(whole), 97):
        path = tmp_path / f"{size}.journal"
        with file_size_limit(size), pytest.raises(InputError, match="cannot be written") as caught:
            record_all(path, resume=False)
        assert "\n" not in str(caught.value)
        complete = whole[:size].count(b"\n") - 2
        assert len(known(path)) == max(0, complete)
        record_all(path, resume=True)
        assert path.read_bytes() == whole


def test_a_journal_is_on_the_disk_each_second_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk = []
    path = tmp_path / "run.journal"
    monkeypatch.setattr(os, "fsync", lambda descriptor: on_disk.append(os.fstat(descriptor).st_size))
    now = 50.0
    with suppress(KeyboardInterrupt), open_journal(path, {}, len(RESULTS), resume=False) as journal:
        journal.clock = lambda: now
        journal.meet(ready())
        on_disk.clear()
        journal.synced_at = now
        for index in range(20):
            now += SYNC_S / 4
            journal.record(index, RESULTS[index])
        assert len(on_disk) == 5 and on_disk[-1] == path.stat().st_size
        journal.record(20, RESULTS[20])
        assert on_disk[-1] < path.stat().st_size
        raise KeyboardInterrupt
    assert on_disk[-1] == path.stat().st_size


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_journal_whose_fsync_fails_ends_the_run_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    calls = 0

    def fails(_: int) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "run.journal"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        patch.setattr("host.link.journal.SYNC_S", 0.0)
        with pytest.raises(InputError, match="cannot be written: Input/output error; free some space, then --resume"):
            record_all(path, resume=False)
    assert list(known(path)) == list(range(max(0, at - 2)))
    record_all(path, resume=True)
    assert known(path) == dict(enumerate(RESULTS))


class InterruptAt:
    """Ctrl-C at the n-th moment at which Python looks for signals while it is in host/atomic.py: behind a call, at a
    function's start, and when a loop goes back. `has_struck` says whether it came so far."""

    _LOOKS = ("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE")

    def __init__(self, moment: int) -> None:
        self.left, self.has_struck = moment, False
        self._just_done: dict[FrameType, str] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> InterruptAt | None:
        if frame.f_code.co_filename != atomic.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and not self.has_struck:
            self.left -= self._just_done.get(frame, "").startswith(self._LOOKS)
            self._just_done[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if self.left < 0:
                self.has_struck = True
                raise KeyboardInterrupt
        return self


WRITES: dict[str, Callable[[Path, str], object]] = {
    "one file": lambda folder, text: atomic.write_text(folder / "a", text),
    "three files": lambda folder, text: atomic.write_texts(folder, {name: name + text for name in "abc"}),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that was being opened
@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_an_interrupt_at_any_moment_leaves_all_old_or_all_new_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, str], object], is_there: bool
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # for time
    write(tmp_path, "new")
    new, old, before = content(tmp_path), {}, sys.gettrace()
    if is_there:
        write(tmp_path, "old")
        old = content(tmp_path)
    seen = set()
    for moment in count():
        for path in tmp_path.iterdir():
            path.unlink()
        if is_there:
            write(tmp_path, "old")
        interrupt = InterruptAt(moment)
        sys.settrace(interrupt)
        try:
            write(tmp_path, "new")
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        found = content(tmp_path)
        assert found in (old, new), moment
        seen.add(found == new)
        if not interrupt.has_struck:
            break
    assert moment > 20 and seen == {False, True}
