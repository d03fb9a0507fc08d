"""What every preset with convolutions costs on every board: flash, RAM, cycles, all measured, or why it does not fit.

    tools/bench_presets.py [--data mnist] [--limit N] [--models DIR] [--presets A,B] [--formats int8,int4] [--full]

Each row is a `host verify` run that must pass. Nets are taken from DIR/PRESET.h5 and trained with one epoch where there
is none: what a net costs hardly depends on how well it has learned. `--full` streams all test digits to the native
build and 1,000 to each simulated board; without it both take `--limit` digits (default 10).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from host import data
from host.cli import main as host
from host.compile.advice import check_fit
from host.compile.boards import BOARDS
from host.compile.exports import export_for
from host.errors import FitError
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.quantise.calibrate import calibrate
from host.train import presets, train

PRESETS = ("uno-cnn", "simple-cnn", "scratch-cnn", "sequential-cnn", "mega-cnn", "preconv-cnn", "tiny")
PLACES = ("native", "uno", "mega")
BOARD_DIGITS = 1000
HEAD = (
    "preset",
    "format",
    "board",
    "kernel",
    "digits",
    "equal",
    "flash",
    "RAM",
    "stack",
    "cycles",
    "ms",
    "simulated/s",
)


def trained(preset: str, dataset: data.Dataset) -> Network:
    """One epoch, without copies and teacher."""
    recipe = presets.find(preset).recipe_for(dataset.train.images.shape[1:])
    quick = replace(recipe, epochs=1, copies=(), teacher=None, patience=None)
    return calibrate(train(dataset, quick, preset=preset), dataset.train)


def measure(path: Path, name: str, fmt: WeightFormat, place: str, limit: int | None) -> list[str]:
    """One row."""
    network = model_file.load(path)
    start = [path.stem, fmt.label, place]
    export = export_for(network, fmt, BOARDS[place])
    try:
        check_fit(network, export, BOARDS[place])
    except FitError as error:
        return [*start, str(error).split(": ", 2)[2]]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "result.json"
        few = [] if limit is None else ["--limit", str(limit)]
        wanted = ["--data", name, "--board", place, "--format", fmt.label, *few, "--json", str(target)]
        began = time.monotonic()
        if host(["verify", str(path), *wanted]):
            sys.exit(f"{path.stem}, {fmt.label}, {place}: not equal")
        result: dict[str, Any] = json.loads(target.read_text())
    seconds = result["seconds"]["wall"] if "seconds" in result else time.monotonic() - began
    row = [*start, export.kernel, f"{result['n']:,}", f"{result['agreement']['scores_equal']:,}"]
    if not BOARDS[place].counts_memory:
        return [*row, "", "", "", "", "", f"{result['n'] / seconds:.1f}"]
    memory, cycles = result["memory"], result["cycles"]["mean"]
    sizes = [f"{memory[key]:,}" for key in ("flash", "ram_static", "stack_max")]
    return [*row, *sizes, f"{cycles:,.0f}", f"{cycles / 16_000:.1f}", f"{result['n'] / seconds:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--presets", default=",".join(PRESETS))
    parser.add_argument("--formats", default="int8")
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    dataset, rows = data.load(arguments.data), []
    with tempfile.TemporaryDirectory() as folder:
        for preset in arguments.presets.split(","):
            path = (arguments.models or Path(folder)) / f"{preset}.h5"
            if not path.is_file():
                path = Path(folder) / path.name
                model_file.save(trained(preset, dataset), path)
            for fmt in arguments.formats.split(","):
                for place in PLACES:
                    limit = (None if place == "native" else BOARD_DIGITS) if arguments.full else arguments.limit
                    rows.append(measure(path, arguments.data, WeightFormat[fmt.upper()], place, limit))
    for row in (HEAD, ["---"] * len(HEAD), *rows):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
