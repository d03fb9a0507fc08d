"""`host train --sweep-cost`: one table of what accuracy costs."""

import json

import pytest

from host.cli import sweep
from host.cli.parser import build_parser
from host.cli.sweep import Setting
from host.errors import FitError


@pytest.fixture
def quick(monkeypatch):
    settings = (Setting("preconv", 12), Setting("preconv-cheap", 12, 1500), Setting("preconv-cheap", 12, 1000))
    monkeypatch.setattr(sweep, "SETTINGS", settings)


def run(*extra):
    arguments = build_parser().parse_args(["train", "--data", "digits", "--sweep-cost", "--epochs", "4", *extra])
    return arguments.run(arguments)


def test_the_sweep_prints_a_row_and_records_every_net(quick, tmp_path, capsys):
    document = tmp_path / "sweep.json"
    assert run("--seeds", "2", "--seed", "3", "--json", str(document)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("digits, seeds 3..4, predicted for uno, avr-gcc ")
    assert lines[1].split()[:2] == ["preset", "hidden"]
    assert [line.split()[:2] for line in lines[2:]] == [["preconv", "12"]] + [["preconv-cheap", "12"]] * 2
    rows = json.loads(document.read_text(encoding="utf-8"))["settings"]
    assert [row["wish"] for row in rows] == [None, 1500, 1000]
    assert [net["seed"] for net in rows[0]["nets"]] == [3, 4]
    dense, cheap, cheapest = (min(net["dense_cycles"] for net in row["nets"]) for row in rows)
    assert cheapest < cheap < dense
    assert all(net["kernel"] == "unrolled" and net["test"] > 0.1 for row in rows for net in row["nets"])


def test_a_net_that_fits_nowhere_says_so(monkeypatch, capsys):
    monkeypatch.setattr(sweep, "SETTINGS", (Setting("preconv", 12),))
    monkeypatch.setattr("host.cli.sweep.check_fit", refuse)
    assert run("--seeds", "1") == 0
    assert "does not fit" in capsys.readouterr().out


def refuse(*_):
    raise FitError("uno: flash: found 99 bytes needed, 9 there")
