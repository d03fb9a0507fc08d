"""A bound on what a library may allocate while it reads a foreign file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.data.streams import credible_bytes

if sys.platform != "win32":
    import resource

_OWN_BYTES = 1 << 28  # for the library's own tables
_ARRAYS = 6  # as large as the file may credibly hold: two splits of images and labels, and what they are decoded from
_STATM = Path("/proc/self/statm")


@contextmanager
def bounded_memory(path: Path, most: int | None = None) -> Iterator[None]:
    """Let the process take no more memory in the block than `path` can honestly need, which holds at most `most` bytes
    decoded if that is given, where the system has such a limit (Linux).

    libhdf5 allocates what a file declares before it looks whether the file holds it: 7,808 bytes with a damaged heap
    made it take 4 GiB. Beyond the limit an allocation fails, and h5py raises one of its errors.
    """
    if sys.platform == "win32" or not _STATM.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    credible = credible_bytes(path)
    wanted = taken + _OWN_BYTES + _ARRAYS * (credible if most is None else min(most, credible))
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
