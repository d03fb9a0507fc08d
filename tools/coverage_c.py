"""Branch coverage of firmware/lib/wire and firmware/lib/app by the tests that run the C core in process (gcov), or of
the host's half of the protocol by its tests (coverage.py).

python tools/coverage_c.py            C
python tools/coverage_c.py --host     host/link/{wire,window,session}.py

Prints each file's figure and the branches that no test takes; exit code 1 where one is below LEAST percent.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import coverage
import coverage.exceptions

ROOT = Path(__file__).resolve().parents[1]
LEAST = 95.0
PARTS = ("wire", "app")
C_TESTS = [
    "tests/firmware/test_wire_core.py",
    "tests/firmware/test_app_session.py",
    "tests/firmware/test_app_native.py",
]
C_REPEATING = ("garbage_is_answered", "any_noise")
"""Tests of them that take long and no branch that the others leave out: they run when their files do."""
HOST_FILES = ("host/link/wire.py", "host/link/window.py", "host/link/session.py")
HOST_TESTS = ["tests/host/test_link_wire.py", "tests/host/test_link_session.py", "tests/host/test_link_recovery.py"]


@dataclass(frozen=True)
class Covered:
    """One file: branches taken of all, and the lines of the others. `sides` adds up over several builds of a file."""

    file: str
    taken: int
    branches: int
    missed: tuple[int, ...]

    @property
    def percent(self) -> float:
        return 100.0 * self.taken / self.branches if self.branches else 100.0


def run_tests(tests: list[str], environment: dict[str, str], prefix: list[str]) -> None:
    """Run pytest in a process of its own. Raise SystemExit with its words where a test fails."""
    command = [*prefix, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"coverage: the tests failed:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")


def compiler_with_counters(folder: Path) -> Path:
    """A `cc` that counts: what the tests build with it leaves its notes and figures below `folder`."""
    wrapper = folder / "bin/cc"
    wrapper.parent.mkdir()
    # Sanitizers would add branches of their own. Without optimisation, so that a branch is one of the source; the
    # objects' names must differ from build to build.
    wrapper.write_text(
        '#!/bin/sh\ncase "$*" in *-fsanitize=*) exec gcc "$@" ;; esac\n'
        'place=$(mktemp -d "$COUNTERS/XXXXXX")\n'
        'exec gcc "$@" -O0 --coverage -fprofile-abs-path -dumpdir "$place/"\n'
    )
    wrapper.chmod(0o755)
    return wrapper


def c_coverage() -> list[Covered]:
    """Of each file of firmware/lib/wire and firmware/lib/app, added up over the builds that the tests make."""
    taken: dict[tuple[str, int, int], int] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "counters").mkdir()
        path = f"{compiler_with_counters(folder).parent}{os.pathsep}{os.environ['PATH']}"
        few = ["-k", " and ".join(f"not {name}" for name in C_REPEATING)]
        run_tests([*C_TESTS, *few], {"PATH": path, "COUNTERS": str(folder / "counters")}, [sys.executable])
        for notes in sorted(folder.rglob("*.gcda")):
            for file, line, branch, count in branches_of(notes):
                key = (file, line, branch)
                taken[key] = taken.get(key, 0) + count
    files = sorted({file for file, _, _ in taken})
    if not files:
        raise SystemExit("coverage: found no counters; need gcc and gcov")
    return [summed(file, {key: count for key, count in taken.items() if key[0] == file}) for file in files]


def summed(file: str, taken: dict[tuple[str, int, int], int]) -> Covered:
    missed = sorted({line for (_, line, _), count in taken.items() if not count})
    return Covered(file, sum(count > 0 for count in taken.values()), len(taken), tuple(missed))


def branches_of(notes: Path) -> list[tuple[str, int, int, int]]:
    """(file, line, which branch there, times taken) of our own files in one object's figures."""
    subprocess.run(
        ["gcov", "--json-format", "--branch-probabilities", notes], cwd=notes.parent, check=True, capture_output=True
    )
    found = []
    for packed in notes.parent.glob("*.gcov.json.gz"):
        for file in json.loads(gzip.decompress(packed.read_bytes()))["files"]:
            name = Path(os.path.normpath(file["file"]))
            if not any((ROOT / "firmware/lib" / part) in name.parents for part in PARTS):
                continue
            for line in file["lines"]:
                for number, branch in enumerate(line["branches"]):
                    found.append((str(name.relative_to(ROOT)), line["line_number"], number, branch["count"]))
        packed.unlink()
    return found


def host_coverage() -> list[Covered]:
    """Of the host's half of the protocol, by its own tests."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        start = [sys.executable, "-m", "coverage", "run", "--branch", f"--data-file={data}"]
        run_tests(HOST_TESTS, {}, [*start, f"--include={','.join(HOST_FILES)}"])
        counted = counter(str(data))
        counted.load()
        return host_figures(counted)


def counter(data: str | None = None) -> coverage.Coverage:
    """Counts branches of HOST_FILES between `start` and `stop`; in memory, or into the file `data`."""
    files = [str(ROOT / name) for name in HOST_FILES]
    return coverage.Coverage(data_file=data, config_file=False, branch=True, include=files)


def host_figures(counted: coverage.Coverage) -> list[Covered]:
    """Of each of HOST_FILES that ran."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.json"
        with suppress(coverage.exceptions.NoDataError):
            counted.json_report(outfile=str(report))
        found = json.loads(report.read_text())["files"] if report.exists() else {}
    files = {os.path.relpath(name, ROOT): file for name, file in found.items()}
    return [
        Covered(
            name,
            files[name]["summary"]["covered_branches"],
            files[name]["summary"]["num_branches"],
            tuple(sorted({abs(start) for start, _ in files[name]["missing_branches"]})),
        )
        for name in HOST_FILES
        if name in files
    ]


def table(covered: list[Covered]) -> str:
    """One line a file, and one for all."""
    whole = Covered("all", sum(one.taken for one in covered), sum(one.branches for one in covered), ())
    return "\n".join(
        f"{one.file:40} {one.taken:4} of {one.branches:4} branches  {one.percent:5.1f} %"
        + (f"  not all at {', '.join(map(str, one.missed))}" if one.missed else "")
        for one in [*covered, whole]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", action="store_true", help="the host's half of the protocol instead of the C core")
    covered = host_coverage() if parser.parse_args().host else c_coverage()
    print(table(covered))
    return 1 if any(one.percent < LEAST for one in covered) else 0


if __name__ == "__main__":
    sys.exit(main())
