"""The one way in which this package words an error: `subject: field: found X, need Y; do Z`, in one line."""

from __future__ import annotations

from host.errors import InputError

_LONGEST = 600


def problem(subject: object, field: str, found: str, need: str, do: str) -> InputError:
    """Returns (does not raise) the error, so that the caller's `raise` stays visible."""
    return InputError(one_line(f"{subject}: {field}: found {found}, need {need}; {do}"))


def one_line(text: str) -> str:
    """File names and libraries' messages may hold newlines or terminal escapes; the answer never does."""
    flat = " ".join(text.split())
    safe = "".join(c if c.isprintable() else repr(c)[1:-1] for c in flat)
    return safe if len(safe) <= _LONGEST else safe[: _LONGEST - 1] + "…"
