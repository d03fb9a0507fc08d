"""ONNX: nets of floats, and those that onnxruntime quantised with QuantizeLinear and DequantizeLinear.

`graph` reads the file, `constants` computes what is constant, `walk` goes along the operators.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from host.data.sandbox import Grant
from host.importers.base import Imported, Options, library, what_goes_in
from host.importers.codes import Codes
from host.importers.guard import read_guarded
from host.importers.onnx.graph import parse
from host.importers.onnx.walk import network, walk

SOURCE, QUANTISED, ENGINE = "ONNX", "ONNX, quantised (QDQ)", "onnx"
_ROUNDING = (
    "with the file's own scales and weights; sums are rounded by TensorFlow Lite's integer rule, where onnxruntime "
    "rounds floats: of the same inputs a few codes in 1,000 may differ from its by 1, and half of the means that lie "
    "right between two codes"
)


def read(path: Path, options: Options) -> Imported:
    """Raise InputError, naming the operator, for a net that cannot be taken; ToolMissing without onnx."""
    error = library(path, "google.protobuf.message", "onnx").Error
    library(path, "onnx", "onnx")  # before memory is bounded

    def take(path: Path, grant: Grant) -> Imported:
        with np.errstate(all="ignore"):
            state = walk(path, parse(path, path.read_bytes()), options)
            net = network(state, ENGINE, options)
        notes = list(state.chain.notes)
        if isinstance(state.chain, Codes):
            notes.append(f"{state.chain.computed} layers {_ROUNDING}")
        source = QUANTISED if state.is_quantised else SOURCE
        return Imported(net, source, (*notes, what_goes_in(net)), tuple(state.left))

    return read_guarded(path, "ONNX file", take, (error,), in_sandbox=False)
