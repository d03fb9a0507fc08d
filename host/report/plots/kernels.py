"""The weights as images: kernels of every convolution, or what each hidden unit looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from host.nn.formats import WeightFormat
from host.nn.layers import PRECONV_KERNEL, Conv2d
from host.nn.network import Network
from host.quantise.ops import Conv, Dense, Op, Preconv
from host.report.plots.canvas import NothingToShow, new_figure
from host.report.plots.measured import model_name
from host.report.plots.mosaic import columns_for, mosaic, ticks
from host.report.plots.steps import deployed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of the images: large enough that a weight is a square of a few pixels, within what a screen shows.
_INCHES_A_WEIGHT = 0.05
_LOWEST, _HIGHEST = 4.4, 10.0
_NARROWEST, _WIDEST, _WIDEST_GRID = 1.9, 8.0, 5.6


@dataclass(frozen=True, eq=False)
class Kernels:
    """`weights` (outputs, inputs, h, w) of one layer."""

    name: str
    weights: NDArray[Any]


def kernels(network: Network, fmt: WeightFormat) -> list[Kernels]:
    """What is shown of `network`, in numbers of that format. Raise NothingToShow for a net without convolution."""
    graph = deployed(network, fmt)
    if graph is None:
        specs = enumerate(network.architecture.layers)
        found = [network.parameters.of(index)["weights"] for index, layer in specs if isinstance(layer, Conv2d)]
    else:
        found = [op.rows.weights for op in graph.ops if isinstance(op, Conv)]
    shown = [Kernels(_name(number, weights), weights) for number, weights in enumerate(found, 1)]
    if graph is not None and isinstance(graph.ops[0], Preconv):
        shown = [Kernels("Gaussian, sixteenths", np.array([[PRECONV_KERNEL]])), *_units(graph.ops[1]), *shown]
    if not shown:
        raise NothingToShow("kernels: found no convolution in the model, need one; choose another picture")
    return shown


def _units(op: Op) -> list[Kernels]:
    """What each unit of a dense op over one map looks at."""
    if not isinstance(op, Dense) or len(op.input_shape) != 3 or op.input_shape[0] != 1:
        return []
    _, height, width = op.input_shape
    units = op.rows.weights.reshape(-1, 1, height, width)
    return [Kernels(f"first layer: {len(units)} hidden units, {height}×{width} each", units)]


def kernels_figure(network: Network, fmt: WeightFormat) -> Figure:
    """An image for each layer: kernels in a grid, or a row for each output and a column for each input."""
    shown = kernels(network, fmt)
    images = [_layout(layer) for layer in shown]
    height = min(max(_LOWEST, *(_INCHES_A_WEIGHT * len(image) for image in images)), _HIGHEST)
    widths = [_width(layer, image, height) for layer, image in zip(shown, images, strict=True)]
    test = network.provenance.metrics.get("test")
    accuracy = f", float32 test accuracy {100 * test:.2f} %" if test is not None else ""
    about = f"trained on {network.provenance.dataset}{accuracy}"
    figure = new_figure(sum(widths) + 1.1 * len(widths), height + 1.1, f"{model_name(network)}, {fmt.label}", about)
    places = figure.subplots(1, len(shown), squeeze=False, gridspec_kw={"width_ratios": widths})[0]
    for axes, layer, image in zip(places, shown, images, strict=True):
        _show(axes, layer, image)
    return figure


def _width(layer: Kernels, image: NDArray[np.float64], height: float) -> float:
    outputs, inputs = layer.weights.shape[:2]
    widest = _WIDEST if inputs > 1 else _WIDEST_GRID if outputs > 1 else _NARROWEST
    wished: float = height * image.shape[1] / image.shape[0]
    return min(max(wished, _NARROWEST), widest)


def _layout(layer: Kernels) -> NDArray[np.float64]:
    outputs, inputs, height, width = layer.weights.shape
    columns = columns_for(outputs) if inputs == 1 else inputs
    return mosaic(layer.weights.reshape(-1, height, width), columns, _gap(layer))


def _gap(layer: Kernels) -> int:
    return 0 if layer.weights.shape[-1] == 1 else 1


def _show(axes: Axes, layer: Kernels, image: NDArray[np.float64]) -> None:
    top = float(np.abs(layer.weights.astype(np.float64)).max(initial=0.0)) or 1.0
    shown = axes.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top)
    axes.set_title(layer.name)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    outputs, inputs, height, width = layer.weights.shape
    if outputs == 1:
        for (row, column), weight in np.ndenumerate(layer.weights[0, 0]):
            axes.text(column, row, f"{weight:g}", ha="center", va="center", color="white" if weight == top else "black")
        axes.set_xticks([])
        axes.set_yticks([])
        return
    columns = columns_for(outputs) if inputs == 1 else inputs
    rows = -(-outputs * inputs // columns)
    places, names = ticks(columns, width, _gap(layer))
    axes.set_xticks(places, [f"+{name}" for name in names] if inputs == 1 else names)
    axes.set_yticks(*ticks(rows, height, _gap(layer), step=columns if inputs == 1 else 1))
    axes.set_xlabel("number: that of row and column added" if inputs == 1 else "input map")
    axes.set_ylabel("" if inputs == 1 else "output map")
    assert axes.figure is not None
    axes.figure.colorbar(shown, ax=axes, shrink=0.6, pad=0.02, aspect=30)


def _name(number: int, weights: NDArray[Any]) -> str:
    outputs, inputs, height, width = weights.shape
    times = "" if inputs == 1 else f" for each of {inputs} maps"
    return f"convolution {number}: {outputs} kernels {height}×{width}{times}"
