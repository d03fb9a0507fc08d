"""The kernel benchmark: every contender runs on the embedded digits, and what must fail it does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from needed import need

from host.data import load
from host.data.dataset import Split
from host.nn.network import Network
from host.train import train_preset
from tools import bench_kernels
from tools.bench import emlearn_peer
from tools.bench.contenders import EMLEARN, NAIVE, Absent, Contender, prepare
from tools.bench.measure import Row, measure, verdicts
from tools.bench.rig import DoesNotBuild, Region, Rig
from tools.bench.show import markdown_table, text_table


@pytest.fixture(scope="module")
def rig(simulators: Path, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    need("avr-gcc", "gcc-avr avr-libc")
    return Rig(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def network() -> Network:
    return train_preset(load("digits"), "preconv-seed", epochs=20, validation_run=False)


@pytest.fixture(scope="module")
def test_set() -> Split:
    return load("digits").test


@pytest.mark.slow
def test_every_contender_answers_as_its_reference(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)  # emlearn may be missing
    path = tmp_path / "figures.json"
    arguments = ["--data", "digits", "--digits", "2", "--work", str(rig.work), "--json", str(path)]
    assert bench_kernels.main(arguments) == 0, capsys.readouterr().out
    rows = {row["key"]: row for row in json.loads(path.read_text())["rows"]}
    assert rows["emlearn-uno"]["problem"]
    counted = {key: row for key, row in rows.items() if row["problem"] is None}
    assert set(rows) - set(counted) <= {"emlearn-uno", "emlearn"}
    assert (EMLEARN in counted) == emlearn_peer.is_installed()
    for row in counted.values():
        assert row["classes_equal"] == row["digits"] == 2
        parts = row["dense"]["mean"] + (row["front_end"]["mean"] if row["front_end"] else 0)
        # Nothing but the mark stands between the parts.
        assert row["cycles"] is None or abs(row["cycles"]["mean"] - parts) < 0.01 * parts + 16


def test_a_contender_that_answers_wrong_fails(rig: Rig, network: Network, test_set: Split) -> None:
    contenders = {each.key: each for each in prepare(network, test_set.images, rig.work)}
    ours = contenders["ours-int8-asm-6"]
    assert isinstance(ours, Contender)
    true, false = measure(
        rig, [ours, replace(ours, key="wrong", expected=ours.expected ^ 1)], test_set.labels, digits=3
    )
    assert (true.agreed, true.failed) == (3, False)
    assert (false.agreed, false.failed) == (0, True)


def test_what_the_linker_says_is_told_without_paths(rig: Rig, tmp_path: Path) -> None:
    source = tmp_path / "large.c"
    source.write_text("volatile char room[4000] = {1};\nint main(void) { return room[3]; }\n")
    with pytest.raises(
        DoesNotBuild, match=r"^address 0x\w+ of large.elf section `.data' is not within region"
    ) as caught:
        rig.build("large", [source], [], "atmega328p", [])
    assert str(tmp_path) not in str(caught.value)


def test_the_naive_reference_is_the_tutorials(network: Network, test_set: Split, tmp_path: Path) -> None:
    naive = prepare(network, test_set.images, tmp_path)[0]
    assert isinstance(naive, Contender) and naive.inputs.shape == (len(test_set), 256)
    assert abs(np.mean(naive.expected == test_set.labels) - network.provenance.metrics["test"]) < 0.01


def test_without_emlearn_its_rows_say_how_to_get_it(
    network: Network, test_set: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emlearn_peer, "is_installed", lambda: False)
    absent = [each for each in prepare(network, test_set.images, tmp_path) if isinstance(each, Absent)]
    assert [each.key for each in absent] == ["emlearn-uno", EMLEARN]
    assert all("-m pip install emlearn" in each.problem for each in absent)


def rows_with(whole: float, dense: float, emlearn: float | None = 3000.0) -> list[Row]:
    peer = Region(emlearn, 1) if emlearn else None
    return [
        Row(NAIVE, "naive", whole=Region(10000.0, 1), dense=Region(5000.0, 1)),
        Row(EMLEARN, "emlearn", dense=peer, problem=None if peer else "not installed | pip"),
        Row("ours", "ours", held=True, whole=Region(whole, 1), dense=Region(dense, 1), agreed=5, digits=5),
    ]


@pytest.mark.parametrize(
    ("rows", "met"),
    [
        (rows_with(200.0, 100.0), [True, True, True]),
        (rows_with(201.0, 100.0), [False, True, True]),
        (rows_with(200.0, 101.0), [True, False, True]),
        (rows_with(200.0, 100.0, None), [True, None, True]),
        ([*rows_with(200.0, 100.0), Row("wrong", "wrong", digits=5, failed=True)], [True, True, False]),
        ([*rows_with(200.0, 100.0), Row("asm", "asm", held=True, problem="cannot")], [True, True, None, True]),
    ],
)
def test_goals(rows: list[Row], met: list[bool | None]) -> None:
    assert [judged for judged, _ in verdicts(rows)] == met


def test_who_is_missing_stands_in_the_tables() -> None:
    rows = rows_with(200.0, 100.0, None)
    assert "emlearn  not installed | pip" in text_table(rows)
    lines = markdown_table(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert {line.replace("\\|", "").count("|") for line in lines} == {13}


def test_bad_digits_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_kernels.main(["--digits", "0"]) == 2
    assert capsys.readouterr().err == "error: --digits: found 0, need 1 or more; leave it out for 100\n"
