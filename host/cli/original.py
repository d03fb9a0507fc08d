"""How answers stand to those of a net's original, in words."""

from __future__ import annotations

from host.cli.console import Console
from host.report.original import CODES, AgainstOriginal


def say_original(console: Console, found: AgainstOriginal, who: str, count: int) -> None:
    """One line, and another for the first code that differs. `who` answered."""
    codes = f", all codes in {found.equal} answers" if found.compared == CODES else ""
    console.say(f"{who} = original: {found.classes_equal} classes{codes} of {count}")
    if (first := found.first) is not None:
        console.say(
            f"first that differs from the original: input {first.index}, class {first.klass}: "
            f"found {first.found}, need {first.original}"
        )
