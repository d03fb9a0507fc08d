"""Asks an installed emlearn to convert a network; its headers are used where they are installed and never copied.

The conversion is a process of its own: emlearn compiles into the current directory and imports `distutils`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.quantise.ops import Rows

INSTALL = f"`{Path(sys.executable).name} -m pip install emlearn setuptools`"


class CannotConvert(Exception):
    """emlearn is not installed, or failed; the message says which and what to do."""


@dataclass(frozen=True, eq=False)
class Converted:
    """emlearn's version, the folder of its headers, and the classes that its own build on this machine predicts."""

    version: str
    include: Path
    classes: NDArray[np.uint8]


def is_installed() -> bool:
    return importlib.util.find_spec("emlearn") is not None


def convert(layers: tuple[Rows, ...], features: NDArray[np.uint8], folder: Path) -> Converted:
    """Write emlearn_net.h into `folder` and predict features (N, inputs). Raises CannotConvert."""
    if not is_installed():
        raise CannotConvert(f"not installed; {INSTALL}")
    folder.mkdir(parents=True, exist_ok=True)
    tables = {f"coefs{k}": layer.weights.T for k, layer in enumerate(layers)}
    biases = {f"intercepts{k}": layer.bias for k, layer in enumerate(layers)}
    np.savez(folder / "network.npz", features=features, **tables, **biases)
    script = Path(__file__).with_name("emlearn_convert.py")
    result = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise CannotConvert(f"cannot convert: {lines[-1]}; {INSTALL}")
    answer = json.loads((folder / "result.json").read_text())
    return Converted(answer["version"], Path(answer["include"]), np.array(answer["classes"], np.uint8))
