"""Counts the cycles of one trained network on an Uno's chip, in our kernels and in others, side by side.

Same compiler and flags, same simulator, same weights, same test digits; every contender's classes must be those of its
host reference. Fails where they are not, or where our assembly takes more than 1/50 of the naive float pipeline's
cycles, or its dense layers more than 1/30 of emlearn's (which this Python must have installed for that).

    python tools/bench_kernels.py [--data usps] [--digits 100] [--json FILE] [--markdown]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from host.cli.console import Console  # noqa: E402  (the repository need not be installed)
from host.data import Dataset, load  # noqa: E402
from host.errors import DigitduinoError, InputError  # noqa: E402
from host.modelfile import file as model_file  # noqa: E402
from host.nn.dense_chain import split  # noqa: E402
from host.nn.network import Network  # noqa: E402
from host.quantise.calibrate import calibrate  # noqa: E402
from host.train import train_preset  # noqa: E402
from tools.bench.contenders import prepare  # noqa: E402
from tools.bench.measure import Row, measure, verdicts  # noqa: E402
from tools.bench.rig import FLAGS, Rig  # noqa: E402
from tools.bench.show import markdown_table, row_document, text_table  # noqa: E402

PRESET = "preconv-seed"


def main(arguments: list[str] | None = None) -> int:
    chosen = _parse(arguments)
    try:
        return _bench(chosen, Console(chosen.json))
    except DigitduinoError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}; choose another place", file=sys.stderr)
        return 2


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="data set with 16x16 images (default usps, or digits where that is missing)")
    parser.add_argument("--model", type=Path, help="a two-layer model file instead of training the seed's net")
    parser.add_argument("--digits", type=int, default=100, help="test digits to count over (default 100)")
    parser.add_argument("--json", metavar="FILE", help="write the figures; - for standard output")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench", help="where programs are built")
    return parser.parse_args(arguments)


def _bench(chosen: argparse.Namespace, console: Console) -> int:
    if chosen.digits < 1:
        raise InputError(f"--digits: found {chosen.digits}, need 1 or more; leave it out for 100")
    work = chosen.work.resolve()
    rig = Rig(work)
    dataset = _dataset(chosen.data)
    network = _network(chosen.model, dataset)
    taking_part = prepare(network, dataset.test.images, work)
    with console.progress("counting", "contender") as update:
        rows = measure(rig, taking_part, dataset.test.labels, chosen.digits, update)
    digits = max(row.digits for row in rows)
    console.say(f"{network.provenance.preset} on {dataset.name}, {digits} of {len(dataset.test)} test digits")
    console.say(f"{rig.compiler}: {' '.join(FLAGS)} -lm; cycles in simavr\n")
    console.say(markdown_table(rows) if chosen.markdown else text_table(rows))
    judged = verdicts(rows)
    console.say()
    for met, sentence in judged:
        console.say(f"{'not shown' if met is None else 'met' if met else 'FAILED'}: {sentence}")
    console.document(_document(rows, judged, dataset, rig))
    in_ci = bool(os.environ.get("CI"))  # where nothing may be skipped in silence
    return 1 if any(met is False or (met is None and in_ci) for met, _ in judged) else 0


def _dataset(name: str | None) -> Dataset:
    if name is not None:
        return load(name)
    try:
        return load("usps")
    except InputError as error:
        print(f"{error}; taking the digits that come with scikit-learn", file=sys.stderr)
        return load("digits")


def _network(model: Path | None, dataset: Dataset) -> Network:
    """Raises InputError for a model that the contenders written by hand cannot compute."""
    if model is None:
        return calibrate(train_preset(dataset, PRESET, seed=0, validation_run=False), dataset.train)
    network = model_file.load(model)
    layers = split(network) or ()
    if len(layers) != 2 or network.top != 255 or network.image_shape != dataset.test.images.shape[1:]:
        found = f"{len(layers)} dense layers, activations to {network.top}, images {network.image_shape}"
        raise InputError(f"{model}: found {found}, need 2, 255 and those of the data; train with --preset {PRESET}")
    return network


def _document(rows: list[Row], judged: list[tuple[bool | None, str]], dataset: Dataset, rig: Rig) -> dict[str, object]:
    return {
        "schema": 1,
        "dataset": dataset.name,
        "compiler": rig.compiler,
        "flags": [*FLAGS, "-lm"],
        "rows": [row_document(rows, row) for row in rows],
        "goals": [{"met": met, "goal": sentence} for met, sentence in judged],
    }


if __name__ == "__main__":
    sys.exit(main())
