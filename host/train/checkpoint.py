"""An interrupted training on disk: a ZIP of plain NumPy arrays (`.npz` without pickle), written whole or not at all.

The mark says what is being trained; a file with another one is refused rather than continued, naming what differs.
"""

import glob
import hashlib
import io
import json
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.atomic import write_bytes
from host.data.problem import one_line
from host.errors import InputError

_FORMAT = 1
_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, AttributeError, OverflowError, NotImplementedError),
    *(SyntaxError, tokenize.TokenError),
)
"""What NumPy, zip and JSON raise on files that nobody wrote on purpose."""
_FACTS = "facts"
_MAX_ARRAYS = 4096
_LONGEST_VALUE = 20  # what a person can read in a message; of a longer one the mark holds a hash


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State after `epochs` finished epochs. `arrays` may hold anything numeric, by name."""

    epochs: int
    history: dict[str, list[float]]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def fingerprint(*facts: object) -> str:
    """Return a hash of what must agree for a training to go on; the facts' `repr` must tell them apart."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def mark_of(facts: Mapping[str, object]) -> str:
    """Return the mark of a training that these facts determine; the facts' `repr` must tell them apart."""
    texts = {name: value if isinstance(value, str) else repr(value) for name, value in facts.items()}
    return json.dumps(
        {name: text if len(text) <= _LONGEST_VALUE else fingerprint(text) for name, text in texts.items()}
    )


def save(path: Path, mark: str, state: Checkpoint) -> None:
    """Replace the file. Raises InputError where it cannot be written."""
    facts = {"format": _FORMAT, "fingerprint": mark, "epochs": state.epochs, "history": state.history}
    stream = io.BytesIO()
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(stream, allow_pickle=False, **{_FACTS: text}, **state.arrays)
    write_bytes(path, stream.getvalue())


def remove(paths: Iterable[Path]) -> None:
    """Delete checkpoints, and what a process that was killed while it wrote one left beside them."""
    for path in paths:
        path.unlink(missing_ok=True)
        for unfinished in path.parent.glob(f".{glob.escape(path.name)}.*"):
            unfinished.unlink(missing_ok=True)


def load(path: Path, mark: str) -> Checkpoint | None:
    """Return what `save` wrote, or None where there is no file. Raises InputError on any other file."""
    if not path.exists():
        return None
    try:
        _check_sizes(path)
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts = json.loads(arrays.pop(_FACTS).tobytes())
        known = (facts["format"], facts["fingerprint"])
        state = Checkpoint(int(facts["epochs"]), dict(facts["history"]), arrays)
    except _DAMAGED as error:
        raise InputError(
            f"{path}: checkpoint: found a file that is damaged or no checkpoint, need one of this training; "
            "delete the file and begin anew"
        ) from error
    if known != (_FORMAT, mark):
        found = f"one of another training{_differences(known[1], mark)}"
        raise InputError(
            f"{path}: checkpoint: found {found}, need one of this recipe, seed and data; "
            "give the options that it was begun with, or delete the file and begin anew"
        )
    return state


def _differences(found: object, wanted: str) -> str:
    """Return ` (epochs 12, not 11; another optimiser)`, or nothing where a mark names no facts."""
    there, ours = _facts(found), _facts(wanted)
    parts = []
    for name in ours:
        if name in there and there[name] != ours[name]:
            readable = max(len(there[name]), len(ours[name])) <= _LONGEST_VALUE
            parts.append(f"{name} {one_line(there[name])}, not {ours[name]}" if readable else f"another {name}")
    return f" ({'; '.join(parts)})" if parts else ""


def _facts(mark: object) -> dict[str, str]:
    try:
        facts = json.loads(mark) if isinstance(mark, str) else None
    except (ValueError, RecursionError):
        return {}
    return {name: text for name, text in facts.items() if isinstance(text, str)} if isinstance(facts, dict) else {}


def _check_sizes(path: Path) -> None:
    """Raise ValueError where an archive would unpack to more than `save` has put in, which is never compressed."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if len(members) > _MAX_ARRAYS or any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("compressed")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("overlapping")
