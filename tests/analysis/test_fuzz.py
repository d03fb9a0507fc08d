"""Every fuzz target replays its committed inputs, then runs for a short while from a fixed seed. `make soak` runs them
for long."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from needed import need, need_module

from tools import fuzz

RUNS = {"decode": 100_000, "app": 40_000, "infer_int8": 10_000}
NET_RUNS = 2_000
"""Of a slow net: one run is three inferences under two sanitizers."""
PYTHON_RUNS = 30


@pytest.mark.parametrize("name", [*fuzz.C_TARGETS, *fuzz.PYTHON])
@pytest.mark.slow
def test_nothing_is_found(tmp_path: Path, name: str) -> None:
    if name in fuzz.C_TARGETS:
        need("clang", "clang libclang-rt-dev")
        runs = RUNS.get(name, NET_RUNS)
    else:
        need_module("atheris", "pip install atheris")
        runs = PYTHON_RUNS
    seeds = [path.read_bytes() for path in sorted(fuzz.seeds_of(name).iterdir())]
    assert seeds, "no committed inputs"
    report = fuzz.run(fuzz.target(name, tmp_path / "build"), runs, 1, tmp_path / "corpus", tmp_path / "findings")
    assert report.findings == [], report.words[-3000:]
    assert report.executions is not None and report.executions >= runs


@pytest.mark.parametrize(
    ("program", "count", "said"),
    [
        ("echo 'Done 1200 runs in 1 second(s)' >&2", 1200, "       1,200 executions "),
        ("echo '==1== ERROR: libFuzzer: deadly signal' >&2; echo x > crash-1; exit 77", None, "stopped by a finding "),
    ],
    ids=["done", "stopped"],
)
def test_executions_that_were_not_counted_are_not_called_none(
    tmp_path: Path, program: str, count: int | None, said: str
) -> None:
    what = fuzz.Target("decode", ["sh", "-c", program], 96)
    report = fuzz.run(what, 5000, 1, tmp_path / "corpus", tmp_path / "findings")
    assert (report.executions, len(report.findings)) == (count, 0 if count else 1)
    words = fuzz.in_words(report)
    assert words.startswith(said) and words.endswith(f"  {len(report.findings)} findings")


def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, old: str, new: str) -> None:
    """The C core copied, with a bug in it, for the fuzzer to compile."""
    shutil.copytree(fuzz.LIB, tmp_path / "lib")
    source = tmp_path / "lib" / path
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    monkeypatch.setattr(fuzz, "LIB", tmp_path / "lib")
    monkeypatch.setattr(
        fuzz, "FLAGS", [flag.replace(str(fuzz.ROOT / "firmware/lib"), str(tmp_path / "lib")) for flag in fuzz.FLAGS]
    )


@pytest.mark.parametrize(
    ("name", "path", "old", "new"),
    [
        ("decode", "wire/wire_decode.c", "return (uint16_t)(d->room - at);", "return (uint16_t)(d->room - at + 1);"),
        ("decode", "wire/wire_decode.c", "d->count >= WIRE_OVERHEAD_BYTES && ", ""),
        ("app", "app/app.c", "if (length != request->length) {", "if (length > request->length) {"),
        ("app", "app/app.c", "if (port->is_stack_whole(port->context))", "if (1)"),
        ("app", "app/app.c", "        forget_partial_frame(app);\n    } else {", "    } else {"),
    ],
    ids=["a byte too far", "a short frame", "a longer image", "a stack too deep", "half a frame kept"],
)
def test_a_planted_bug_is_found_by_the_committed_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str, old: str, new: str
) -> None:
    need("clang", "clang libclang-rt-dev")
    planted(tmp_path, monkeypatch, path, old, new)
    report = fuzz.run(fuzz.target(name, tmp_path / "build"), 20_000, 1, tmp_path / "corpus", tmp_path / "findings")
    assert report.findings, report.words[-2000:]
