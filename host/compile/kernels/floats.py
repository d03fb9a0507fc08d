"""The portable float kernels: C for every chip (firmware/lib/nn/nn.h); docs/numerics.md has the order of their sums."""

from __future__ import annotations

from dataclasses import dataclass

from host.compile.boards import Chip
from host.compile.kernels import layouts, portable
from host.compile.kernels.kernel import Cost, OneOp, Ops, Packed
from host.nn.formats import WeightFormat
from host.quantise.graph_hash import little_endian
from host.quantise.ops import Dense


@dataclass(frozen=True)
class _Cycles:
    """Multiplying by an input of zero and adding the product is quicker than by others; each input is read and
    converted once for all neurons."""

    nonzero_mac: float
    zero_mac: float
    feature: float
    activation: float
    score: float
    code: int


_CYCLES = {
    WeightFormat.FLOAT32: _Cycles(335.9, 233.6, 207.0, 190.0, 80.0, 2030),
    WeightFormat.FLOAT16: _Cycles(369.2, 278.7, 196.0, 190.0, 80.0, 2036),
}
_LONG_CALL_MAC = 12.0
"""Six calls and returns of one cycle more each."""
_CALLED = {WeightFormat.FLOAT32: "f32", WeightFormat.FLOAT16: "f16"}
_C_TYPES = {WeightFormat.FLOAT32: "float", WeightFormat.FLOAT16: "uint16_t"}


class FloatDense(OneOp[Dense]):
    """nn_dense_f32 and nn_dense_f16, over codes or floats."""

    name = "nn_dense_float"
    template = "c/dense_float.j2"
    runs = Dense

    def takes(self, ops: Ops) -> int:
        return int(isinstance(ops[0], Dense) and ops[0].rows.format in _CYCLES)

    def refusal(self, op: Dense) -> str | None:
        if op.inputs > portable.MAX_INPUTS or op.rows.outputs > portable.MAX_SIDE:
            return f"found dense {op.inputs}-{op.rows.outputs}, need at most {portable.MAX_INPUTS}-{portable.MAX_SIDE}"
        return None

    def packed(self, op: Dense) -> Packed:
        bias = little_endian(op.rows.bias)
        weights = little_endian(layouts.map_order(op))
        facts = {"called": _CALLED[op.rows.format], "ctype": _C_TYPES[op.rows.format], "weights_at": len(bias)}
        return Packed(bias + weights, facts, is_near=True, align=4)

    def cost_of(self, op: Dense, chip: Chip, alive: float | None) -> Cost:
        costs, more = _CYCLES[op.rows.format], _LONG_CALL_MAC if chip.long_calls else 0.0
        macs = (costs.nonzero_mac + more) * op.nonzero + (costs.zero_mac + more) * (op.inputs - op.nonzero)
        argmax = 0.0 if op.rows.relu else costs.score * op.rows.outputs
        reading = op.inputs * (costs.activation if op.source.is_float else costs.feature)
        code = {f"nn_dense_{_CALLED[op.rows.format]}": costs.code}
        return Cost(op.rows.outputs * macs + reading + argmax, code, stack=portable.DENSE_STACK)
