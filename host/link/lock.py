"""One process at a time at one thing; a lock ends with its process, so none is ever left over."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from host.cache import cache_directory
from host.errors import InputError, PortError

_UNKNOWN = "unknown"


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def note_holder(path: Path) -> None:
    """Say in the cache that this process holds the lock of `path`, for whoever is refused; where it can be said."""
    note = _lock_file(os.path.realpath(path)).with_suffix(".holder")
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{os.getpid()}\n")


def holder_of(path: Path) -> str:
    """The process id in the note of the one that holds the lock of `path`, or "unknown"."""
    note = _lock_file(os.path.realpath(path)).with_suffix(".holder")
    with suppress(OSError, UnicodeDecodeError), note.open() as said:
        return _process_id(said.read(20))
    return _UNKNOWN


@contextmanager
def port_lock(port: str) -> Iterator[None]:
    """Keep other runs of this user from `port` while the block lasts; raise PortError with the other's process id."""
    path = _lock_file(os.path.realpath(port) if "://" not in port else port)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        if not try_lock(descriptor):
            holder = _process_id(os.read(descriptor, 20).decode("ascii", "replace"))
            raise PortError(f"{port}: in use by process {holder}, another `host verify`; wait for its end or stop it")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock_file(name: str) -> Path:
    return cache_directory() / "locks" / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.lock"


def _process_id(text: str) -> str:
    return text.strip() if text.strip().isdecimal() else _UNKNOWN


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written: {error.strerror}; set DIGITDUINO_CACHE to another place")
