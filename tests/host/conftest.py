"""Fixtures that several files share: a net for all kernels, a data set to train on, files made to harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bars import bars
from hostile_refusals import Runner, save_model
from networks import random_images, random_network

from host.data import Dataset, Split
from host.nn.network import Network
from host.quantise.calibrate import calibrate


@pytest.fixture(scope="session")
def network() -> Network:
    """A net of images 16x16 that kernels of every kind can run."""
    found = random_network(1, shape=(16, 16), hidden=12, classes=10, scale=0.005)
    return calibrate(found, Split(random_images(2, 100, (16, 16)), np.zeros(100, np.int64)))


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return Dataset("bars", bars(400, 0), bars(120, 1), "0" * 64, ("row", "column", "diagonal"))


@pytest.fixture(scope="session")
def run_limited() -> Iterator[Runner]:
    """`run_limited(folder, words…)` is the exit code, everything that was said, and the processor
    time in yardsticks; see hostile_runner.py."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OPENBLAS_NUM_THREADS": "1",
        "DIGITDUINO_DATA": "",
    }
    command = [sys.executable, str(Path(__file__).with_name("hostile_runner.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        to_runner, from_runner = process.stdin, process.stdout

        def one(folder: Path, *words: object) -> tuple[int, str]:
            to_runner.write(json.dumps([str(folder), *map(str, words)]) + "\n")
            to_runner.flush()
            code, said, work = json.loads(from_runner.readline())
            return code, said, work

        yield one
        to_runner.close()


@pytest.fixture(scope="session")
def good_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.h5"
    save_model(path)
    return path
