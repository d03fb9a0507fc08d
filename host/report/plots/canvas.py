"""Figures without a window, and their bytes: the same figure gives the same file, whatever the user's settings are."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from host.errors import InputError, ToolMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw: TypeAlias = Callable[[], "Figure"]
"""Makes a figure when it is called, and not before."""
SUFFIXES = (".png", ".svg", ".pdf")
INK = "#1f4e79"
SECOND = "#c2571a"
FAINT = "#8aa4bd"
DOTS_PER_INCH = 120


class NothingToShow(InputError):
    """The model has not what the picture is of; `all` leaves such a picture out."""


_STYLE: dict[str, Any] = {
    "text.parse_math": False,  # names out of files are no formulas
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.titlesize": 9,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "image.interpolation": "nearest",
    "svg.hashsalt": "digitduino",
    "savefig.dpi": DOTS_PER_INCH,
}
# Version and date would make two files of one figure differ.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def need_matplotlib() -> None:
    """Raise ToolMissing where matplotlib cannot be imported."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        advice = "run `pip install 'digitduino[plot]'`"
        raise ToolMissing(f"plot: matplotlib: found none ({error}), need it for pictures; {advice}") from error


def check_suffix(path: Path) -> None:
    """Raise InputError where the file's name says no format that can be written."""
    if path.suffix.lower() not in SUFFIXES:
        found = f"the suffix '{path.suffix}'" if path.suffix else "no suffix"
        need = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
        raise InputError(f"{path}: found {found}, need {need}; name the file so")


@contextmanager
def style() -> Iterator[None]:
    """Our settings in place of the user's, for building a figure and for writing it."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        cast(Any, matplotlib.rcParams).update(_STYLE)  # Any, since its type is a list of every setting's name
        yield


def rendered(draw: Draw, suffix: str) -> bytes:
    """The file of the figure that `draw` makes; `suffix` is one of SUFFIXES."""
    with style():
        figure = draw()
        buffer = io.BytesIO()
        kind = suffix.lower()
        figure.savefig(buffer, format=kind[1:], metadata=_METADATA[kind])
    return buffer.getvalue()


def new_figure(width: float, height: float, *title: str) -> Figure:
    """An empty figure, in inches, whose title has a line for each text."""
    need_matplotlib()
    from matplotlib.figure import Figure as MatplotlibFigure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # Pads in inches, so that the title keeps off what is below.
    figure = MatplotlibFigure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    figure.suptitle("\n".join(title))
    return figure


def bare(axes: Axes) -> None:
    """Take away frame and ticks: for images whose pixels count nothing."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
