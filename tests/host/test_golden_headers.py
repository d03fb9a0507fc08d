"""What is made of many nets is what was made of them before: headers.txt, changed only by its own command."""

import json

from golden import update_headers

from host.compile.kernels.catalogue import CATALOGUE
from host.compile.kernels.kinds import KINDS
from host.nn.formats import WeightFormat


def test_headers_budgets_and_refusals_are_those_written_down():
    known, found = update_headers.GOLDEN.read_text().splitlines(), list(update_headers.rows())
    different = [f"- {before}\n+ {after}" for before, after in zip(known, found, strict=False) if before != after]
    advice = "if that is meant run `python tests/golden/update_headers.py` and review the diff"
    assert not different and len(known) == len(found), "\n".join([*different[:10], f"{len(different)} rows; {advice}"])


def test_hashes_and_scores_are_those_of_the_first_boards():
    """Boards in the field answer with these hashes, and reports that were written down hold these scores."""
    first = update_headers.first_scores()
    assert len(first) == 123
    assert {key: update_headers.hash_and_scores(*key) for key in first} == first


def test_every_kernel_and_format_is_among_them():
    rows = update_headers.GOLDEN.read_text().splitlines()
    used = {name for row in rows for name in row.rpartition("; ")[2].split()}
    assert {kernel.name for kernel in CATALOGUE} <= used
    assert {row.split(" | ")[1].split()[0] for row in rows} == {fmt.label for fmt in WeightFormat}
    assert {row.split(" | ")[1].split()[3] for row in rows} == {"auto", *KINDS}
    assert any(" | refused: " in row for row in rows) and any(" does not fit: " in row for row in rows)


def test_ranges_of_random_nets_are_written_down():
    """So that no other processor's last digits get into a hash."""
    assert set(json.loads(update_headers.RANGES.read_text())) == set(update_headers.networks()) - set(
        update_headers.PRETRAINED
    )
