"""The float layers in C against one float32 rounding per product and per sum, in the stated order."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from c_arguments import pointer
from numpy.typing import NDArray


class Layer(ctypes.Structure):
    """nn_dense_f16 and nn_dense_f32."""

    _fields_ = (
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("inputs", ctypes.c_uint16),
        ("outputs", ctypes.c_uint8),
    )


def defined(weights: NDArray[np.float32], bias: NDArray[np.float32], x: NDArray[np.float32], relu: bool) -> list[int]:
    """The bit patterns of the outputs."""
    out = []
    for row, start in zip(weights, bias, strict=True):
        total = np.float32(start)
        for w, v in zip(row, x, strict=True):
            total = np.float32(total + np.float32(w * v))
        out.append(total if total > 0 or not relu else np.float32(0.0))
    return np.array(out, np.float32).view(np.uint32).tolist()


def run(
    core: ctypes.CDLL, weights: NDArray[np.generic], bias: NDArray[np.float32], x: NDArray[np.generic], relu: bool
) -> list[int]:
    """What the kernel for these types answers, as bit patterns."""
    name = f"nn_dense_{'f16' if weights.dtype == np.float16 else 'f32'}_{'u8' if x.dtype == np.uint8 else 'f32'}"
    outputs, inputs = weights.shape
    out = np.full(outputs + 4, np.float32(7.25))
    layer = Layer(pointer(weights), pointer(bias), inputs, outputs)
    getattr(core, name)(ctypes.byref(layer), pointer(x), int(relu), pointer(out))
    assert np.all(out[outputs:] == np.float32(7.25)), "wrote past its outputs"
    return out[:outputs].view(np.uint32).tolist()


@pytest.mark.parametrize("inputs", [1, 2, 64, 300])
@pytest.mark.parametrize("weight_type", [np.float16, np.float32])
@pytest.mark.parametrize("input_type", [np.uint8, np.float32])
@pytest.mark.parametrize("relu", [False, True])
def test_random_layers(core: ctypes.CDLL, inputs: int, weight_type: type, input_type: type, relu: bool) -> None:
    random = np.random.default_rng(inputs)
    weights = random.normal(0, 0.1, (40, inputs)).astype(weight_type)
    bias = random.normal(0, 1, 40).astype(np.float32)
    x = random.integers(0, 256, inputs).astype(input_type)
    if input_type is np.float32:
        x = random.normal(0, 9, inputs).astype(np.float32)
    expected = defined(weights.astype(np.float32), bias, x.astype(np.float32), relu)
    assert run(core, weights, bias, x, relu) == expected


def test_products_are_rounded_before_they_are_added(core: ctypes.CDLL) -> None:
    # (1 + e)^2 - 1 - 2e is e^2 in a fused multiply-add, and 0 with the product rounded.
    e = np.float32(2.0**-13)
    weights = np.array([[1 + e]], np.float32)
    bias = np.array([-(1 + 2 * e)], np.float32)
    assert run(core, weights, bias, np.array([1 + e], np.float32), False) == [0]


@pytest.mark.parametrize("bias", [-1.0, -0.0, 0.0, -1e-45])
def test_relu_gives_plus_zero(core: ctypes.CDLL, bias: float) -> None:
    weights = np.zeros((1, 4), np.float32)
    assert run(core, weights, np.array([bias], np.float32), np.zeros(4, np.uint8), True) == [0]


def test_every_half_decodes_exactly(core: ctypes.CDLL) -> None:
    core.nn_half_to_float.restype = ctypes.c_float
    halves = np.arange(65536, dtype=np.uint32).astype(np.uint16)
    expected = halves.view(np.float16).astype(np.float32)
    got = np.array([core.nn_half_to_float(int(half)) for half in halves], np.float32)
    numbers = ~np.isnan(expected)
    assert np.array_equal(got[numbers].view(np.uint32), expected[numbers].view(np.uint32))
    assert np.all(np.isnan(got[~numbers]))
