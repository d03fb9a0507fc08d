"""The documents name files, and what is in them, that exist; the recipes keep to as few files as they promise."""

import re

import pytest

from host.nn.formats import WeightFormat

ROOMS = ("host", "firmware", "templates", "tests", "tools", "docs")
PLACE = re.compile(rf"`((?:{'|'.join(ROOMS)})/[\w./-]+)`((?:,? `_?\w+`)*)")
PLACEHOLDER = "NAME"


def documents(repository):
    return [repository / "README.md", *sorted((repository / "docs").glob("*.md"))]


def named_places(text):
    """(path, symbols behind it) of each file or room that a text names."""
    for place, symbols in PLACE.findall(text):
        if PLACEHOLDER not in place:
            yield place, re.findall(r"`(\w+)`", symbols)


def missing(repository, text):
    """Places that are not there, and symbols of Python files that those do not hold."""
    found = []
    for place, symbols in named_places(text):
        path = repository / place
        if not path.exists():
            found.append(place)
        elif path.is_file():
            held = path.read_text(encoding="utf-8")
            found += [f"{place}: {symbol}" for symbol in symbols if not re.search(rf"\b{symbol}\b", held)]
    return found


def test_what_the_documents_name_exists(repository):
    found = {path.name: missing(repository, path.read_text(encoding="utf-8")) for path in documents(repository)}
    assert {name: places for name, places in found.items() if places} == {}


def test_a_planted_error_is_found(repository):
    text = "see `host/nn/no_such.py` and `host/quantise/lower.py` `lower`, `no_such_function`"
    assert missing(repository, text) == ["host/nn/no_such.py", "host/quantise/lower.py: no_such_function"]


def test_links_between_documents_lead_somewhere(repository):
    for path in documents(repository):
        for target in re.findall(r"\]\(([\w./-]+\.md)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize(
    ("recipe", "limit"), [("adding-a-layer.md", 9), ("adding-a-board.md", 5), ("adding-a-weight-format.md", 5)]
)
def test_a_recipe_touches_no_more_files_than_it_may(repository, recipe, limit):
    text = (repository / "docs" / recipe).read_text(encoding="utf-8").split("\n## Tested by")[0]
    first = text.split("\n## A layer with an op of its own")[0]
    rows = re.findall(r"^\| (\d+) \| `", first, flags=re.MULTILINE)
    assert rows == [str(number) for number in range(1, len(rows) + 1)]
    assert 1 < len(rows) <= limit


def test_the_protocol_lists_every_format(repository):
    row = next(
        line for line in (repository / "docs/protocol.md").read_text().splitlines() if line.startswith("| format")
    )
    for fmt in WeightFormat:
        assert f"{fmt.value} {fmt.label}" in row
