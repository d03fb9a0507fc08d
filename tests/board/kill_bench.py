"""Kills `host verify --board native` at moments that its journal tells, resumes it, and compares the reports.

Each run is a process of its own, forked from one that has imported everything, so that a kill costs a fraction of a
second. The board it starts is the compiled native firmware, found in the cache.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from patience import LIMIT_S

from host import data
from host.cli import main
from host.cli import parser as _parser
from host.modelfile import file as model_file
from host.nn.dense_chain import DenseNumbers, join
from host.nn.network import Provenance

DIGITS = 60
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
TIMING_FIELDS = ("seconds", "link.images_per_s")
"""What may differ between a run and one that was killed and resumed, on the native board; docs/security.md names them
too."""
_IMPORTED = (_parser, data)
_EXIT_INTERRUPTED = 130


def write_model(path: Path) -> Path:
    """A net with random weights: what is compared is board and PC, not digits and labels."""
    rng = np.random.default_rng(1)
    first = DenseNumbers(
        rng.normal(0, 0.02, (12, 64)).astype(np.float32), np.ones(12, np.float32), None, output_max=20.0
    )
    last = DenseNumbers(
        rng.normal(0, 0.3, (10, 12)).astype(np.float32), np.zeros(10, np.float32), None, output_max=20.0
    )
    provenance = Provenance("digits", "0" * 64, "kills", 1, "numpy", {}, {})
    model_file.save(join((16, 16), 255, (first, last), tuple("0123456789"), provenance), path)
    return path


def without_timing(report: dict[str, Any]) -> str:
    """The report's bytes without TIMING_FIELDS."""
    kept = json.loads(json.dumps(report))
    for name in TIMING_FIELDS:
        place = kept
        *parents, last = name.split(".")
        for parent in parents:
            place = place[parent]
        del place[last]
    return json.dumps(kept, indent=1)


@dataclass
class KillBench:
    """`rounds(kills)` in `folder`; stops with AssertionError at the first thing that is lost or differs."""

    folder: Path
    seed: int
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.model = write_model(self.folder / "model.h5")
        self.journal = self.folder / "run.journal"
        self.report = self.folder / "report.json"
        pid = self._start("--json", self.report)
        assert self._end(pid) == 0, self._said()
        self.clean = without_timing(json.loads(self.report.read_text()))
        self.report.unlink()

    def rounds(self, kills: int) -> None:
        """Kill and resume until `kills` processes have been killed, then go on to the last report."""
        while self.counts["kills"] < kills or self.journal.exists():
            self._run(may_kill=self.counts["kills"] < kills)

    def _run(self, *, may_kill: bool) -> None:
        before = self._lines()
        pid = self._start("--json", self.report, "--resume")
        number = self.dice.choice(SIGNALS)
        if may_kill:
            self._await_moment(pid, before)
            os.kill(pid, number)
        code = self._end(pid)
        after = self._lines()
        if code == 0:
            self.counts["complete"] += 1
            assert not self.journal.exists()
            assert without_timing(json.loads(self.report.read_text())) == self.clean
            self.report.unlink()
            return
        assert may_kill and code in (-number, _EXIT_INTERRUPTED), (code, number, self._said())
        assert code < 0 or self._said() == "host: interrupted\n", self._said()
        self.counts["kills"] += 1
        self.counts[signal.Signals(number).name] += 1
        # A report that stands there although its run was killed is whole; so is what the journal has gained.
        if self.report.exists():
            self.counts["between report and end"] += 1
            assert without_timing(json.loads(self.report.read_text())) == self.clean
            self.report.unlink()
        else:
            assert after >= before, f"{before - after} lines lost"
        left = [path.name for path in self.folder.iterdir() if path.name.startswith(".")]
        if code != -signal.SIGKILL:
            assert not left, left
        for name in left:
            (self.folder / name).unlink()
        self.counts["with progress"] += after > before > 0

    def _await_moment(self, pid: int, before: int) -> None:
        """Wait for a line of the journal that the dice choose; now and then for a moment before it or after all."""
        target = self.dice.randint(before, DIGITS + 3)
        end = time.monotonic() + LIMIT_S
        while self._lines() < target and not self._has_ended(pid):
            assert time.monotonic() < end, "no progress"
            time.sleep(0.0005)
            if target == before:
                break
        if target > DIGITS or target == before:
            time.sleep(self.dice.random() * 0.2)

    def _lines(self) -> int:
        try:
            return self.journal.read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def _start(self, *more: object) -> int:
        arguments = ["verify", self.model, "--data", "digits", "--limit", DIGITS, "--board", "native"]
        arguments += ["--journal", self.journal, *more]
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # what it says goes to the file, from the first signal on
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            return pid
        code = 99
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with (self.folder / "said").open("w") as said:
                os.dup2(said.fileno(), 2)
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            code = main([str(word) for word in arguments])
        except KeyboardInterrupt:  # before main is there to say so
            os.write(2, b"host: interrupted\n")
            code = _EXIT_INTERRUPTED
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _has_ended(self, pid: int) -> bool:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _end(self, pid: int) -> int:
        """The exit code, or minus the signal; a process that does not end is an error."""
        end = time.monotonic() + LIMIT_S
        while not self._has_ended(pid):
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise AssertionError(f"no end after {LIMIT_S} s: {self._said()}")
            time.sleep(0.001)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _said(self) -> str:
        return (self.folder / "said").read_text()
