"""Refusals of values that a caller of training may give."""

import math

from host.errors import InputError


def check_whole(field: str, value: object, low: int, high: int | None = None) -> None:
    """Raise InputError unless `value` is a whole number from `low`, and up to `high` where that is given."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= (value if high is None else high):
        need = f"{low}..{high}" if high is not None else f"{low} or more"
        raise InputError(f"train: {field}: found {value}, need a whole number {need}; choose another")


def check_positive(field: str, value: float) -> None:
    """Raise InputError unless `value` is finite and above 0."""
    if not math.isfinite(value) or value <= 0:
        raise InputError(f"train: {field}: found {value}, need a finite number above 0; choose another")
