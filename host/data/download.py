"""One published file from the first mirror that serves it whole, through pooch.

pooch writes to a temporary file beside the target, compares the hash and only then moves it into place; this module
adds the mirrors, short timeouts, a size limit and errors in one line.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from host.data.problem import one_line
from host.data.sources import KnownFile
from host.errors import InputError, LinkError

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 10
MAX_DOWNLOAD_BYTES = 1 << 26  # the largest of the known files has 10 MB
_CHUNK = 1 << 16


@dataclass(frozen=True)
class FetchProgress:
    """How far one file has come, in bytes; `total` is None while the server has not said."""

    file: str
    done: int
    total: int | None


OnProgress = Callable[[FetchProgress], None]


def download_file(file: KnownFile, mirrors: Sequence[str], folder: Path, progress: OnProgress | None = None) -> Path:
    """The verified file in `folder`, from there if it is there already.

    Raises LinkError when no mirror answers, InputError when one answers and none serves the right file (the text is
    what was found, for `fetch` to complete), and lets the OSError of a full or unwritable folder pass.
    """
    import pooch  # with requests behind it: only when something is downloaded
    import requests

    pooch.get_logger().setLevel(logging.WARNING)  # it reports every download on standard error otherwise
    if file.md5 and (folder / file.name).is_file() and md5_of(folder / file.name) == file.md5:
        return folder / file.name
    failures, answered = [], False
    for base in mirrors:
        url = f"{base.rstrip('/')}/{file.name}"
        fetcher = pooch.HTTPDownloader(
            progressbar=_Meter(file.name, progress),
            chunk_size=_CHUNK,
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            headers={"Accept-Encoding": "identity"},  # the hash is over the file as published
        )
        try:
            known = f"md5:{file.md5}" if file.md5 else None
            pooch.retrieve(url, known, fname=file.name, path=folder, downloader=fetcher)
            return folder / file.name
        except requests.RequestException as error:
            reason = _reason(error)
            answered |= error.response is not None
        except ValueError as error:  # pooch: another hash; _Meter: too long
            reason = str(error) if isinstance(error, _TooLongError) else f"another MD5 than {file.md5}"
            answered = True
        failures.append(f"{urlsplit(base).netloc or base}: {reason}")
    message = one_line(f"{file.name} on no mirror ({', '.join(dict.fromkeys(failures)) or 'none given'})")
    raise InputError(message) if answered else LinkError(message)


def md5_of(path: Path) -> str:
    """MD5 of a file as it lies on disk; against damage, not against forgery."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _TooLongError(ValueError):
    """The server sends more than any of the known files has."""


class _Meter:
    """The object that pooch takes for a progress bar; it also stops a body that does not end."""

    def __init__(self, file: str, progress: OnProgress | None) -> None:
        self.total = 0  # set by pooch from Content-Length, 0 if there is none
        self._file, self._progress, self._done = file, progress, 0

    def update(self, count: int) -> None:
        """Called by pooch after each chunk with the chunk's full size, and once with the total at the end."""
        self._done += count
        if self._done > MAX_DOWNLOAD_BYTES:
            raise _TooLongError(f"more than {MAX_DOWNLOAD_BYTES >> 20} MiB")
        if self._progress and count:
            done = min(self._done, self.total) if self.total else self._done
            self._progress(FetchProgress(self._file, done, self.total or None))

    def reset(self) -> None:
        """Called by pooch before it reports the total."""
        self._done = 0

    def close(self) -> None:
        """Called by pooch at the end; the owner of the callback closes its own bar."""


def _reason(error: Any) -> str:
    """What a chain of wrapped errors comes to, in a few words."""
    import requests

    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)):
        return "the body ended early"
    if isinstance(error, requests.ConnectionError):
        return "timed out" if "timed out" in str(error) else "no connection"
    return type(error).__name__
