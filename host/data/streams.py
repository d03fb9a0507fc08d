"""Bytes out of a file that may be plain, gzip or bzip2, and is never trusted with its size.

The compression is told from the first bytes, because servers and browsers strip `.gz` without renaming.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from host.data.problem import problem

MAX_BYTES = 1 << 30  # of one array, or of one compressed file once decoded
MAX_RATIO = 200  # of decoded to compressed: digits compress 5 to 50 times, a bomb 1,000 times and more
FREE_BYTES = 1 << 24  # of which no ratio is asked
MAX_TEXT_BYTES = 1 << 28  # text takes up to four times its size as numbers (MNIST as CSV has 110 MB)


@contextmanager
def open_decoded(path: Path) -> Iterator[BufferedIOBase]:
    """A stream of the decoded bytes; whatever fails inside the block becomes one InputError that names the file."""
    try:
        if not path.is_file():
            raise problem(path, "file", "no regular file", "a data file", "check the path")
        with path.open("rb") as raw:
            magic = raw.read(3)
            raw.seek(0)
            if magic[:2] == b"\x1f\x8b":
                with gzip.open(raw) as decoded:
                    yield decoded
            elif magic == b"BZh":
                with bz2.open(raw) as decoded:
                    yield decoded
            else:
                yield raw
    except EOFError as error:
        raise problem(path, "file", "an end in mid-stream", "a whole compressed file", "copy it again") from error
    except zlib.error as error:
        raise problem(path, "file", f"damage ({error})", "a whole compressed file", "copy it again") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except MemoryError as error:
        raise problem(path, "file", "more than fits into memory", "a smaller file", "give fewer images") from error


def credible_bytes(path: Path) -> int:
    """How many bytes `path` may claim to hold, by its size on disk."""
    return min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * path.stat().st_size))


def unreadable(path: Path, error: OSError) -> Exception:
    """The system's refusal (or gzip's and bz2's complaint, which are OSErrors too) as an InputError."""
    reason = error.strerror or str(error)
    return problem(path, "file", f"it unreadable ({reason})", "a whole, readable file", "check it or copy it again")


def read_text(path: Path) -> str:
    """The file as text: UTF-8 with or without byte-order mark, any line ends, at most MAX_TEXT_BYTES decoded."""
    with open_decoded(path) as stream:
        limit = min(MAX_TEXT_BYTES, credible_bytes(path))
        data = stream.read(limit + 1)
    if len(data) > limit:
        need = f"at most {limit >> 20} MiB of text"
        raise problem(path, "size", "more", need, "store the images as NPZ, IDX or HDF5")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{data[error.start]:02x} at {error.start}"
        raise problem(path, "text", found, "UTF-8 text", "check that this is the right file") from error
