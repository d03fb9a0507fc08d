"""Where the templates, the firmware sources and platformio.ini are: in the checkout, else in the installed package."""

from __future__ import annotations

from pathlib import Path

from host.errors import InputError

_PACKAGE = Path(__file__).resolve().parent


def asset_root() -> Path:
    """The folder that holds templates/, firmware/ and platformio.ini."""
    for root in (_PACKAGE.parent, _PACKAGE / "_assets"):
        if (root / "templates").is_dir() and (root / "platformio.ini").is_file():
            return root
    raise InputError(f"{_PACKAGE}: found no templates and firmware, need them beside the package; install digitduino again")
