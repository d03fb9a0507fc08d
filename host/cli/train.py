"""`host train`: data set and preset in, model file out."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from host import data
from host.cli.console import Console, percent
from host.cli.sweep import run as run_sweep
from host.deploy import model as model_file
from host.deploy.calibrate import calibrate
from host.errors import InputError
from host.train import fit
from host.train.network import Network
from host.train.presets import PRESETS


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    if arguments.list:
        for preset in PRESETS.values():
            console.say(f"{preset.name:14} {preset.summary}\n{'':14} {preset.figure}")
        return 0
    if arguments.sweep_cost:
        return run_sweep(console, arguments)
    if arguments.output is None:
        raise InputError("train: no output file; add -o MODEL.h5")
    output = Path(arguments.output)
    if not output.parent.is_dir():
        raise InputError(f"{output}: the folder {output.parent} does not exist; make it first")
    dataset = data.load(arguments.data)
    start = time.monotonic()
    network = train_with_progress(console, dataset, arguments, output if arguments.checkpoint else None)
    seconds = time.monotonic() - start
    model_file.save(network, output)
    _report(console, network, output, seconds)
    return 0


def train_with_progress(
    console: Console, dataset: data.Dataset, arguments: argparse.Namespace, checkpoint: Path | None = None
) -> Network:
    """Train as `arguments` say, with a bar; on Ctrl-C save the best so far to `checkpoint`, if given."""

    def save(network: Network) -> None:
        if checkpoint is not None:
            model_file.save(calibrate(network, dataset.train), checkpoint)
            console.say(f"saved the best network so far to {checkpoint}")

    with console.progress("training", "step") as update:

        def show(progress: fit.Progress) -> None:
            note = f"{progress.stage} loss {progress.loss:.4f} accuracy {percent(progress.accuracy)}"
            update(progress.step, progress.total, note)

        network = fit.train(
            dataset,
            arguments.preset,
            seed=arguments.seed,
            hidden=arguments.hidden,
            epochs=arguments.epochs,
            reg=arguments.reg,
            cycles=arguments.cycles,
            rehearse=not arguments.no_rehearsal,
            progress=show,
            checkpoint=save,
        )
    return calibrate(network, dataset.train)


def _report(console: Console, network: Network, output: Path, seconds: float) -> None:
    source = network.provenance
    sizes = [network.layers[0].weights.shape[1], *(len(layer.bias) for layer in network.layers)]
    console.say(f"{source.preset} {'-'.join(map(str, sizes))} on {source.dataset}, seed {source.seed}: {seconds:.1f} s")
    for name in ("train", "validation", "test"):
        if name in source.metrics:
            console.say(f"  {name:10} {percent(source.metrics[name])}")
    console.say(f"model {model_file.content_hash(network)[:16]} saved to {output}")
    console.document(
        {
            "schema": 1,
            "preset": source.preset,
            "dataset": source.dataset,
            "seed": source.seed,
            "engine": source.engine,
            "seconds": round(seconds, 3),
            "hash": model_file.content_hash(network),
            "accuracy": dict(source.metrics),
            "history": {name: list(values) for name, values in source.history.items()},
        }
    )
