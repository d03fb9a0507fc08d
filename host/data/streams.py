"""Bytes out of a file that may be plain, gzip or bzip2, and is never trusted with its size.

The compression is told from the first bytes, because servers and browsers strip `.gz` without renaming.
"""

from __future__ import annotations

import bz2
import codecs
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
MAX_WAIT = 1 << 22  # letters: the largest image has 65,025 pixels of up to 25 digits
_PIECE_BYTES = 1 << 18


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


def text_lines(path: Path) -> Iterator[str]:
    """The lines that are not blank, of UTF-8 with or without byte-order mark and any line ends, as they are decoded:
    who asks for no second line pays for none. At most MAX_TEXT_BYTES, and MAX_WAIT letters from one line to the next.
    """
    waited, tail = 0, ""
    for text in _decoded_text(path):
        lines = (tail + text).splitlines()
        is_open = text[-1].splitlines() != [""]
        tail = lines.pop() if is_open else ""
        waited += len(text)
        for line in lines:
            if line and not line.isspace():
                waited = len(tail)
                yield line
        if waited > MAX_WAIT:
            raise problem(
                path, "text", f"no line of data in {waited:,} letters", "one line per image", "check the file"
            )
    if tail and not tail.isspace():
        yield tail


def _decoded_text(path: Path) -> Iterator[str]:
    """Pieces of the text, none of them empty."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    done = 0
    for piece in _text_bytes(path):
        kept = len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece)
        except UnicodeDecodeError as error:
            found = f"byte 0x{error.object[error.start]:02x} at {done - kept + error.start}"
            raise problem(path, "text", found, "UTF-8 text", "check that this is the right file") from error
        if not done:
            text = text.removeprefix("\ufeff")
        done += len(piece)
        if text:
            yield text
    if decoder.getstate()[0]:
        raise problem(path, "text", "an end within a letter", "UTF-8 text", "copy the file again")


def _text_bytes(path: Path) -> Iterator[bytes]:
    """Pieces of the decoded file. Behind the first one its size is found out, before anybody works through it."""
    limit = min(MAX_TEXT_BYTES, credible_bytes(path))
    with open_decoded(path) as stream:
        first = stream.read(_PIECE_BYTES)
        yield first
        rest = stream.read(limit + 1 - len(first))
    if len(first) + len(rest) > limit:
        need = f"at most {limit >> 20} MiB of text"
        raise problem(path, "size", "more", need, "store the images as NPZ, IDX or HDF5")
    for start in range(0, len(rest), _PIECE_BYTES):
        yield rest[start : start + _PIECE_BYTES]
