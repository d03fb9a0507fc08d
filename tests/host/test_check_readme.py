"""What tools/check_readme.py lets pass, and what not."""

from __future__ import annotations

import pytest

from tools.check_readme import Step, agree, steps, wrong_steps

TRAINED = "preconv on usps: 15.0 s\n  test  96.11 %\nmodel 31ec41b7cf214bed saved to usps.h5\n"
ELSEWHERE = "preconv on usps: 99.9 s\n  test  95.02 %\nmodel 0123456789abcdef saved to usps.h5\n"
EXPORTED = "int8, 6-bit activations, model 04ba5d226da6deae\n  flash  29,104 of 32,256 bytes\n"


@pytest.mark.parametrize(
    "printed",
    [
        TRAINED.replace("15.0 s", "3.2 s"),
        TRAINED.replace("96.11", "96.16"),
        TRAINED.replace("  test  ", "test "),
    ],
)
def test_what_changes_from_run_to_run_passes(printed: str) -> None:
    assert agree(TRAINED, printed)


def test_another_compiler_passes_and_another_size_does_not() -> None:
    assert agree(EXPORTED, EXPORTED.replace("29,104", "29,350"))
    assert not agree(EXPORTED, EXPORTED.replace("29,104", "24,104"))


@pytest.mark.parametrize(
    ("old", "new"), [("96.11", "96.31"), ("31ec41b7cf214bed", "0123456789abcdef"), ("saved", "written"), ("on", "on 2")]
)
@pytest.mark.parametrize("command", ["host evaluate usps.h5", "host train -o usps.h5"])
def test_a_planted_difference_is_found(command: str, old: str, new: str) -> None:
    printed = TRAINED.replace(old, new, 1)
    assert not agree(TRAINED, printed)
    found = wrong_steps([(Step(command, TRAINED), printed)])
    is_other_net = command.startswith("host train") and new == "0123456789abcdef"
    assert len(found) == (0 if is_other_net else 1)


def test_another_net_is_compared_by_form() -> None:
    train = (Step("host train -o usps.h5", TRAINED), ELSEWHERE)
    shorter = EXPORTED.replace("29,104", "24,104").replace("04ba5d226da6deae", "fedcba9876543210")
    export = Step("host export usps.h5", EXPORTED)
    assert wrong_steps([train, (export, shorter)]) == []
    assert len(wrong_steps([(export, shorter), train])) == 1
    assert len(wrong_steps([train, (export, shorter.replace("flash", "flesh"))])) == 1
    assert len(wrong_steps([(train[0], ELSEWHERE.replace("95.02", "90.02"))])) == 1


def test_the_demo_prints_commands_of_its_own() -> None:
    found = steps("$ host demo\n$ host train\nx\n")
    assert found == [Step("host demo", "$ host train\nx\n")]
    assert steps("$ host a\nx\n$ host b\n") == [Step("host a", "x\n"), Step("host b", "")]
