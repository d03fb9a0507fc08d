"""Other people's nets: the file of another tool in, a Network out.

Nothing here trains, rounds or knows a board. Each format has a module with `read(path, options) -> Imported`; what it
needs beside the package is an optional extra, and is imported only when such a file is read.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from host.data.hdf5 import MAGIC
from host.data.problem import problem
from host.errors import InputError
from host.importers.base import Imported, Options, check_file, refused
from host.nn.network import Network
from host.nn.shapes import text

__all__ = ["FORMATS", "Imported", "Options", "import_net"]

_MAGIC_BYTES = 8


@dataclass(frozen=True)
class Format:
    """A kind of file, told by its suffix, or by what stands at its beginning where the suffix says nothing."""

    name: str
    suffixes: tuple[str, ...]
    module: str
    extra: str | None = None
    magic: tuple[int, bytes] | None = None
    """(place, bytes)."""


FORMATS = (
    Format("TensorFlow Lite", (".tflite", ".lite"), "tflite", "tflite", (4, b"TFL3")),
    Format("Keras", (".keras", ".h5", ".hdf5"), "keras", None, (0, MAGIC)),
    Format("ONNX", (".onnx",), "onnx", "onnx"),
)

_REFUSED = {
    ".pkl": "a pickle is a program",
    ".pickle": "a pickle is a program",
    ".joblib": "a pickle is a program",
}
"""Suffixes of files that are never opened, and why."""
_WAY_OUT = "call host.importers.sklearn.network_of on the fitted estimator, or export it to ONNX with skl2onnx"


def import_net(path: Path, options: Options) -> Imported:
    """Read a net; raise InputError, naming operator and place, where it cannot be taken, ToolMissing without its
    reader."""
    check_file(path)
    if reason := _REFUSED.get(path.suffix.lower()):
        raise problem(path, "file", f"a {path.suffix} ({reason})", "a file that holds numbers alone", _WAY_OUT)
    imported: Imported = importlib.import_module(f"host.importers.{_format_of(path).module}").read(path, options)
    _check_used(path, options, imported.network)
    return imported


def _check_used(path: Path, options: Options, network: Network) -> None:
    """Raise InputError where an option would change nothing."""
    if options.input_range is not None and network.given is not None:
        found = "--input-range for a net that brings its own scale of inputs"
        raise refused(path, "input", found, "none", "leave it out")
    if options.shape is not None and network.input_shape != (1, *options.shape):
        found = f"--shape for a net that takes {text(network.input_shape)}"
        raise refused(path, "input", found, "it for vectors alone", "leave it out")


def _format_of(path: Path) -> Format:
    by_suffix = [each for each in FORMATS if path.suffix.lower() in each.suffixes]
    if by_suffix:
        return by_suffix[0]
    with path.open("rb") as file:
        begin = file.read(_MAGIC_BYTES)
    for each in FORMATS:
        if each.magic is not None and begin[each.magic[0] :].startswith(each.magic[1]):
            return each
    raise _unknown(path)


def _unknown(path: Path) -> InputError:
    known = ", ".join(f"{', '.join(each.suffixes)} ({each.name})" for each in FORMATS)
    return problem(path, "file", f"the suffix '{path.suffix}'", known, "export the net to one of these")
