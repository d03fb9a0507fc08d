"""Where the files lie that are no Python: templates, firmware sources, platformio.ini; imports nothing of host."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def asset_root() -> Path:
    """Returns the directory that holds `templates/`, `firmware/` and `platformio.ini`; read-only where installed.

    A checkout is its own root, so that an edit counts at once; an installed package carries a copy.
    """
    checkout = _PACKAGE.parent
    if (checkout / "platformio.ini").is_file() and (checkout / "firmware").is_dir():
        return checkout
    return _PACKAGE / "_assets"
