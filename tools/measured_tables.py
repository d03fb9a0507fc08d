"""Writes fitted coefficients into the `Measured` tables of host/compile, each name into the table that has it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

Tables = Mapping[str, Mapping[str, Mapping[str, float]]]
"""`cycles` or `flash` → `near` or `far` → name → coefficient."""


def write_tables(folder: Path, found: Tables) -> None:
    """Replace the numbers of each `NAME = Measured(near={…}, far={…})` below `folder`, whose name ends with CYCLES or
    FLASH. A name that no table lists goes nowhere: see `unlisted`."""
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        for node, name in reversed(list(_tables(text))):
            kind = "cycles" if name.endswith("CYCLES") else "flash"
            new = _written(
                name, {reach: _renewed(node, reach, found[kind].get(reach, {})) for reach in ("near", "far")}
            )
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = [new]
        path.write_text("".join(lines), encoding="utf-8")


def unlisted(folder: Path, found: Tables) -> set[str]:
    """Names that were measured and stand in no table."""
    listed = {
        each for path in folder.rglob("*.py") for node, _ in _tables(path.read_text("utf-8")) for each in _names(node)
    }
    return {name for kind in found.values() for known in kind.values() for name in known} - listed


def _tables(text: str) -> Iterator[tuple[ast.Assign, str]]:
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        value = node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Measured":
            yield node, node.targets[0].id


def _names(node: ast.Assign) -> Iterator[str]:
    """Of a table, in order, each once."""
    assert isinstance(node.value, ast.Call)
    tables = [ast.literal_eval(keyword.value) for keyword in node.value.keywords]
    yield from dict.fromkeys(name for table in tables for name in table)


def _renewed(node: ast.Assign, reach: str, known: Mapping[str, float]) -> dict[str, float]:
    """What was measured, and where nothing was what stands there."""
    assert isinstance(node.value, ast.Call)
    old = next(ast.literal_eval(each.value) for each in node.value.keywords if each.arg == reach)
    return {name: known.get(name, old.get(name)) for name in _names(node) if name in known or name in old}


def _written(name: str, table: Mapping[str, Mapping[str, float]]) -> str:
    rows = [f"{name} = Measured(\n"]
    for reach, known in table.items():
        rows.append(f"    {reach}={{\n")
        rows += [f'        "{each}": {value:g},\n' for each, value in known.items()]
        rows.append("    },\n")
    return "".join([*rows, ")\n"])
