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
    "importers": 4,
    "compile": 5,
    "link": 6,
    "report": 7,
    "api": 8,
    "cli": 9,
    "__main__": 10,
}
SEES = {
    "modelfile": {"errors", "atomic", "data", "nn"},
    "importers": {"errors", "data", "nn"},
    "nn": {"errors", "data"},
    "data": {"errors", "atomic", "cache"},
}
"""Packages that see less than all below them."""
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


def _at_load(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run as the module is loaded."""
    for node in ast.iter_child_nodes(tree):
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not is_for_types:
            yield node
            yield from _at_load(node)


def _imports(path: Path, package: Path, at_load: bool = False) -> Iterator[str]:
    """The dotted names that a file imports, relative ones resolved; `from host import data` gives `host.data`."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in _at_load(tree) if at_load else ast.walk(tree):
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
            if RANKS[parts[1]] >= RANKS[own] or parts[1] not in SEES.get(own, RANKS):
                found.append(f"{path.relative_to(package)}: imports {name}")
    return found


def module_graph(package: Path) -> dict[str, set[str]]:
    """Dotted name of each module → the modules that it imports as it is loaded: what stands in functions is not, nor
    what is for the type checker alone."""
    names = {".".join(("host", *path.relative_to(package).with_suffix("").parts)): path for path in _modules(package)}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {}
    for name, path in names.items():
        found: set[str] = set()
        for imported in _imports(path, package, at_load=True):
            parts = imported.split(".")
            known = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
            found.add(next((each for each in known if each in names), ""))
        graph[name] = found - {name, "", "host"}
    return graph


def import_circles(package: Path) -> list[str]:
    """Every module that is on a way back to itself, with that way."""
    graph, found = module_graph(package), []
    for start in sorted(graph):
        ways, seen = [[start]], {start}
        while ways:
            way = ways.pop()
            if start in graph[way[-1]]:
                found.append(" -> ".join([*way, start]))
                break
            new = graph[way[-1]] - seen
            seen |= new
            ways += [[*way, following] for following in sorted(new)]
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


def test_no_module_leads_back_to_itself(repository: Path) -> None:
    assert import_circles(repository / "host") == []


@pytest.mark.parametrize(
    ("files", "circles"),
    [
        ({"nn/a.py": "from host.nn import b", "nn/b.py": "from host.nn.a import f"}, 2),
        ({"nn/a.py": "import host.nn.b", "nn/b.py": "from . import c", "nn/c.py": "from host.nn.a import f"}, 3),
        ({"nn/a.py": "from host.nn import b", "nn/b.py": "def f():\n    from host.nn import a"}, 0),
        ({"nn/a.py": "from host.nn import b", "nn/b.py": "if TYPE_CHECKING:\n    from host.nn import a"}, 0),
        ({"nn/a.py": "from host.nn import b", "nn/b.py": "if True:\n    import host.nn.a"}, 2),
    ],
)
def test_a_planted_circle_is_found(tmp_path: Path, files: dict[str, str], circles: int) -> None:
    for name, text in files.items():
        path = tmp_path / "host" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert len(import_circles(tmp_path / "host")) == circles


def test_no_file_is_named_after_a_family_of_nets(repository: Path) -> None:
    folders = ("host", "templates", "tests", "tools", "firmware/lib", "firmware/src", "docs")
    named = [path for folder in folders for path in (repository / folder).rglob("*learned*")]
    assert [str(path.relative_to(repository)) for path in named if "__pycache__" not in path.parts] == []


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
        ("data/bad.py", "from host import compile", upward_imports),
        ("modelfile/bad.py", "from host.train import trainer", upward_imports),
        ("modelfile/bad.py", "from host import pretrained", upward_imports),
        ("quantise/bad.py", "from host.modelfile import file", upward_imports),
        ("compile/bad.py", "from host.link import build", upward_imports),
        ("compile/kernels/bad.py", "from host.report import compare", upward_imports),
        ("data/bad.py", "from ..report import compare", upward_imports),
        ("errors.py", "import host.data", upward_imports),
        ("cache.py", "import host.assets", upward_imports),
        ("compile/bad.py", "def f():\n    import jinja2", misplaced_imports),
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
