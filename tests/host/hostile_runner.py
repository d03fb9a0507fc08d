"""Runs commands one after the other, each in a process of its own with little memory, and says what work they were.

Started once by the fixture `run_limited`, because importing everything takes longer than any case. A line on standard
input is a JSON list of words, a line on standard output [exit code or minus the signal, what was said, processor time
in yardsticks].
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from hostile_refusals import MOST_YARDSTICKS
from yardstick import yardstick_s

from host.cli import main
from host.cli import parser as _parser
from host.data import files as _files
from host.errors import DigitduinoError
from host.importers import keras as _keras
from host.importers import onnx as _onnx
from host.importers import tflite as _tflite
from host.link.journal import open_journal
from host.modelfile import file as _model
from host.report.plots.measured import from_report
from host.train import checkpoint

MEMORY_BYTES = 512 << 20
HANG_S = 600
"""Ends what never ends; no case comes near it on any machine."""
FACTS = {"model": "ab"}
IMAGES = 20
_IMPORTED = (_parser, _files, _model, _keras, _onnx, _tflite)
for _reader in ("onnx", "tflite"):  # optional ones, whose import is no case's work
    with suppress(ImportError):
        importlib.import_module(_reader)


def read_journal(path: Path) -> None:
    with open_journal(path, FACTS, IMAGES, resume=True):
        pass


READERS = {"journal": read_journal, "report": from_report, "checkpoint": lambda path: checkpoint.load(path, "mark")}


def act(words: list[str]) -> int:
    """A command of `host`, or one of READERS with a file."""
    if words[0] not in READERS:
        return main(words)
    try:
        READERS[words[0]](Path(words[1]))
    except DigitduinoError as error:
        sys.stderr.write(f"host: {error}\n")
        return error.exit_code
    return 0


def child(words: list[str], folder: str, said: int) -> None:
    os.chdir(folder)
    os.dup2(said, 1)
    os.dup2(said, 2)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (HANG_S, HANG_S))
    code = 99
    try:
        code = act(words)
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)


unit = yardstick_s()
for line in sys.stdin:
    where, *command = json.loads(line)
    with tempfile.TemporaryFile() as output:
        process = os.fork()
        if process == 0:
            child(command, where, output.fileno())
        _, status, usage = os.wait4(process, 0)
        seconds = usage.ru_utime + usage.ru_stime
        if seconds > MOST_YARDSTICKS * unit:  # or others have slowed this machine down
            unit = max(yardstick_s() for _ in range(5))
        output.seek(0)
        said = output.read().decode(errors="backslashreplace")
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), said, seconds / unit]) + "\n")
        sys.stdout.flush()
