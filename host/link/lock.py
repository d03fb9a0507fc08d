"""One process at a time at one thing; a lock ends with its process, so none is ever left over."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.cache import cache_directory
from host.errors import InputError, PortError


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where another process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def port_lock(port: str) -> Iterator[None]:
    """Keep other runs of this user from `port` while the block lasts; raise PortError with the other's process id."""
    name = os.path.realpath(port) if "://" not in port else port
    path = cache_directory() / "locks" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        if not try_lock(descriptor):
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            raise PortError(f"{port}: in use by process {holder}, another `host verify`; wait for its end or stop it")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written: {error.strerror}; set DIGITDUINO_CACHE to another place")
