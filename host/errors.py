"""Every error that the library raises on purpose; imports nothing of this package.

The library raises, `host.cli` alone prints the one line and returns `exit_code`.

    DigitduinoError
    ├── InputError              2  a file, value or name that cannot be used
    │   └── FitError            2  a model that does not fit the board
    ├── LinkError               3  the board or the line to it failed
    │   ├── LinkTimeout            no complete frame in time; may be retried
    │   ├── FrameError             bytes that are no valid frame
    │   ├── DeviceError            the board answered, and the answer is a refusal
    │   └── PortError              the port is missing, busy, denied or vanished
    └── ToolMissing             4  a program or library that must be installed

A message reads `subject: field: found X, need Y; do Z`, in one line.
"""

import difflib
from collections.abc import Iterable


class DigitduinoError(Exception):
    """Base of all errors a user can cause or mend."""

    exit_code = 2


class InputError(DigitduinoError):
    """A file, value or name that cannot be used."""


class FitError(InputError):
    """The model does not fit the board's flash or RAM."""


class LinkError(DigitduinoError):
    """The board or the line to it failed."""

    exit_code = 3


class LinkTimeout(LinkError):
    """No complete frame arrived in time; the request may be retried."""


class FrameError(LinkError):
    """Bytes that are no valid frame; everything up to the next delimiter is dropped."""


class DeviceError(LinkError):
    """The board answered, and its answer is a refusal."""


class PortError(LinkError):
    """The port is missing, busy, denied, vanished or no serial device."""


class ToolMissing(DigitduinoError):
    """A program or library is not installed; the message names the package."""

    exit_code = 4


def near(word: str, candidates: Iterable[str]) -> str:
    """` (did you mean X?)` for the closest candidate whatever its case, or an empty string."""
    by_folded = {c.casefold(): c for c in candidates}
    best = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f" (did you mean {by_folded[best[0]]}?)" if best else ""
