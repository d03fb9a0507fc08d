"""How much of the protocol's two halves the tests reach, branch by branch."""

from __future__ import annotations

import pytest
from counting import HOST_COUNTER, HOST_GROUP
from needed import need

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
    assert low(covered) == [], coverage_c.table(covered)


@pytest.mark.slow
@pytest.mark.xdist_group(HOST_GROUP)
def test_the_hosts_half(request: pytest.FixtureRequest) -> None:
    """By what its tests took while they ran just now (tests/conftest.py); where not all did, they run for this."""
    covered = (
        coverage_c.host_figures(request.config.stash[HOST_COUNTER]) if HOST_COUNTER in request.config.stash else []
    )
    if len(covered) < len(coverage_c.HOST_FILES) or low(covered):
        covered = coverage_c.host_coverage()
    assert [one.file for one in covered] == list(coverage_c.HOST_FILES)
    assert low(covered) == [], coverage_c.table(covered)


def low(covered: list[coverage_c.Covered]) -> list[coverage_c.Covered]:
    return [one for one in covered if one.percent < coverage_c.LEAST]
