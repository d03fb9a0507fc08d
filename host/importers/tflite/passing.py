"""Operators that compute nothing on a board: at the ends of a net, or between layers."""

from __future__ import annotations

from host.importers.tflite import integers
from host.importers.tflite.file import FLOAT, INT8, Operator
from host.importers.tflite.state import AGAIN, OTHERWISE, Walk


def pad(walk: Walk, op: Operator) -> None:
    source = walk.checked(op, keeps_scale=True)
    pads = walk.weights.constant(op, 1, "paddings").reshape(-1).tolist()
    if not any(pads):
        return
    is_turned = walk.enter_map(op, source)
    if len(pads) != 8 or any(pads[:2]) or any(pads[6:]) or min(pads) < 0 or max(pads) > max(source.shape):
        raise walk.file.refused(op, f"paddings {pads[:8]}", "rows and columns around a map", OTHERWISE)
    top, bottom, left, right = pads[2:6]
    walk.chain.pad(op.place, (left, top, right, bottom) if is_turned else (top, left, bottom, right))
    walk.count(op)


def reshape(walk: Walk, op: Operator) -> None:
    """The same numbers in the same order; what needs a map looks whether it still is one."""
    source, target = walk.file.tensors[op.inputs[0]], walk.file.tensors[op.outputs[0]]
    if source.size != target.size or source.kind != target.kind:
        found = f"{source.kind} {source.shape} to {target.kind} {target.shape}"
        raise walk.file.refused(op, found, "the same numbers", AGAIN)
    if source.kind == INT8 and walk.ended is None:
        walk.checked(op, keeps_scale=True)
        walk.count(op)
    if not walk.has_begun and len(target.shape) == 4:
        walk.start = target.shape


def quantize(walk: Walk, op: Operator) -> None:
    source, target = walk.file.tensors[op.inputs[0]], walk.file.tensors[op.outputs[0]]
    if walk.ended is not None:
        return  # what leaves the file is the host's
    found = f"{source.kind} to {target.kind}"
    if walk.has_begun or op.inputs[0] != walk.file.source:
        raise walk.file.refused(op, f"{found} in between", "it at the input", AGAIN)
    if (source.kind, target.kind) == ("UINT8", INT8):
        walk.check_quantised(op, source)
        walk.check_quantised(op, target)
        if source.scales[0] != target.scales[0] or source.zeros[0] != target.zeros[0] + integers.CENTER:
            raise walk.file.refused(op, f"{found} of another scale or zero", "the same codes", AGAIN)
    elif (source.kind, target.kind) != (FLOAT, INT8):
        raise walk.file.refused(op, found, "FLOAT32 or UINT8 to INT8", "convert the net with int8")


def dequantize(walk: Walk, op: Operator) -> None:
    if walk.ended is None and walk.kind != INT8:
        raise walk.file.refused(op, "it before the first layer", "it at the end", AGAIN)
    _end(walk, op)


def softmax(walk: Walk, op: Operator) -> None:
    if op.options.get("Beta", 1.0) != 1.0:
        raise walk.file.refused(op, f"a beta of {op.options['Beta']:g}", "1", "scale the layer before")
    _end(walk, op)
    walk.left.append(op.name)


def arg_max(walk: Walk, op: Operator) -> None:
    _end(walk, op)
    walk.left.append(op.name)


def _end(walk: Walk, op: Operator) -> None:
    walk.ended = walk.ended or op.name
