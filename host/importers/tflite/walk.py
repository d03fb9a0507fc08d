"""Along the operators of a file: what is taken, and what is refused by name and place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from host.importers.base import Imported, Options, what_goes_in
from host.importers.tflite import compute, passing
from host.importers.tflite.chain import SOURCE
from host.importers.tflite.file import INT8, Operator, read_file
from host.importers.tflite.state import CHAIN, OTHERWISE, RELU_INSTEAD, Walk

_TAKEN: dict[str, Callable[[Walk, Operator], None]] = {
    "CONV_2D": compute.conv,
    "DEPTHWISE_CONV_2D": compute.depthwise,
    "FULLY_CONNECTED": compute.dense,
    "MAX_POOL_2D": compute.max_pool,
    "AVERAGE_POOL_2D": compute.average_pool,
    "MEAN": compute.mean,
    "RELU": compute.relu,
    "RELU6": compute.relu,
    "ADD": compute.affine,
    "MUL": compute.affine,
    "PAD": passing.pad,
    "RESHAPE": passing.reshape,
    "SQUEEZE": passing.reshape,
    "EXPAND_DIMS": passing.reshape,
    "QUANTIZE": passing.quantize,
    "DEQUANTIZE": passing.dequantize,
    "SOFTMAX": passing.softmax,
    "LOG_SOFTMAX": passing.softmax,
    "ARG_MAX": passing.arg_max,
}
_SIDEWAYS = ("SHAPE", "STRIDED_SLICE", "PACK")
"""How converters compute the shape of a RESHAPE, which stands in the file anyway."""
_AT_THE_END = ("RESHAPE", "SQUEEZE", "QUANTIZE", "DEQUANTIZE", "SOFTMAX", "LOG_SOFTMAX", "ARG_MAX")
_WAY_OUT = {
    "LOGISTIC": "end the net with a score for each class, and softmax, and use relu between layers",
    **dict.fromkeys(("TANH", "LEAKY_RELU", "PRELU", "ELU", "GELU", "HARD_SWISH", "RELU_N1_TO_1"), RELU_INSTEAD),
    "TRANSPOSE": "convert a net whose maps are height, width, channels",
    "CONCATENATION": CHAIN,
    "SPLIT": CHAIN,
    "CUSTOM": "convert it with TensorFlow Lite's own operators alone",
}


def read(path: Path, options: Options) -> Imported:
    """Read a net of int8 or of floats; raise InputError where it cannot be taken."""
    walk = Walk(read_file(path), options)
    with np.errstate(all="ignore"):  # whatever is not finite at the end is refused there
        for op in walk.file.operators:
            _take(walk, op)
        return _imported(walk, options)


def _take(walk: Walk, op: Operator) -> None:
    """Go past one operator."""
    source, target = (walk.file.tensors[index] for index in (op.inputs[0], op.outputs[0]))
    if op.name in _SIDEWAYS and target.kind == "INT32":
        return
    if op.name == "DEQUANTIZE" and source.data is not None:
        walk.weights.widen(op)
        return
    if op.name not in _TAKEN:
        need = f"one of {', '.join(_TAKEN)}"
        raise walk.file.refused(op, op.name, need, _WAY_OUT.get(op.name, OTHERWISE))
    if walk.at not in op.inputs[: 2 if op.name in ("ADD", "MUL") else 1]:
        need = f"tensor {walk.at}, made right before"
        raise walk.file.refused(op, f"tensor {op.inputs[0]} as its input", need, CHAIN)
    if walk.ended is not None and op.name not in _AT_THE_END:
        raise walk.file.refused(op, f"it behind {walk.ended}", "it before", OTHERWISE)
    _TAKEN[op.name](walk, op)
    walk.at = op.outputs[0]


def _imported(walk: Walk, options: Options) -> Imported:
    """What was read; raise InputError where it is no classifier."""
    if walk.file.target != walk.at:
        found = f"tensor {walk.file.target} as the output"
        raise walk.file.refused(None, found, f"tensor {walk.at}, the last that is made", CHAIN)
    walk.check_no_pads(walk.file.operators[-1] if walk.file.operators else None)
    network = walk.chain.network(options, walk.scaling)
    notes = (_what_was_taken(walk), *walk.notes, what_goes_in(network))
    return Imported(network, SOURCE, notes, tuple(walk.left))


def _what_was_taken(walk: Walk) -> str:
    count = walk.chain.operators
    ops = f"{count} op{'' if count == 1 else 's'}"
    if walk.kind == INT8:
        return f"{ops} bit for bit as TensorFlow Lite Micro"
    return f"{ops} of floats, which are rounded here"
