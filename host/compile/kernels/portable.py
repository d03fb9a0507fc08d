"""The portable kernels: C for every chip (firmware/lib/nn/nn.h), which compute whatever no other kernel does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from host.compile.boards import Chip
from host.compile.description import Description, Field, rows_field, small
from host.compile.kernels import layouts
from host.compile.kernels.kernel import OneOp, Packed, whole
from host.compile.memory import Place
from host.nn.formats import FULL_TOP
from host.quantise.ops import Codes, Conv, Dense, Pool, Rows, elements
from host.quantise.requantisers import DoubleRounding

MAX_SIDE = 255
MAX_POOL = 16
MAX_INPUTS = 0xFFFF
"""Also of bytes of a map, and of weights of one output: the kernels count both in 16 bits, on every machine."""

CONV_STACK, DENSE_STACK = 240, 128
"""With the serial line's interrupt on top and by either compiler tools/avr_stack.py finds no more than 240 on a Mega,
206 on an Uno, and without a convolution 85."""

_LIKENESS = 0.25
"""0 would say that the sums in a pool's window are all above 0 or none, 1 that one says nothing of the others."""


def rows_refusal(rows: Rows, source: Codes) -> str | None:
    """What no kernel of u8 activations and rows of numbers can compute, whatever the op."""
    if source.zero or source.low or rows.codes.zero or rows.codes.low:
        zero = rows.codes.zero or source.zero
        return f"found codes that stand for 0 at {zero}, need 0"
    return layouts.rule_refusal(rows)


def patch_cycles(run: int) -> int:
    """nn_patch_sum or nn_run_sum over one run of inputs: in fours and then one by one."""
    return 12 * run + 4 * (run // 4) + 3 * (run % 4)


def sums_cycles(op: Conv) -> float:
    """nn_patch_sum at all positions, of weights of a byte each."""
    share = op.input_shape[0] // op.groups
    if op.groups == 1:
        sums = sum(count * y * patch_cycles(x * share) for (y, x), count in windows(op).items())
    else:
        sums = sum(count * y * x for (y, x), count in windows(op).items()) * patch_cycles(share)
    return op.rows.outputs * sums


def windows(op: Conv) -> Counter[tuple[int, int]]:
    """How often the kernel is computed with so many of its rows and columns inside the map."""
    return Counter((y, x) for y in op.covered(0) for x in op.covered(1))


def positive_share(op: Conv, alive: float | None) -> float:
    """How often a sum is above 0, from how many outputs are not 0 behind the max-pool: neighbours are much alike."""
    if alive is None:
        return 0.5
    share = min(alive / elements(op.output_shape), 1.0)
    together = float(op.pool[0] * op.pool[1]) ** -_LIKENESS
    return float(1 - (1 - share) ** together)


class PortableConv(OneOp[Conv]):
    """nn_conv: convolution, activation and max-pool in one pass."""

    name = "nn_conv"
    template = "c/conv.j2"
    runs = Conv
    stack = CONV_STACK

    def refusal(self, op: Conv) -> str | None:
        return conv_refusal(op)

    def packed(self, op: Conv, place: Place) -> Packed:
        return Packed(layouts.row_bytes(op), Description("nn_conv_i8", conv_fields(op, place)))

    def counted(self, op: Conv, chip: Chip, alive: float | None) -> float:
        return sums_cycles(op) if op.rows.format.bits == 8 else 0.0

    def counts(self, op: Conv, alive: float | None) -> Mapping[str, float]:
        kind, outputs = _kind(op.rows), op.rows.outputs
        found = windows(op)
        positions = sum(found.values())
        rows = sum(count * y for (y, _), count in found.items())
        pixels = sum(count * y * x for (y, x), count in found.items())
        runs, patches = (rows, positions) if op.groups == 1 else (pixels, rows)
        counts = {
            "nn_conv": 1,
            "nn_conv position": positions,
            f"nn_conv {kind} sum": positions * outputs,
            f"nn_conv {kind} {'run' if op.groups == 1 else 'grouped run'}": runs * outputs,
            "a positive sum": positive_share(op, alive) * positions * outputs,
        }
        if op.rows.format.bits < 8:
            products = pixels * (op.input_shape[0] // op.groups)
            counts[f"nn_conv {op.rows.format.label} further product"] = (products - runs) * outputs
        else:
            counts["nn_conv i8 patch"] = (patches - positions) * outputs
        return counts

    def functions(self, op: Conv, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        kind = _kind(op.rows)
        sums = "nn_patch_sum" if kind == "i8" else "nn_packed_sum"
        return whole("nn_walk_load", f"nn_conv_{kind}_run", sums)


def conv_fields(op: Conv, place: Place, prefix: str = "") -> tuple[Field, ...]:
    """nn_conv_i8. What is the same for columns as for rows is left out, and so is the usual top; the shift is 0 where
    each output has its own."""
    shift = 0 if isinstance(op.rows.requantiser, DoubleRounding) else layouts.board_rule(op.rows)[1]
    ends = {"shift": shift, "backward": int(place.backward), "bits": op.rows.format.bits, "top": top_field(op.codes)}
    sides = side_fields(op, for_columns=not op.is_square)
    return (rows_field(prefix), *small((sides | ends).items(), prefix))


def side_fields(op: Conv, *, for_columns: bool) -> dict[str, int | None]:
    """What integers and floats are told alike, in the order of C."""
    channels, height, width = op.input_shape
    rows = {"kernel": op.kernel[0], "stride": op.strides[0], "padding": op.pads[0], "pool": op.pool[0]}
    columns = (op.kernel[1], op.strides[1], op.pads[1], op.pool[1])
    names = ("kernel_width", "stride_width", "padding_left", "pool_width")
    groups = {"group_inputs": channels // op.groups, "group_outputs": op.rows.outputs // op.groups}
    outputs = {"out_height": op.output_shape[1], "out_width": op.output_shape[2], "outputs": op.rows.outputs}
    others = dict(zip(names, columns if for_columns else (None,) * 4, strict=True))
    return {"height": height, "width": width, "channels": channels} | rows | others | groups | outputs


def top_field(codes: Codes) -> int | None:
    """The largest activation, where it is not the usual one."""
    return None if codes.high == FULL_TOP else codes.high


def conv_refusal(op: Conv) -> str | None:
    """What no convolution kernel of u8 activations can compute."""
    return sides_refusal(op) or rows_refusal(op.rows, op.source)


def sides_refusal(op: Conv) -> str | None:
    """What a convolution's description has no room for."""
    if max(*op.input_shape, op.rows.outputs, *op.output_shape) > MAX_SIDE or max(op.pool) > MAX_POOL:
        found = f"{'x'.join(map(str, op.input_shape))}, {op.rows.outputs} channels out, pool {max(op.pool)}"
        return f"found {found}, need sides and channels up to {MAX_SIDE}, pools and their strides up to {MAX_POOL}"
    if max(*op.kernel, *op.strides, *op.pads, *op.used) > MAX_SIDE:
        found = f"kernel {op.kernel}, strides {op.strides}, padding {op.pads}, {op.used} positions"
        return f"found {found}, need each up to {MAX_SIDE}"
    if op.rows.flat.shape[1] > MAX_INPUTS:
        return f"found {op.rows.flat.shape[1]:,} weights of one output, need {MAX_INPUTS:,} at most"
    return map_refusal(op)


def map_refusal(op: Conv | Pool) -> str | None:
    """What the kernels cannot count in 16 bits."""
    largest = max(op.source.item * elements(op.input_shape), op.codes.item * elements(op.output_shape))
    return f"found a map of {largest:,} bytes, need {MAX_INPUTS:,} at most" if largest > MAX_INPUTS else None


def _kind(rows: Rows) -> str:
    """As the functions are called."""
    return "i8" if rows.format.bits == 8 else "packed"


class PortableDense(OneOp[Dense]):
    """nn_dense: fully connected, over a whole map as it lies in memory."""

    name = "nn_dense"
    template = "c/dense.j2"
    runs = Dense
    stack = DENSE_STACK

    def refusal(self, op: Dense) -> str | None:
        return dense_refusal(op)

    def packed(self, op: Dense, place: Place) -> Packed:
        shift, bits, top = layouts.board_rule(op.rows)[1], op.rows.format.bits, hidden_top(op)
        ends = small((("outputs", op.rows.outputs), ("shift", shift), ("bits", bits), ("top", top)))
        return Packed(
            layouts.row_bytes(op), Description("nn_dense", (rows_field(), Field("inputs", 2, op.inputs), *ends))
        )

    def counted(self, op: Dense, chip: Chip, alive: float | None) -> float:
        return op.rows.outputs * patch_cycles(op.inputs) if op.rows.format.bits == 8 else 0.0

    def counts(self, op: Dense, alive: float | None) -> Mapping[str, float]:
        kind, end, outputs = _kind(op.rows), end_of(op), op.rows.outputs
        counts = {f"nn_dense {end}": 1.0, f"nn_dense {kind} {end} sum": outputs}
        if end == "hidden":
            counts["a positive sum"] = outputs / 2 if alive is None else alive
        if op.rows.format.bits < 8:
            counts[f"nn_dense {op.rows.format.label} further product"] = outputs * (op.inputs - 1)
        return counts

    def functions(self, op: Dense, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        kind = _kind(op.rows)
        called = "nn_dense_" if kind == "i8" else "nn_dense_packed_"
        names = [called + end_of(op), "nn_run_sum" if kind == "i8" else "nn_packed_run_sum"]
        names += ["nn_argmax_i32"] if end_of(op) == "scores" else []
        return whole(*names)


def hidden_top(op: Dense) -> int | None:
    """As top_field; scores have none."""
    return top_field(op.codes) if op.rows.requantiser else None


def end_of(op: Dense) -> str:
    """Whether it ends in activations or in scores."""
    return "scores" if op.rows.requantiser is None else "hidden"


def dense_refusal(op: Dense) -> str | None:
    """What no dense kernel of u8 activations can compute."""
    return units_refusal(op) or rows_refusal(op.rows, op.source)


def units_refusal(op: Dense) -> str | None:
    """What a dense layer's description has no room for."""
    if op.inputs > MAX_INPUTS or op.rows.outputs > MAX_SIDE:
        found = f"dense {op.inputs}-{op.rows.outputs}"
        return f"found {found}, need at most {MAX_SIDE} units, of at most {MAX_INPUTS:,} inputs"
    return None
