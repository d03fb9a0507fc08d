"""What a run has recorded so far, in a file that only grows, so that an interrupted run can go on where it stopped.

Each line is `crc32 json`: first what is being measured, then what the board said of itself, then one result a line.
A line that was cut short by the end of its writer is dropped; a line that is broken elsewhere condemns the file.
Every line is handed to the system as soon as it is there, so the end of this process loses none; it is on the disk
within SYNC_S and when the journal is closed, so a power failure costs at most what was measured since.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host.data.problem import one_line
from host.errors import FrameError, InputError
from host.link import wire
from host.link.lock import holder_of, note_holder, try_lock

SCHEMA = 1
SYNC_S = 1.0
_CRC_DIGITS = 8
_HEAD_START = b' {"journal":'
_LIMIT_BYTES = 1 << 28
_LINE_LIMIT_BYTES = 1 << 16
"""A result of 255 classes and 255 marks has 4,121 digits."""
_BOARD_TEXTS = ("model", "name")
_BOARD_NUMBERS = ("weights_crc", "height", "width", "classes", "format", "marks", "clock_hz", "tick_hz")
_RESUME_ANEW = "run without --resume to start anew"


@dataclass
class Journal:
    """An open journal; `known` maps index → result of what an earlier run recorded."""

    path: Path
    descriptor: int
    count: int
    known: dict[int, wire.Result] = field(default_factory=dict)
    board: dict[str, Any] | None = None
    recorded: int = 0
    clock: Callable[[], float] = time.monotonic
    synced_at: float = float("-inf")

    def meet(self, ready: wire.Ready) -> None:
        """Note what the board says of itself; raise InputError where the recorded results come from another one."""
        found = board_facts(ready)
        if self.board is None:
            self.board = found
            self._append({"board": found})
        for name, value in found.items():
            if self.board[name] != value:
                need = one_line(str(self.board[name]))
                raise InputError(f"{self.path}: board: {name}: found {value}, need {need} as before; {_RESUME_ANEW}")

    def record(self, index: int, result: wire.Result) -> None:
        """Note one result, which outlives this process from here on."""
        self.recorded += 1  # first, since a line may stand in the file although its writing fails
        self._append([index, result.pack().hex()])

    def sync(self) -> None:
        """Bring every line to the disk; raise InputError where that fails."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            raise self._unwritable(error) from error
        self.synced_at = self.clock()

    def finish(self) -> None:
        """The report is written: there is nothing to resume."""
        self.path.unlink(missing_ok=True)

    def _append(self, content: object) -> None:
        text = json.dumps(content, separators=(",", ":"))
        line = f"{zlib.crc32(text.encode()):08x} {text}\n".encode()
        try:
            written = os.write(self.descriptor, line)
        except OSError as error:
            raise self._unwritable(error) from error
        if written != len(line):
            raise InputError(f"{self.path}: cannot be written: the disk is full; free some space, then --resume")
        if self.clock() - self.synced_at >= SYNC_S:
            self.sync()

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(f"{self.path}: cannot be written: {error.strerror}; free some space, then --resume")


def board_facts(ready: wire.Ready) -> dict[str, Any]:
    """What must not change between two parts of one run."""
    name = ready.board.rstrip(b"\0").decode("ascii", "replace")
    return {"model": ready.model_hash.hex(), "name": name, **{key: getattr(ready, key) for key in _BOARD_NUMBERS}}


@contextmanager
def open_journal(path: Path, facts: Mapping[str, Any], count: int, *, resume: bool) -> Iterator[Journal]:
    """The journal of a run over `count` images that `facts` (JSON values) describe. Without `resume` it begins anew.

    Raise InputError where another run writes it, or where `resume` finds other facts. A journal without results is
    deleted at the end of the block."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; choose another --journal") from error
    journal = Journal(path, descriptor, count)
    try:
        if not try_lock(descriptor):
            raise InputError(
                f"{path}: another run writes this journal, process {holder_of(path)}; "
                "wait for its end, or choose another --journal"
            )
        _check_is_journal(path, descriptor)
        note_holder(path)
        good_bytes = _recall(journal, facts) if resume else 0
        try:
            os.ftruncate(descriptor, good_bytes)
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}; choose another --journal") from error
        if not good_bytes:
            journal._append({"journal": SCHEMA, "facts": dict(facts)})
        try:
            yield journal
        finally:
            if journal.known or journal.recorded:
                with suppress(InputError):  # whatever ended the block says more
                    journal.sync()
            else:
                journal.finish()
    finally:
        with suppress(OSError):
            os.close(descriptor)


def _check_is_journal(path: Path, descriptor: int) -> None:
    """Raise InputError for a file that holds something else, which must not be emptied. The head may be torn."""
    start = os.pread(descriptor, _CRC_DIGITS + len(_HEAD_START), 0)
    crc, head = start[:_CRC_DIGITS], start[_CRC_DIGITS:]
    if not (all(digit in b"0123456789abcdef" for digit in crc) and _HEAD_START.startswith(head)):
        raise InputError(
            f"{path}: found a file that is no journal, need a new name or a journal; choose another --journal"
        )


def _lines(path: Path, descriptor: int) -> Iterator[tuple[Any, int]]:
    """Each line with the number of bytes up to its end; what the last writer left unfinished is not among them."""
    size = os.fstat(descriptor).st_size
    if size > _LIMIT_BYTES:
        raise InputError(f"{path}: found more than {_LIMIT_BYTES:,} bytes, which is no journal; {_RESUME_ANEW}")
    number = at = 0
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        stream.seek(0)
        while line := stream.readline(_LINE_LIMIT_BYTES):
            number += 1
            at += len(line)
            if not line.endswith(b"\n"):
                if len(line) == _LINE_LIMIT_BYTES and at < size and b"\n" in stream.read():
                    raise InputError(f"{path}: line {number}: the journal is damaged; {_RESUME_ANEW}")
                return
            crc, _, text = line[:-1].partition(b" ")
            if crc != f"{zlib.crc32(text):08x}".encode():
                if at == size:
                    return  # the last line: torn by a crash of the machine, which may leave any bytes
                raise InputError(f"{path}: line {number}: the journal is damaged; {_RESUME_ANEW}")
            try:
                yield json.loads(text), at
            except (ValueError, RecursionError):
                raise InputError(f"{path}: line {number}: no journal's; {_RESUME_ANEW}") from None


def _recall(journal: Journal, facts: Mapping[str, Any]) -> int:
    """Take in what an earlier run recorded; return how many bytes of the file are good."""
    good_bytes = 0
    for number, (line, end) in enumerate(_lines(journal.path, journal.descriptor), 1):
        if number == 1:
            _check_head(journal, facts, line)
        else:
            try:
                _recall_line(journal, line)
            except (KeyError, TypeError, ValueError, FrameError):
                raise InputError(f"{journal.path}: line {number}: no journal's; {_RESUME_ANEW}") from None
        good_bytes = end
    return good_bytes


def _check_head(journal: Journal, facts: Mapping[str, Any], head: Any) -> None:
    if not isinstance(head, dict) or head.get("journal") != SCHEMA or not isinstance(head.get("facts"), dict):
        raise InputError(f"{journal.path}: found no journal of this version; {_RESUME_ANEW}")
    for name, value in facts.items():
        if head["facts"].get(name) != value:
            found = one_line(str(head["facts"].get(name)))
            raise InputError(f"{journal.path}: {name}: found {value}, need {found} as before; {_RESUME_ANEW}")


def _recall_line(journal: Journal, line: Any) -> None:
    if isinstance(line, dict):
        board = line["board"]
        if journal.board is not None or not isinstance(board, dict) or set(board) != {*_BOARD_NUMBERS, *_BOARD_TEXTS}:
            raise ValueError("no board, or a second one")
        if not all(type(board[name]) is int for name in _BOARD_NUMBERS):
            raise ValueError("no numbers")
        if not all(type(board[name]) is str for name in _BOARD_TEXTS):
            raise ValueError("no texts")
        journal.board = board
        return
    if journal.board is None:
        raise ValueError("a result before its board")
    index, payload = line
    if type(index) is not int or not 0 <= index < journal.count or index in journal.known:
        raise ValueError("no such image")
    journal.known[index] = wire.Result.unpack(bytes.fromhex(payload), journal.board["classes"], journal.board["marks"])
