"""Reads a foreign file as one that may be made to harm: with bounded memory, and first in a process of its own where
libhdf5 reads it, which may never come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from host.data.memory import bounded_memory
from host.data.problem import one_line, problem
from host.data.sandbox import Grant, no_limit, read_in_sandbox
from host.errors import InputError
from host.importers.base import check_file
from host.nn.limits import MAX_FILE_BYTES

Result = TypeVar("Result")
_DAMAGED = (
    *(OSError, ValueError, TypeError, KeyError, IndexError, AttributeError),
    *(RuntimeError, OverflowError, MemoryError, AssertionError),
)
"""What the libraries raise on files that nobody wrote on purpose."""


def read_guarded(
    path: Path,
    kind: str,
    read: Callable[[Path, Grant], Result],
    damaged: tuple[type[BaseException], ...] = (),
    *,
    in_sandbox: bool = True,
) -> Result:
    """What `read` makes of the file; its own InputErrors, and one for damage: _DAMAGED, and `damaged` of its library.
    `kind` names what the file should be."""
    check_file(path)

    def bounded(grant: Grant) -> Result:
        with bounded_memory(path, MAX_FILE_BYTES):
            return read(path, grant)

    if in_sandbox:
        read_in_sandbox(path, bounded)
    try:
        return bounded(no_limit)
    except InputError:
        raise
    except _DAMAGED + damaged as error:
        found = f"damage ({one_line(str(error)) or type(error).__name__})"
        raise problem(path.name, "file", found, f"a whole {kind}", "export the net again") from error
