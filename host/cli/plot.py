"""`host plot`: pictures of a model, and of what it or a board answered."""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

from host import data
from host.api.samples import load_split
from host.atomic import write_bytes
from host.cli import plot_options
from host.cli.console import Console
from host.cli.plot_options import ALL, OF_MODEL, OF_REPORT
from host.errors import InputError, near
from host.modelfile import file as model_file
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.report.compare import confusion
from host.report.plots import canvas
from host.report.plots.canvas import Draw
from host.report.plots.classes import confusion_figure, recall_figure
from host.report.plots.history import loss_figure
from host.report.plots.kernels import kernels_figure
from host.report.plots.maps import maps_figure, preconv_figure
from host.report.plots.measured import Measured, from_report, model_name
from host.report.plots.steps import predicted

REPORT_SUFFIX = ".json"
DEFAULT_FORMAT = "int8"
DEFAULT_SPLIT = "test"


def run(arguments: argparse.Namespace) -> int:
    console = Console()
    source = Path(arguments.model)
    is_report = source.suffix.lower() == REPORT_SUFFIX
    what = _checked(arguments.what, OF_REPORT if is_report else OF_MODEL)
    plot_options.check(arguments, what, is_report)
    target = _target(arguments.output, source, what)
    canvas.need_matplotlib()
    drawings = _of_report(source) if is_report else _of_model(arguments, source)
    if what != ALL:
        write_bytes(target, canvas.rendered(drawings[what], target.suffix))
        console.say(f"wrote {target}")
        return 0
    _write_all(console, drawings, target)
    return 0


def _checked(what: str, known: tuple[str, ...]) -> str:
    if what in (*known, ALL):
        return what
    if what in OF_MODEL:
        raise InputError(f"plot: {what}: found a report, need a model for this picture; give MODEL.h5")
    hint = near(what, (*known, ALL))
    raise InputError(f"plot: picture: found '{what}'{hint}, need one of {', '.join((*known, ALL))}; choose one")


def _target(output: str | None, source: Path, what: str) -> Path:
    """Where the file (for `all` the folder) goes; raise InputError, before any work, where it cannot."""
    if output is not None:
        target = Path(output)
    else:
        target = Path(f"{source.stem}-plots" if what == ALL else f"{source.stem}-{what}.png")
    if what != ALL:
        canvas.check_suffix(target)
    elif target.exists() and not target.is_dir():
        raise InputError(f"{target}: found a file, need a folder for all pictures; choose another place")
    elif target.suffix.lower() in canvas.SUFFIXES and not target.is_dir():
        raise InputError(f"{target}: found the name of one picture, need a folder's for all; leave {target.suffix} out")
    if not target.parent.is_dir():
        raise InputError(f"{target}: the folder {target.parent} does not exist; make it first")
    return target


def _write_all(console: Console, drawings: dict[str, Draw], folder: Path) -> None:
    """Draw everything first: what fails leaves nothing behind. A picture that the model has nothing for is left out."""
    pictures: dict[str, bytes] = {}
    reasons = []
    for name, draw in drawings.items():
        try:
            pictures[name] = canvas.rendered(draw, ".png")
        except canvas.NothingToShow as error:
            reasons.append(f"left out {name}: {error}")
    folder.mkdir(exist_ok=True)
    for name, content in pictures.items():
        write_bytes(folder / f"{name}.png", content)
        console.say(f"wrote {folder / f'{name}.png'}")
    for reason in reasons:
        console.say(reason)


def _of_report(source: Path) -> dict[str, Draw]:
    measured = from_report(source)
    return {"recall": lambda: recall_figure(measured), "confusion": lambda: confusion_figure(measured)}


def _of_model(arguments: argparse.Namespace, source: Path) -> dict[str, Draw]:
    network = model_file.load(source)
    fmt = WeightFormat[(arguments.format or DEFAULT_FORMAT).upper()]

    @cache
    def images() -> tuple[str, data.Split]:
        part = arguments.split or DEFAULT_SPLIT
        dataset, split = load_split(_data_name(arguments.data, network), part, network, arguments.limit)
        return f"{dataset.name} {part}", split

    @cache
    def measured() -> Measured:
        name, split = images()
        matrix = confusion(predicted(network, fmt, split.images), split.labels, len(network.labels))
        return Measured(model_name(network), f"{fmt.label} on the PC", name, network.labels, matrix)

    return {
        "loss": lambda: loss_figure(network),
        "kernels": lambda: kernels_figure(network, fmt),
        "maps": lambda: maps_figure(network, fmt, *images(), arguments.digit or 0),
        "recall": lambda: recall_figure(measured()),
        "confusion": lambda: confusion_figure(measured()),
        "preconv": lambda: preconv_figure(network, fmt, *images()),
    }


def _data_name(given: str | None, network: Network) -> str:
    """The data set to take images from: the one that the model was trained on, where that has a name."""
    if given is not None:
        return given
    known = network.provenance.dataset
    if known not in data.NAMES:
        raise InputError(f"plot: --data: found a model trained on '{known}', need to know where its images are; add it")
    return known
