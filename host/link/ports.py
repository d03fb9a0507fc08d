"""Which serial ports there are, and what to do when one cannot be opened."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from serial.tools import list_ports

from host.data.problem import one_line

_ARDUINO_VENDORS = {0x2341: "Arduino", 0x2A03: "Arduino", 0x1A86: "CH340", 0x0403: "FTDI", 0x10C4: "CP210x"}
_NO_SERIAL_DEVICE = (errno.ENOTTY, errno.EINVAL, errno.EISDIR, errno.ENODEV, errno.ENXIO)


@dataclass(frozen=True)
class Port:
    """`likely` marks a USB adapter that Arduino boards carry."""

    device: str
    description: str
    likely: bool


def ports() -> list[Port]:
    """The ports that are there, likely boards first."""
    found = [
        Port(port.device, _ARDUINO_VENDORS.get(port.vid, "") or port.description, port.vid in _ARDUINO_VENDORS)
        for port in list_ports.comports()
    ]
    return sorted(found, key=lambda port: (not port.likely, port.device))


def opening_hint(port: str, error: Exception) -> str:
    """One line: what is wrong with `port`, and the remedy."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT or "No such file" in text or "FileNotFoundError" in text:
        there = ", ".join(found.device for found in ports()) or "none"
        return f"{port}: no such port; ports here: {there}; plug the board in or see `host ports`"
    if number == errno.EACCES or "Permission denied" in text or "PermissionError" in text:
        return f"{port}: permission denied; on Linux `sudo usermod -aG dialout $USER`, then log in again"
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text or "busy" in text.lower():
        return f"{port}: in use by another program; close the serial monitor or the other `host verify`"
    if number in _NO_SERIAL_DEVICE or "Could not configure port" in text:
        return f"{port}: not a serial device; see `host ports`"
    if number == errno.EIO:
        return f"{port}: its other end is gone; plug the board in again and see `host ports`"
    return f"{port}: cannot be opened ({one_line(text)}); see `host ports`"
