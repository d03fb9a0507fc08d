"""Pools that no convolution takes into its own pass, in C and in AVR assembly (nn.h, nn_avr.h)."""

from __future__ import annotations

from collections.abc import Mapping

from host.compile.boards import Chip
from host.compile.description import Description, small
from host.compile.kernels.kernel import OneOp, OneOpOnAvr, Packed, whole
from host.compile.kernels.portable import CONV_STACK, MAX_SIDE, map_refusal
from host.compile.memory import Place
from host.quantise.ops import Pool, elements

MAX_WINDOW = 256
"""Inputs whose sum, and half of their count, fit 16 bits."""
CENTERS = 0, 128


class PortablePool(OneOp[Pool]):
    """nn_pool_max and nn_pool_average."""

    name = "nn_pool"
    template = "c/pool.j2"
    runs = Pool
    stack = CONV_STACK

    def refusal(self, op: Pool) -> str | None:
        if op.center not in CENTERS:
            return f"found means rounded away from {op.center}, need {' or '.join(map(str, CENTERS))}"
        return pool_refusal(op)

    def packed(self, op: Pool, place: Place) -> Packed:
        return Packed(b"", pool_description(op, place))

    def counts(self, op: Pool, alive: float | None) -> Mapping[str, float]:
        signed = {"signed window": elements(op.output_shape)} if op.is_average and op.center else {}
        return {f"nn_pool {name}": count for name, count in (pool_counts(op) | signed).items()}

    def functions(self, op: Pool, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        name = f"nn_pool_{'average' if op.is_average else 'max'}"
        return whole(f"{name}_signed" if op.is_average and op.center else name)


def pool_description(op: Pool, place: Place) -> Description:
    """nn_pool. Strides and columns are left out where they follow from the size; floats are told all."""
    is_odd = not op.is_square or op.source.is_float
    values = {
        "width": op.input_shape[2],
        "channels": op.input_shape[0],
        "size": op.size[0],
        "out_height": op.output_shape[1],
        "out_width": op.output_shape[2],
        "backward": int(place.backward),
        "stride": op.strides[0] if op.strides != op.size or op.source.is_float else None,
        "size_width": op.size[1] if is_odd else None,
        "stride_width": op.strides[1] if is_odd else None,
    }
    return Description("nn_pool", small(values.items()))


def pool_counts(op: Pool) -> dict[str, float]:
    """Of a pool that goes over its windows one channel at a time."""
    kind, windows_of_all = "average" if op.is_average else "max", elements(op.output_shape)
    return {
        "once": 1,
        "line": op.output_shape[1],
        "position": windows_of_all / op.output_shape[0],
        f"{kind} window": windows_of_all,
        f"{kind} row": windows_of_all * op.size[0],
        f"{kind} input": windows_of_all * op.size[0] * op.size[1],
    }


def pool_refusal(op: Pool) -> str | None:
    """What the pools' descriptor has no field for."""
    if max(*op.input_shape) > MAX_SIDE or max(op.strides) > MAX_SIDE or op.size[0] * op.size[1] > MAX_WINDOW:
        shape, window, strides = ("x".join(map(str, sides)) for sides in (op.input_shape, op.size, op.strides))
        need = f"sides, channels and strides up to {MAX_SIDE}, at most {MAX_WINDOW} inputs in a window"
        return f"found {shape}, windows of {window}, strides {strides}, need {need}"
    return map_refusal(op)


class AvrPool(OneOpOnAvr[Pool]):
    """nn_avr_pool_max and nn_avr_pool_average: all channels of a window at once."""

    name = "nn_avr_pool"
    template = "avr8/pool.j2"
    runs = Pool
    stack = CONV_STACK

    def refusal(self, op: Pool) -> str | None:
        if not op.is_square:
            return f"found windows {op.size}, strides {op.strides}, need the same in both directions"
        if op.center:
            return f"found means rounded away from {op.center}, need all upwards"
        return pool_refusal(op)

    def packed(self, op: Pool, place: Place) -> Packed:
        return Packed(b"", pool_description(op, place))

    def counted(self, op: Pool, chip: Chip, alive: float | None) -> float:
        channels, height, width = op.output_shape
        size = op.size[0]
        # Half of a mean's bits are ones.
        once, channel, pixel = (51, 61 + 4, 9) if op.is_average else (32, 9, 10)
        return height * width * (once + channels * (channel + 5 * size + pixel * size**2))

    def counts(self, op: Pool, alive: float | None) -> Mapping[str, float]:
        _, height, width = op.output_shape
        return {"nn_avr_pool": 1, "nn_avr_pool row": height, "nn_avr_pool window": height * width}

    def functions(self, op: Pool, chip: Chip) -> Mapping[str, Mapping[str, float]]:
        return whole("nn_avr_pool", f"nn_avr_window_{'mean' if op.is_average else 'max'}")
