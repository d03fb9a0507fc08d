"""What a run has recorded so far, in a file that only grows, so that an interrupted run can go on where it stopped.

Each line is `crc32 json`: first what is being measured, then what the board said of itself, then one result a line.
A line that was cut short by the end of its writer is dropped; a line that is broken elsewhere condemns the file.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host.errors import FrameError, InputError
from host.link import wire
from host.link.lock import try_lock

SCHEMA = 1
_LIMIT_BYTES = 1 << 28
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

    def meet(self, ready: wire.Ready) -> None:
        """Note what the board says of itself; raise InputError where the recorded results come from another one."""
        found = board_facts(ready)
        if self.board is None:
            self.board = found
            self._append({"board": found})
        for name, value in found.items():
            if self.board[name] != value:
                raise InputError(
                    f"{self.path}: board: {name}: found {value}, need {self.board[name]} as before; {_RESUME_ANEW}"
                )

    def record(self, index: int, result: wire.Result) -> None:
        """Note one result, which outlives this process from here on."""
        self._append([index, result.pack().hex()])
        self.recorded += 1

    def finish(self) -> None:
        """The report is written: there is nothing to resume."""
        self.path.unlink(missing_ok=True)

    def _append(self, content: object) -> None:
        text = json.dumps(content, separators=(",", ":"))
        line = f"{zlib.crc32(text.encode()):08x} {text}\n".encode()
        try:
            written = os.write(self.descriptor, line)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}; free some space, --resume") from error
        if written != len(line):
            raise InputError(f"{self.path}: cannot be written: the disk is full; free some space, then --resume")


def board_facts(ready: wire.Ready) -> dict[str, Any]:
    """What must not change between two parts of one run."""
    name = ready.board.rstrip(b"\0").decode("ascii", "replace")
    numbers = ("weights_crc", "height", "width", "classes", "format", "marks", "clock_hz", "tick_hz")
    return {"model": ready.model_hash.hex(), "name": name, **{key: getattr(ready, key) for key in numbers}}


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
            raise InputError(f"{path}: another run writes this journal; wait for its end, or choose another --journal")
        lines, good_bytes = _read(path, descriptor) if resume else ([], 0)
        os.ftruncate(descriptor, good_bytes)
        if lines:
            _recall(journal, facts, lines)
        else:
            journal._append({"journal": SCHEMA, "facts": dict(facts)})
        try:
            yield journal
        finally:
            if not journal.known and not journal.recorded:
                journal.finish()
    finally:
        with suppress(OSError):
            os.close(descriptor)


def _read(path: Path, descriptor: int) -> tuple[list[Any], int]:
    """The lines and how many bytes they take; what the last writer left unfinished is not among them."""
    if os.fstat(descriptor).st_size > _LIMIT_BYTES:
        raise InputError(f"{path}: found more than {_LIMIT_BYTES:,} bytes, which is no journal; {_RESUME_ANEW}")
    data = path.read_bytes()
    lines: list[Any] = []
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        crc, _, text = data[at:end].partition(b" ")
        if crc != f"{zlib.crc32(text):08x}".encode():
            if data.find(b"\n", end + 1) < 0 and end + 1 == len(data):
                break  # the last line: torn by a crash of the machine, which may leave any bytes
            raise InputError(f"{path}: line {len(lines) + 1}: the journal is damaged; {_RESUME_ANEW}")
        try:
            lines.append(json.loads(text))
        except (ValueError, RecursionError):
            raise InputError(f"{path}: line {len(lines) + 1}: no journal's; {_RESUME_ANEW}") from None
        at = end + 1
    return lines, at


def _recall(journal: Journal, facts: Mapping[str, Any], lines: list[Any]) -> None:
    head = lines[0]
    if not isinstance(head, dict) or head.get("journal") != SCHEMA or not isinstance(head.get("facts"), dict):
        raise InputError(f"{journal.path}: found no journal of this version; {_RESUME_ANEW}")
    for name, value in facts.items():
        if head["facts"].get(name) != value:
            found = head["facts"].get(name)
            raise InputError(f"{journal.path}: {name}: found {value}, need {found} as before; {_RESUME_ANEW}")
    for number, line in enumerate(lines[1:], 2):
        try:
            _recall_line(journal, line)
        except (KeyError, TypeError, ValueError, FrameError):
            raise InputError(f"{journal.path}: line {number}: no journal's; {_RESUME_ANEW}") from None


def _recall_line(journal: Journal, line: Any) -> None:
    if isinstance(line, dict):
        journal.board = line["board"]
        return
    if journal.board is None:
        raise ValueError("a result before its board")
    index, payload = line
    if not isinstance(index, int) or not 0 <= index < journal.count or index in journal.known:
        raise ValueError("no such image")
    journal.known[index] = wire.Result.unpack(bytes.fromhex(payload), journal.board["classes"], journal.board["marks"])
