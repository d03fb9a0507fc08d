"""How much of the protocol's two halves the tests reach, branch by branch."""

from __future__ import annotations

import pytest
from firmware_build import need

from tools import coverage_c


@pytest.mark.slow
def test_the_firmwares_half() -> None:
    need("gcov", "gcc")
    covered = coverage_c.c_coverage()
    assert {one.file.rpartition("/")[2] for one in covered} >= {
        "app.c",
        "app_reply.c",
        "wire_decode.c",
        "wire_encode.c",
    }
    assert [one for one in covered if one.percent < coverage_c.LEAST] == [], coverage_c.table(covered)


@pytest.mark.slow
def test_the_hosts_half() -> None:
    covered = coverage_c.host_coverage()
    assert [one.file for one in covered] == list(coverage_c.HOST_FILES)
    assert [one for one in covered if one.percent < coverage_c.LEAST] == [], coverage_c.table(covered)
