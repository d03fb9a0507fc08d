"""`host train`: data set and preset in, model file out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from host import data
from host.atomic import check_writable
from host.cli import train_options
from host.cli.console import Console, Update, percent
from host.cli.parser import DEFAULT_PRESET
from host.cli.sweep import run as run_sweep
from host.compile.exports import lowered
from host.compile.program import title
from host.errors import InputError
from host.modelfile import file as model_file
from host.nn.formats import ACTIVATION_TOPS, WeightFormat
from host.nn.network import Network
from host.quantise.calibrate import calibrate
from host.quantise.lower import lower
from host.quantise.reference import infer
from host.report.compare import accuracy
from host.train import checkpoint, presets, train
from host.train.optimisers import LbfgsB
from host.train.overrides import customised
from host.train.phases import checkpoint_files
from host.train.progress import Progress
from host.train.recipe import Recipe


def run(arguments: argparse.Namespace) -> int:
    console = Console(arguments.json)
    if arguments.list:
        train_options.check_list(arguments)
        return _list(console)
    preset = presets.find(arguments.preset or DEFAULT_PRESET)
    train_options.check(arguments)
    if arguments.sweep_cost:
        return run_sweep(console, arguments)
    if arguments.output is None:
        raise InputError("train: no output file; add -o MODEL.h5")
    output = Path(arguments.output)
    if output.suffix.lower() == ".json":
        raise InputError(
            f"{output}: found a .json, which `host plot` takes for a report, need a model's name; give .h5"
        )
    check_writable(output)
    dataset = data.load(arguments.data)
    recipe = preset.recipe_for(dataset.image_shape, len(dataset.train.labels))
    recipe = customised(recipe, train_options.wishes(arguments), preset.name)
    train_options.check_amounts(arguments, recipe, dataset.train.labels)
    start = time.monotonic()
    network = _train(console, dataset, arguments, preset.name, recipe, output)
    _report(console, network, dataset, output, time.monotonic() - start)
    return 0


def _list(console: Console) -> int:
    width = max(map(len, presets.PRESETS))
    for preset in presets.PRESETS.values():
        console.say(f"{preset.name:{width}} {preset.summary}\n{'':{width}} {preset.figure}")
    console.document(
        {
            "schema": 1,
            "presets": [
                {
                    "name": preset.name,
                    "family": "preconv" if preset.has_front_end else "learned",
                    "summary": preset.summary,
                    "figure": preset.figure,
                }
                for preset in presets.PRESETS.values()
            ],
        }
    )
    return 0


def _train(
    console: Console, dataset: data.Dataset, arguments: argparse.Namespace, name: str, recipe: Recipe, output: Path
) -> Network:
    """Train and save as `arguments` say, with a bar; on Ctrl-C save the best so far, where asked for. Then the state
    after each epoch lies beside the model until that is saved, but for l-bfgs-b, whose state cannot be kept."""
    _say_patience(console, arguments, recipe)
    keeps = arguments.checkpoint or arguments.resume
    has_state = keeps and not isinstance(recipe.optimiser, LbfgsB)
    path = output.with_name(f"{output.name}.checkpoint")
    files = checkpoint_files(path, recipe)
    if keeps:
        _check_checkpoint(console, path, files, arguments.resume)
    try:
        with console.progress("training", "step") as update:
            network = train(
                dataset,
                recipe,
                preset=name,
                seed=arguments.seed,
                engine=arguments.engine or "numpy",
                device=arguments.device or "cpu",
                progress=_shown_by(update),
                checkpoint_path=path if has_state else None,
                interrupted=_saver(console, dataset, output) if keeps else None,
            )
    except KeyboardInterrupt:
        if has_state and any(file.exists() for file in files):
            console.say(f"kept {path}; --resume instead of --checkpoint goes on from there")
        raise
    saved = _saved(network, dataset, output)
    if keeps:
        checkpoint.remove(files)
    return saved


def _say_patience(console: Console, arguments: argparse.Namespace, recipe: Recipe) -> None:
    if arguments.patience is not None and arguments.patience >= recipe.epochs and recipe.holdout:
        console.say(
            f"--patience {arguments.patience}: not below the {recipe.epochs} of --epochs, stops nothing sooner; "
            "the net of the lowest validation loss is kept"
        )


def _check_checkpoint(console: Console, path: Path, files: list[Path], resume: bool) -> None:
    """Raise InputError where there is nothing to go on from, or something that would be lost."""
    there = [file for file in files if file.exists()]
    if resume and not there:
        raise InputError(f"{path}: checkpoint: found none, need one of an interrupted training; leave --resume out")
    if there and not resume:
        advice = "--resume to go on with it; add that or delete the file"
        raise InputError(f"{there[0]}: checkpoint: found one of an interrupted training, need {advice}")
    if resume:
        console.say(f"going on from {path}")


def _shown_by(update: Update) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        note = f"{progress.stage} loss {progress.loss:.4f} accuracy {percent(progress.accuracy)}"
        update(progress.step, progress.total, note, progress.seconds_left)

    return show


def _saver(console: Console, dataset: data.Dataset, output: Path) -> Callable[[Network], None]:
    def save(network: Network) -> None:
        _saved(network, dataset, output)
        console.say(f"saved the best network so far to {output}")

    return save


def _saved(network: Network, dataset: data.Dataset, output: Path) -> Network:
    finished = calibrate(network, dataset.train)
    model_file.save(finished, output)
    return finished


def _report(console: Console, network: Network, dataset: data.Dataset, output: Path, seconds: float) -> None:
    source = network.provenance
    console.say(f"{source.preset} {_layers(network)} on {source.dataset}, seed {source.seed}: {seconds:.1f} s")
    for name in ("train", "validation", "test"):
        if name in source.metrics:
            console.say(f"  {name:10} {percent(source.metrics[name])}")
    rounded = _rounded_accuracy(network, dataset)
    for name, share in rounded.items():
        console.say(f"  {name:10} {percent(share)}")
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
            "rounded_accuracy": rounded,
            "history": {name: list(values) for name, values in source.history.items()},
        }
    )


def _rounded_accuracy(network: Network, dataset: data.Dataset) -> dict[str, float]:
    """On the test images, of each format, and bits of activations, that the net was trained for."""
    test, found = dataset.test, {}
    for result in network.qat if len(test.labels) else ():
        bits = next(bits for bits, top in ACTIVATION_TOPS.items() if top == result.top)
        name = result.format if result.top == network.top else f"{result.format}-{bits}"
        graph = lowered(network, WeightFormat[result.format.upper()], bits)
        found[name] = accuracy(infer(graph, test.images).classes, test.labels)
    return found


def _layers(network: Network) -> str:
    return title(lower(network, WeightFormat.INT8, prune=False))
