"""TensorFlow Lite."""

from __future__ import annotations

from pathlib import Path

from host.importers.base import Imported, Options, library


def read(path: Path, options: Options) -> Imported:
    library(path, "tflite", "tflite")
    raise NotImplementedError
