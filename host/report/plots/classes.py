"""Recall of each class as bars, and the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from host.report.compare import recall
from host.report.plots.canvas import INK, SECOND, new_figure
from host.report.plots.measured import Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROOM_INSIDE = 20  # per cent from which a bar has room for its number
_DARK = 0.5  # share of the largest count from which numbers are white


def recall_figure(measured: Measured) -> Figure:
    """A bar for each true class, in per cent; a class that does not occur has none."""
    count = len(measured.labels)
    figure = new_figure(max(6.0, 0.55 * count), 3.8, *measured.title)
    axes = figure.add_subplot()
    totals = measured.matrix.sum(axis=1)
    shares = [100 * (share or 0.0) for share in recall(measured.matrix)]
    axes.bar(range(count), shares, color=INK, width=0.75)
    for place, (share, total) in enumerate(zip(shares, totals, strict=True)):
        text = f"{share:.1f}" if total else "–"
        if share > _ROOM_INSIDE:
            axes.text(place, share - 1.5, text, ha="center", va="top", fontsize=8, color="white")
        else:
            axes.text(place, share + 1, text, ha="center", va="bottom", fontsize=8)
    overall = 100 * measured.accuracy
    axes.axhline(overall, color=SECOND, linewidth=1, linestyle="--", zorder=0)
    axes.set_xticks(
        range(count), [f"{label}\nn={total:,}" for label, total in zip(measured.labels, totals, strict=True)]
    )
    axes.tick_params(axis="x", length=0, labelsize=8)
    axes.set_ylim(0, 104)
    axes.set_yticks(range(0, 101, 20))
    axes.set_xlabel("true class, and how many digits it has")
    axes.set_ylabel("recall (%)")
    axes.text(1.0, overall, " all", color=SECOND, va="center", transform=axes.get_yaxis_transform(), fontsize=8)
    return figure


def confusion_figure(measured: Measured) -> Figure:
    """Counts: rows are true classes, columns answers; colours are shares of the row, so that rare classes show too."""
    count = len(measured.labels)
    side = max(5.0, 0.42 * count)
    figure = new_figure(side + 0.9, side + 0.6, *measured.title)
    axes = figure.add_subplot()
    totals = measured.matrix.sum(axis=1, keepdims=True)
    shares = measured.matrix / np.maximum(totals, 1)
    # The root lets a single wrong digit be seen beside hundreds of right ones.
    image = axes.imshow(100 * shares, cmap="Blues", norm=_root_scale())
    for (row, column), number in np.ndenumerate(measured.matrix):
        if number:
            colour = "white" if np.sqrt(shares[row, column]) > _DARK else "black"
            axes.text(column, row, f"{number}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(count), measured.labels)
    axes.set_yticks(range(count), measured.labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("answered")
    axes.set_ylabel("true class")
    figure.colorbar(image, ax=axes, shrink=0.85, ticks=[0, 1, 5, 20, 50, 100], label="share of the true class (%)")
    return figure


def _root_scale() -> PowerNorm:
    from matplotlib.colors import PowerNorm as Scale

    return Scale(0.5, 0, 100)


if TYPE_CHECKING:
    from matplotlib.colors import PowerNorm
