"""Loss and accuracy over the training, from what the model file remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from host.nn.network import Network
from host.report.plots.canvas import FAINT, INK, SECOND, NothingToShow, new_figure
from host.report.plots.measured import model_name
from host.train.optimisers import LbfgsB
from host.train.presets import PRESETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def loss_figure(network: Network) -> Figure:
    """Loss above, accuracy in per cent below. Raise NothingToShow where the model holds no history."""
    source = network.provenance
    history = source.history
    if not history.get("loss"):
        raise NothingToShow("loss: history: found none in the model, need the loss of each epoch; train it again")
    accuracies = ", ".join(
        f"{name} {100 * source.metrics[name]:.2f} %"
        for name in ("train", "validation", "test")
        if name in source.metrics
    )
    title = f"{model_name(network)}, trained on {source.dataset}, seed {source.seed}"
    figure = new_figure(7.0, 5.6, title, f"accuracy at the end: {accuracies}" if accuracies else "float32 in training")
    both = bool(history.get("accuracy"))
    above, below = figure.subplots(2, 1, squeeze=False)[:, 0] if both else (figure.add_subplot(), None)
    _loss(above, network)
    if below is not None:
        _accuracy(below, network)
    return figure


def _loss(axes: Axes, network: Network) -> None:
    history = network.provenance.history
    epochs = len(history["loss"])
    batches = history.get("batch_loss", ())
    if batches:
        places = (np.arange(len(batches)) + 1) / len(batches) * epochs
        axes.plot(places, batches, color=FAINT, linewidth=0.5, alpha=0.6, label="each batch")
    _line(axes, history["loss"], INK, "training")
    if history.get("validation_loss"):
        _line(axes, history["validation_loss"], SECOND, "validation")
    if min(min(history[name]) for name in ("loss", "batch_loss", "validation_loss") if history.get(name)) > 0:
        _logarithmic(axes)
    _whole(axes)
    axes.set_ylabel("loss")
    evaluation = "iteration" if batches else "evaluation of the loss"  # which older models remember instead
    axes.set_xlabel(evaluation if _is_full_batch(network) else "epoch")
    axes.legend(frameon=False)


def _accuracy(axes: Axes, network: Network) -> None:
    source = network.provenance
    _line(axes, [100 * share for share in source.history["accuracy"]], INK, "training")
    if source.history.get("validation_accuracy"):
        _line(axes, [100 * share for share in source.history["validation_accuracy"]], SECOND, "validation")
    elif "validation" in source.metrics:
        axes.axhline(
            100 * source.metrics["validation"],
            color=SECOND,
            linewidth=1,
            linestyle="--",
            label="validation, at the end",
        )
    _whole(axes)
    axes.set_ylabel("accuracy (%)")
    axes.set_xlabel("iteration" if _is_full_batch(network) else "epoch")
    axes.legend(frameon=False, loc="lower right")


def _logarithmic(axes: Axes) -> None:
    """With plain numbers at 1, 2 and 5 of every decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _whole(axes: Axes) -> None:
    """Ticks at whole epochs only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _line(axes: Axes, values: tuple[float, ...] | list[float], colour: str, label: str) -> None:
    marker = "o" if len(values) <= 20 else ""
    axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=1.4, marker=marker, markersize=4, label=label)


def _is_full_batch(network: Network) -> bool:
    """Such a training counts evaluations and iterations, every other counts epochs."""
    preset = PRESETS.get(network.provenance.preset)
    return preset is not None and any(isinstance(recipe.optimiser, LbfgsB) for _, recipe in preset.recipes)
