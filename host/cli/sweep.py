"""`host train --sweep-cost`: nets from accurate to quick, each over several seeds, as one table."""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

from host import data
from host.cli.console import Console, percent, table
from host.compile.advice import check_fit
from host.compile.boards import Board
from host.compile.exports import export_for
from host.errors import FitError
from host.link.target import target_board
from host.nn.formats import WeightFormat
from host.quantise.calibrate import calibrate
from host.quantise.reference import infer
from host.report.compare import accuracy
from host.train import train_preset

BOARD = "uno"
_SEEDS = 3


@dataclass(frozen=True)
class Setting:
    """A row of the table; `cycles` is the wish given to training, None where the preset knows none."""

    preset: str
    hidden: int
    cycles: int | None = None


SETTINGS = (
    Setting("preconv", 40),
    Setting("preconv-cheap", 48, 4000),
    Setting("preconv-cheap", 40, 3500),
    Setting("preconv-cheap", 48, 3400),
    Setting("preconv-cheap", 36, 3150),
    Setting("preconv-cheap", 32, 2900),
    Setting("preconv-cheap", 36, 2700),
    Setting("preconv-cheap", 24, 2500),
    Setting("preconv-cheap", 24, 2100),
)


@dataclass(frozen=True)
class Outcome:
    """One net: int8 accuracies 0..1, predicted mean cycles and bytes of flash of the fastest program, seconds spent."""

    train: float
    test: float
    cycles: int
    dense_cycles: int
    flash: int
    kernel: str
    seconds: float


def run(console: Console, arguments: argparse.Namespace) -> int:
    """Train every setting with seeds `seed`, `seed` + 1, …; print the table."""
    dataset, target = data.load(arguments.data), target_board(BOARD)
    seeds = range(arguments.seed, arguments.seed + (arguments.seeds or _SEEDS))
    rows = [["preset", "hidden", "wish", "int8 train", "int8 test", "sd", "cycles", "dense", "flash", "kernel"]]
    records = []
    with console.progress("sweeping", "net") as update:
        for number, setting in enumerate(SETTINGS):
            outcomes = []
            for place, seed in enumerate(seeds):
                update(number * len(seeds) + place, len(SETTINGS) * len(seeds), f"{setting.preset} {setting.hidden}")
                outcomes.append(_measure(dataset, target, setting, seed, arguments.epochs))
            rows.append(_row(setting, outcomes))
            records.append(_record(setting, list(seeds), outcomes))
    foretold = f"predicted for {BOARD}, avr-gcc {target.chip.compiler}"
    console.say(f"{dataset.name}, seeds {seeds[0]}..{seeds[-1]}, {foretold}: whole pipeline, mean of an image")
    console.say(table(rows))
    console.document(
        {"schema": 1, "dataset": dataset.name, "board": BOARD, "compiler": target.chip.compiler, "settings": records}
    )
    return 0


def _measure(dataset: data.Dataset, target: Board, setting: Setting, seed: int, epochs: int | None) -> Outcome | None:
    """None where the net fits the board with no kernel."""
    start = time.monotonic()
    network = train_preset(
        dataset,
        setting.preset,
        seed=seed,
        hidden=setting.hidden,
        epochs=epochs,
        cycles=setting.cycles,
        validation_run=False,
    )
    network = calibrate(network, dataset.train)
    exported = export_for(network, WeightFormat.INT8, target, bits=6)
    try:
        budget = check_fit(network, exported, target)
    except FitError:
        return None
    known = next(known for known in network.calibrations if known.top == exported.graph.top)
    return Outcome(
        train=known.accuracy,
        test=accuracy(infer(exported.graph, dataset.test.images).classes, dataset.test.labels),
        cycles=budget.cycles,
        dense_cycles=sum(cycles for _, cycles in budget.parts[1:]),
        flash=budget.flash,
        kernel=exported.kernel,
        seconds=time.monotonic() - start,
    )


def _row(setting: Setting, outcomes: list[Outcome | None]) -> list[str]:
    fitting = [outcome for outcome in outcomes if outcome is not None]
    wish = "" if setting.cycles is None else f"{setting.cycles:,}"
    if len(fitting) < len(outcomes):
        return [setting.preset, str(setting.hidden), wish, "", "", "", "", "", "does not fit", ""]
    tests = [outcome.test for outcome in fitting]
    return [
        setting.preset,
        str(setting.hidden),
        wish,
        percent(statistics.mean(outcome.train for outcome in fitting)),
        percent(statistics.mean(tests)),
        f"{100 * statistics.stdev(tests):.2f}" if len(tests) > 1 else "",
        f"{statistics.mean(outcome.cycles for outcome in fitting):,.0f}",
        f"{statistics.mean(outcome.dense_cycles for outcome in fitting):,.0f}",
        f"{statistics.mean(outcome.flash for outcome in fitting):,.0f}",
        fitting[0].kernel,
    ]


def _record(setting: Setting, seeds: list[int], outcomes: list[Outcome | None]) -> dict[str, object]:
    return {
        "preset": setting.preset,
        "hidden": setting.hidden,
        "wish": setting.cycles,
        "nets": [
            {"seed": seed, **(vars(outcome) if outcome is not None else {"fits": False})}
            for seed, outcome in zip(seeds, outcomes, strict=True)
        ],
    }
