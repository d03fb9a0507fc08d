"""Fixtures that any host test may need."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory with the genuine digits; without it a test skips with the reason, and fails in CI."""
    value = os.environ.get("DIGITDUINO_DATA")
    if value and Path(value).is_dir():
        return Path(value)
    reason = f"DIGITDUINO_DATA: found {value or 'nothing'}, need the directory with usps.h5 and mnist/"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
