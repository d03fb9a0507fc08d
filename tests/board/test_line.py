"""The line of a simulated board: never idle, nothing lost, and inference timed as if there were none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import exported

from host.cli import main
from host.link import wire

Model = Callable[..., Path]
DIGITS = 500
TRIES = 10
RING_SPARE = 25
"""Of the receive ring, beside one whole IMAGE frame; RAM_RX_SPARE in ram_avr.h, and rounding."""
OTHERS = 220 + 8 * 10
"""RAM_OTHERS in ram_avr.h, for ten classes."""
STACK = 320
"""RAM_STACK in ram_avr.h."""


@pytest.fixture
def run(trained: Model, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`run(baud, *options)`: the document of one verification on the simulated Uno."""

    def verify(baud: int, *options: object) -> dict[str, Any]:
        target = tmp_path / "result.json"
        arguments = [trained("preconv-seed"), "--data", "usps", "--board", "uno", "--baud", baud, "--json", target]
        assert main(["verify", *map(str, arguments), *map(str, options)]) == 0
        return dict(json.loads(target.read_text()))

    return verify


def assert_clean(link: dict[str, Any]) -> None:
    assert (link["retries"], link["crc_errors"], link["overruns"], link["resets"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(("baud", "share"), [(115_200, 0.98), (250_000, 0.98), (500_000, 0.90)])
def test_the_line_is_never_idle_while_digits_are_classified(run: Any, baud: int, share: float) -> None:
    reached = 0.0
    # A host that gets no processor for long leaves the line idle, which is not the board's doing: the best of a few.
    for _ in range(TRIES):
        link = run(baud, "--kernel", "asm", "--limit", DIGITS)["link"]
        assert_clean(link)
        assert link["images_per_s"] <= 1.001 * link["line_limit_images_per_s"]
        reached = max(reached, link["images_per_s"] / link["line_limit_images_per_s"])
        if reached > share:
            break
    assert reached > share


@pytest.mark.parametrize("options", [("--kernel", "portable"), ("--format", "float32"), ("--format", "float16")])
@pytest.mark.parametrize("baud", [115_200, 1_000_000])
def test_however_long_an_inference_takes_the_ring_loses_nothing(run: Any, baud: int, options: tuple[str, str]) -> None:
    assert_clean(run(baud, *options, "--limit", 60)["link"])


def test_what_the_line_does_meanwhile_is_not_counted_as_inference(run: Any) -> None:
    quiet, busy = (run(baud, "--kernel", "asm", "--limit", 100)["cycles"] for baud in (115_200, 1_000_000))
    # About 75 interrupts fall into each inference at 1 Mbaud: 3,400 cycles.
    assert busy["mean"] == pytest.approx(quiet["mean"], abs=30)


@pytest.mark.parametrize("options", [("--kernel", "asm"), ("--kernel", "portable"), ("--format", "float32")])
def test_ram_is_what_the_sketch_shares_out(run: Any, trained: Model, options: tuple[str, str]) -> None:
    result = run(1_000_000, *options, "--limit", 100)
    memory = result["memory"]
    program = exported(trained("preconv-seed"), result["model"]["format"]).on_avr
    ring = len(wire.encode(wire.Frame(wire.MessageType.IMAGE, 1, b"\1" * program.image_bytes))) + RING_SPARE
    # What asm's arena is larger by counts among the others.
    assert memory["ram_static"] - program.image_bytes - ring - program.arena_bytes <= OTHERS + 64
    assert memory["ram_static"] <= 1250
    assert memory["stack_max"] <= STACK / 3
