"""What is linear behind or before a layer with weights, put into its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


def normalised(
    weights: Numbers, bias: Numbers, factor: Numbers, mean: Numbers | float, shift: Numbers
) -> tuple[Numbers, Numbers]:
    """Weights (outputs, …) and bias (outputs,) of a layer whose outputs y become (y − mean) · factor + shift."""
    return weights * _by_output(factor, weights.ndim), (bias - mean) * factor + shift


def denormalised(
    weights: Numbers, bias: Numbers, factor: Numbers, shift: Numbers, groups: int = 1
) -> tuple[Numbers, Numbers]:
    """Weights (outputs, inputs of one output, …) and bias of a layer whose inputs x become x · factor + shift, both
    (inputs,). Where the shift is not zero, nothing may be padded."""
    outputs, inputs = weights.shape[:2]
    group = np.repeat(np.arange(groups), outputs // groups)
    factors, shifts = (each.reshape(groups, inputs)[group] for each in (factor, shift))
    across = (*range(1, weights.ndim),)
    ends = (1,) * (weights.ndim - 2)
    added: Numbers = (weights * shifts.reshape(outputs, inputs, *ends)).sum(axis=across)
    return weights * factors.reshape(outputs, inputs, *ends), bias + added


def chained(first: Numbers, first_bias: Numbers, then: Numbers, then_bias: Numbers) -> tuple[Numbers, Numbers]:
    """One layer of two: weights (middle, …) and then (outputs, middle), with nothing between."""
    flat = first.reshape(len(first), -1)
    return (then @ flat).reshape(len(then), *first.shape[1:]), then @ first_bias + then_bias


def ungrouped(weights: Numbers, groups: int) -> Numbers:
    """Weights (outputs, channels of a group, row, column) as (outputs, channels, row, column), zeros for the channels
    of other groups."""
    outputs, share = weights.shape[:2]
    full: Numbers = np.zeros((outputs, groups, *weights.shape[1:]), weights.dtype)
    full[np.arange(outputs), np.repeat(np.arange(groups), outputs // groups)] = weights
    return full.reshape(outputs, groups * share, *weights.shape[2:])


def _by_output(values: Numbers, ndim: int) -> Numbers:
    return values.reshape(-1, *(1,) * (ndim - 1))
