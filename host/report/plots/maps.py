"""What each stage makes of one digit; and digits beside what the front end makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from host.data import Split
from host.errors import InputError
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.quantise.ops import Preconv
from host.quantise.reference import activations
from host.report.plots.canvas import FAINT, INK, SECOND, NothingToShow, bare, new_figure
from host.report.plots.measured import model_name
from host.report.plots.mosaic import columns_for, mosaic
from host.report.plots.steps import Step, deployed, steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIGITS = 40
"""How many digits stand side by side, in five rows of eight."""
_FEW = 6
"""So many panels stand three in a row, more four."""


def maps_figure(network: Network, fmt: WeightFormat, data: str, split: Split, digit: int) -> Figure:
    """A panel for each step on the way of image `digit` of `split`. Raise InputError where there is no such image."""
    if not 0 <= digit < len(split.labels):
        raise InputError(f"maps: --digit: found {digit}, need 0..{len(split.labels) - 1} for {data}; choose another")
    shown = steps(network, fmt, split.images[digit])
    answer = int(np.argmax(shown[-1].values))
    label = int(split.labels[digit])
    across = 3 if len(shown) <= _FEW else 4
    rows = -(-len(shown) // across)
    figure = new_figure(
        3.1 * across,
        2.8 * rows + 0.5,
        f"{model_name(network)}, {fmt.label}",
        f"{data}, digit {digit}: true class {network.labels[label]}, answered {network.labels[answer]}",
    )
    places = figure.subplots(rows, across, squeeze=False).reshape(-1)
    for axes, step in zip(places, shown, strict=False):
        if step is shown[-1]:
            _scores(axes, step, network.labels, label)
        else:
            _step(axes, step)
    for axes in places[len(shown) :]:
        axes.set_visible(False)
    return figure


def _step(axes: Axes, step: Step) -> None:
    if step.values.ndim == 1:
        axes.bar(range(len(step.values)), step.values, color=INK, width=0.9)
        axes.set_title(f"{step.name}\n{len(step.values)} activations")
        axes.set_xlabel("unit")
        return
    count, height, width = step.values.shape
    axes.imshow(mosaic(step.values, columns_for(count)), cmap="Greys" if count == 1 else "viridis")
    size = f"{height}×{width}"
    axes.set_title(f"{step.name}\n{size if count == 1 else f'{count} maps of {size}'}")
    bare(axes)


def _scores(axes: Axes, step: Step, labels: tuple[str, ...], label: int) -> None:
    answer = int(np.argmax(step.values))
    colours = [
        INK if place == answer == label else SECOND if place == answer else FAINT for place in range(len(labels))
    ]
    axes.bar(range(len(labels)), step.values, color=colours, width=0.8)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_xticks(range(len(labels)), labels, fontsize=8 if len(labels) <= 16 else 5)
    axes.set_title("scores\nlargest: the answer")
    axes.set_xlabel("class")


def preconv_figure(network: Network, fmt: WeightFormat, data: str, split: Split) -> Figure:
    """The first digits of `split` and what the front end makes of them. Raise NothingToShow for a net without one."""
    graph = deployed(network, fmt)
    front_end = None if graph is None else graph.ops[0]
    if not isinstance(front_end, Preconv):
        raise NothingToShow("preconv: found a net without the fixed front end, need one; choose another picture")
    images = split.images[:DIGITS]
    _, height, width = front_end.output_shape
    features = activations(front_end, images[:, None])[:, 0]
    test = network.provenance.metrics.get("test")
    accuracy = f", float32 test accuracy {100 * test:.2f} %" if test is not None else ""
    figure = new_figure(
        10.0, 4.2, f"{model_name(network)}, front end of {fmt.label}", f"{data}, first {len(images)} digits{accuracy}"
    )
    left, right = figure.subplots(1, 2)
    _grid(left, images, f"originals, {2 * height}×{2 * width}, 0..255", 255)
    _grid(right, features, f"behind the front end, {height}×{width}, 0..{front_end.top}", front_end.top)
    return figure


def _grid(axes: Axes, images: NDArray[Any], title: str, top: int) -> None:
    axes.imshow(mosaic(images, 8), cmap="Greys", vmin=0, vmax=top)
    axes.set_title(title)
    bare(axes)
