"""Imports point one way, and each outside library has its one place: read from the syntax trees, nothing is run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# A module may import modules of a smaller rank and of its own package, never of a greater one.
RANKS = {
    "errors": 0,
    "assets": 1,
    "atomic": 1,
    "cache": 1,
    "pretrained": 1,
    "data": 2,
    "nn": 3,
    "train": 4,
    "quantise": 4,
    "modelfile": 4,
    "deploy": 5,
    "compile": 5,
    "link": 6,
    "report": 7,
    "cli": 8,
    "__main__": 9,
}
MIGRATING = ({"deploy", "compile"},)
"""Packages of one rank that see each other for as long as the first empties into the second."""
ALLOWED_PLACES = {
    "jinja2": ("compile/render.py", "report/"),
    "matplotlib": ("report/plots/",),
    "serial": ("link/",),
    "subprocess": ("link/boards.py", "link/process.py"),
    "pickle": (),
    "platformio": (),
}
PRINTING_PLACES = ("cli/", "__main__.py")


def _modules(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if "_assets" not in path.parts)


def _imports(path: Path, package: Path) -> Iterator[str]:
    """The dotted names that a file imports, relative ones resolved; `from host import data` gives `host.data`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = path.relative_to(package.parent).parent.parts
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _layer(path: Path, package: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def upward_imports(package: Path) -> list[str]:
    """Imports from a lower layer into a higher one, or between modules of one rank that are no package."""
    found = []
    for path in _modules(package):
        own = _layer(path, package)
        for name in _imports(path, package):
            parts = name.split(".")
            if parts[0] != "host" or own == "__init__" or parts[1] in (own, "__version__"):
                continue
            if RANKS[parts[1]] >= RANKS[own] and {own, parts[1]} not in MIGRATING:
                found.append(f"{path.relative_to(package)}: imports {name}")
    return found


def misplaced_imports(package: Path) -> list[str]:
    """Imports of an outside library where it does not belong."""
    found = []
    for path in _modules(package):
        place = path.relative_to(package).as_posix()
        for name in _imports(path, package):
            library = name.split(".")[0]
            if library in ALLOWED_PLACES and not place.startswith(ALLOWED_PLACES[library] or ("/",)):
                found.append(f"{place}: imports {library}")
    return found


def printing_places(package: Path) -> list[str]:
    """Calls of print, exit or sys.exit outside the command line."""
    found = []
    for path in _modules(package):
        place = path.relative_to(package).as_posix()
        if place.startswith(PRINTING_PLACES):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print",
                "exit",
                "quit",
                "sys.exit",
                "os._exit",
            ):
                found.append(f"{place}:{node.lineno}: calls {ast.unparse(node.func)}")
    return found


def machine_paths(root: Path) -> list[str]:
    """Absolute paths that exist on one person's computer only."""
    pattern = re.compile(r"(?<![\w.~$}{*])/" + r"(?:work|root|home|Users)/\w")
    found = []
    for folder in ("host", "templates", "firmware", "tests", "tools", "docs", ".ci"):
        for path in sorted((root / folder).rglob("*")):
            if not path.is_file() or {"__pycache__", "build"} & set(path.parts[:-1]):
                continue
            text = path.read_bytes().decode("utf-8", "replace")
            found += [f"{path.relative_to(root)}: {match[0]}" for match in pattern.finditer(text)]
    return found


def test_every_module_has_a_rank(repository: Path) -> None:
    layers = {_layer(path, repository / "host") for path in _modules(repository / "host")}
    assert layers - set(RANKS) - {"__init__"} == set()


def test_imports_point_downward(repository: Path) -> None:
    assert upward_imports(repository / "host") == []


def test_outside_libraries_keep_to_their_place(repository: Path) -> None:
    assert misplaced_imports(repository / "host") == []


def test_only_the_command_line_prints_or_exits(repository: Path) -> None:
    """And a forked process, which must not come back."""
    found = printing_places(repository / "host")
    assert [re.sub(r":\d+:", ":", place) for place in found] == ["data/sandbox.py: calls os._exit"]


def test_no_path_of_one_machine_is_written_down(repository: Path) -> None:
    assert machine_paths(repository) == []


@pytest.mark.parametrize(
    ("place", "line", "check"),
    [
        ("data/bad.py", "from host.train import fit", upward_imports),
        ("train/bad.py", "from host.quantise import numerics", upward_imports),
        ("quantise/bad.py", "from host.train.qat import scales", upward_imports),
        ("modelfile/bad.py", "from host.quantise.graph import Graph", upward_imports),
        ("nn/bad.py", "import host.modelfile.file", upward_imports),
        ("data/bad.py", "from host import deploy", upward_imports),
        ("data/bad.py", "from ..report import compare", upward_imports),
        ("errors.py", "import host.data", upward_imports),
        ("cache.py", "import host.assets", upward_imports),
        ("deploy/bad.py", "def f():\n    import jinja2", misplaced_imports),
        ("train/bad.py", "from serial.tools import list_ports", misplaced_imports),
        ("link/session.py", "import subprocess", misplaced_imports),
        ("link/boards.py", "import pickle", misplaced_imports),
        ("train/bad.py", "print('x')", printing_places),
        ("link/bad.py", "import sys\nsys.exit(1)", printing_places),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, place: str, line: str, check: object) -> None:
    bad = tmp_path / "host" / place
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_text(line + "\n", encoding="utf-8")
    assert callable(check)
    assert len(check(tmp_path / "host")) == 1


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("report/good.py", "import jinja2\nfrom host.link import wire\nfrom host.errors import InputError"),
        ("link/good.py", "import serial\nfrom . import wire\nfrom host import __version__"),
        ("cli/good.py", "import sys\nprint('x')\nsys.exit(0)"),
    ],
)
def test_what_is_allowed_is_not_reported(tmp_path: Path, place: str, line: str) -> None:
    good = tmp_path / "host" / place
    good.parent.mkdir(parents=True)
    good.write_text(line + "\n", encoding="utf-8")
    package = tmp_path / "host"
    assert upward_imports(package) + misplaced_imports(package) + printing_places(package) == []
