"""What a machine lacks is skipped with the reason, but fails where CI is set."""

import pytest
from needed import lacking


@pytest.mark.parametrize("word", ["true", "1", "woodpecker"])
def test_in_ci_nothing_is_skipped(monkeypatch, word):
    monkeypatch.setenv("CI", word)
    with pytest.raises(pytest.fail.Exception, match="a spoon: not found"):
        lacking("a spoon: not found")


@pytest.mark.parametrize("word", [None, ""])
def test_elsewhere_it_is_with_the_reason(monkeypatch, word):
    monkeypatch.delenv("CI", raising=False)
    if word is not None:
        monkeypatch.setenv("CI", word)
    with pytest.raises(pytest.skip.Exception, match="a spoon: not found"):
        lacking("a spoon: not found")
