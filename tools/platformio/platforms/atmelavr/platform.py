"""The AVR platform of a computer whose tools come from the system, not from PlatformIO's packages."""

from platformio.public import PlatformBase


class AtmelavrPlatform(PlatformBase):
    """Nothing to download: `packages` is empty, and every program is found on PATH."""

    def is_embedded(self):
        # PlatformIO infers this from an uploader among the packages, of which there are none.
        return True
