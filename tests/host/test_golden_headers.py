"""What is made of many nets is what was made of them before: headers.txt, changed only by its own command."""

import importlib.util
import sys

import pytest

from host.compile.kernels.catalogue import CATALOGUE
from host.compile.kernels.kinds import KINDS
from host.nn.formats import WeightFormat


@pytest.fixture(scope="module")
def golden(repository):
    """tests/golden/update_headers.py."""
    spec = importlib.util.spec_from_file_location("update_headers", repository / "tests/golden/update_headers.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_headers_budgets_and_refusals_are_those_written_down(golden):
    known, found = golden.GOLDEN.read_text().splitlines(), list(golden.rows())
    different = [f"- {before}\n+ {after}" for before, after in zip(known, found, strict=False) if before != after]
    advice = "if that is meant run `python tests/golden/update_headers.py` and review the diff"
    assert not different and len(known) == len(found), "\n".join([*different[:10], f"{len(different)} rows; {advice}"])


def test_hashes_and_scores_are_those_of_the_first_boards(golden):
    """Boards in the field answer with these hashes, and reports that were written down hold these scores."""
    first = golden.first_scores()
    assert len(first) == 123
    assert {key: golden.hash_and_scores(*key) for key in first} == first


def test_every_kernel_and_format_is_among_them(golden):
    rows = golden.GOLDEN.read_text().splitlines()
    used = {name for row in rows for name in row.rpartition("; ")[2].split()}
    assert {kernel.name for kernel in CATALOGUE} <= used
    assert {row.split(" | ")[1].split()[0] for row in rows} == {fmt.label for fmt in WeightFormat}
    assert {row.split(" | ")[1].split()[3] for row in rows} == {"auto", *KINDS}
    assert any(" | refused: " in row for row in rows) and any(" does not fit: " in row for row in rows)


def test_ranges_of_random_nets_are_written_down(golden):
    """So that no other processor's last digits get into a hash."""
    import json

    assert set(json.loads(golden.RANGES.read_text())) == set(golden.networks()) - set(golden.PRETRAINED)
