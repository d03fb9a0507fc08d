"""The rows as a table for a terminal, as Markdown, and as JSON."""

from __future__ import annotations

from tools.bench.measure import Row, ratios
from tools.bench.rig import Region

_HEADINGS = (
    "contender", "cycles", "max", "front end", "dense part", "flash", "RAM", "stack", "accuracy", "classes",
    "vs naive", "dense vs emlearn",
)  # fmt: skip


def text_table(rows: list[Row]) -> str:
    """Columns aligned; what cannot take part says why in one line."""
    cells = [_HEADINGS, *(_cells(rows, row) for row in rows)]
    measured = [line for line, row in zip(cells[1:], rows, strict=True) if row.problem is None]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *measured, strict=True)]
    widths[0] = max(len(row.title) for row in rows)
    lines = []
    for line, row in zip(cells, [None, *rows], strict=True):
        if row is not None and row.problem is not None:
            lines.append(f"{line[0]:{widths[0]}}  {row.problem}")
        else:
            numbers = (f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
            lines.append("  ".join([f"{line[0]:{widths[0]}}", *numbers]))
    return "\n".join(lines)


def markdown_table(rows: list[Row]) -> str:
    """For the README."""
    lines = [_HEADINGS, ("---", *["---:"] * (len(_HEADINGS) - 1))]
    for row in rows:
        if row.problem is None:
            lines.append(_cells(rows, row))
        else:
            lines.append((row.title, row.problem.replace("|", "\\|"), *[""] * (len(_HEADINGS) - 2)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def row_document(rows: list[Row], row: Row) -> dict[str, object]:
    """One row for JSON; null where nothing was measured."""
    whole, dense = ratios(rows, row)
    return {
        "key": row.key,
        "title": row.title,
        "mcu": row.mcu or None,
        "problem": row.problem,
        "cycles": _region(row.whole),
        "front_end": _region(row.front_end),
        "dense": _region(row.dense),
        "flash": row.flash,
        "ram_static": row.ram_static,
        "stack": row.stack,
        "accuracy": row.accuracy,
        "classes_equal": row.agreed,
        "digits": row.digits,
        "ratio_to_naive": whole,
        "dense_ratio_to_emlearn": dense,
    }


def _region(region: Region | None) -> dict[str, float] | None:
    return None if region is None else {"mean": region.mean, "max": region.max}


def _cells(rows: list[Row], row: Row) -> tuple[str, ...]:
    whole, dense = ratios(rows, row)
    return (
        row.title,
        _number(row.whole.mean if row.whole else None),
        _number(row.whole.max if row.whole else None),
        _number(row.front_end.mean if row.front_end else None),
        _number(row.dense.mean if row.dense else None),
        _number(row.flash),
        _number(row.ram_static),
        _number(row.stack),
        "–" if row.accuracy is None else f"{100 * row.accuracy:.2f} %",
        f"{row.agreed}/{row.digits}",
        "–" if whole is None else f"{whole:.1f}×",
        "–" if dense is None else f"{dense:.1f}×",
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
