"""Which options of `host plot` belong to which picture: one that would change nothing is refused, never ignored."""

from __future__ import annotations

import argparse

from host.errors import InputError

ALL = "all"
OF_REPORT = ("recall", "confusion")
OF_MODEL = ("loss", "kernels", "maps", *OF_REPORT, "preconv")
_IMAGES = ("data", "format", "split")
_BY_PICTURE: dict[str, tuple[str, ...]] = {
    "loss": (),
    "kernels": ("format",),
    "maps": (*_IMAGES, "digit"),
    "recall": (*_IMAGES, "limit"),
    "confusion": (*_IMAGES, "limit"),
    "preconv": (*_IMAGES, "limit"),
    ALL: (*_IMAGES, "digit", "limit"),
}
"""Names in the parsed arguments; one that is not given is None."""


def check(arguments: argparse.Namespace, what: str, is_report: bool) -> None:
    """Raise InputError on an option that the picture `what` has no use for."""
    for name in _BY_PICTURE[ALL]:
        if getattr(arguments, name) is None:
            continue
        if is_report:
            raise InputError(
                f"plot: --{name}: found it with a report, which holds its answers, need a model; leave it out"
            )
        if name not in _BY_PICTURE[what]:
            users = ", ".join(picture for picture, names in _BY_PICTURE.items() if name in names)
            raise InputError(f"plot: --{name}: found it with {what}, need one of {users} for it; leave it out")
    if None not in (arguments.digit, arguments.limit) and arguments.digit >= arguments.limit:
        raise InputError(
            f"plot: --digit: found {arguments.digit}, need 0..{arguments.limit - 1}, which --limit {arguments.limit} "
            "leaves; choose one of these or raise --limit"
        )
