"""Random chains of dense layers as the compiler of unrolled code takes them, with what they compute, as integers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from definition import requantised
from numpy.typing import NDArray

from host.compile.kernels.code import _sources
from host.compile.kernels.unrolled.blocks import Prices
from host.compile.kernels.unrolled.compiler import CALL_CYCLES, Source, Unrolled
from host.compile.kernels.unrolled.product_sets import union
from host.quantise.graph import Graph

LARGEST = {"ternary": 1, "int4": 7, "int8": 127}
"""Weights by format."""
BIAS_MAX = 2000


def chain(
    random: np.random.Generator,
    sizes: Sequence[int],
    fmt: str,
    *,
    levels: int = 255,
    hidden_levels: int = 255,
    shift: int = 16,
    share: float = 0.6,
    sum_bits: int = 16,
) -> list[Source]:
    """Layers sizes[0]-sizes[1]-…, a multiplier for each row; inputs of 0..levels, activations of 0..hidden_levels.
    About `share` of the weights are not 0, fewer where sums would not fit `sum_bits`; every third row has few and
    small ones."""
    sources, offset = [], 0
    multiplier_max = 0xFFFF >> ((16 if shift <= 16 else 24) - shift)
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        top = levels if index == 0 else hidden_levels
        weights, bias = _numbers(random, (outputs, inputs), LARGEST[fmt], share)
        while top * np.abs(weights).sum(axis=1).max() > 2 ** (sum_bits - 1) - BIAS_MAX - 1:
            weights *= random.random(weights.shape) < 0.9
        is_last = index == len(sizes) - 2
        highest = np.maximum(1, bias + top * np.maximum(weights, 0).sum(axis=1))
        wanted = hidden_levels * 2.0**shift / highest * random.uniform(0.2, 3.0, outputs)
        sources.append(
            Source(
                weights=weights,
                bias=bias,
                multiplier=0 if is_last else np.clip(wanted, 1, multiplier_max).astype(np.int64),
                shift=0 if is_last else shift,
                levels=top,
                source=offset,
                target=offset + inputs,
                density=random.random(inputs),
                output_levels=None if is_last else hidden_levels,
            )
        )
        offset += inputs
    return sources


def sources_of(graph: Graph) -> list[Source]:
    """The layers of a graph of dense ops, each one's activations behind those of the one before."""
    found: list[Source] = []
    for source in _sources(graph.ops, 0, 0):
        start = found[-1].target if found else 0
        found.append(replace(source, source=start, target=start + source.weights.shape[1]))
    return found


def _numbers(
    random: np.random.Generator, shape: tuple[int, int], largest: int, share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    weights = np.rint(random.laplace(0, max(0.7, largest / 3), shape)).clip(-largest, largest).astype(np.int64)
    weights *= random.random(shape) < share
    weights[::3] = np.sign(weights[::3]) * (random.random(weights[::3].shape) < 0.3)
    return weights, random.integers(-BIAS_MAX, BIAS_MAX + 1, shape[0])


def layer_values(
    sources: Sequence[Source], features: NDArray[np.uint8]
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.int64]]]:
    """The inputs and the sums of every layer."""
    values, sums = [features], []
    for source in sources:
        sums.append(values[-1].astype(np.int64) @ source.weights.T + source.bias)
        if not source.is_scores:
            top = source.levels if source.output_levels is None else source.output_levels
            values.append(requantised(sums[-1], np.asarray(source.multiplier), source.shift, top))
    return values, sums


def expected_cycles(
    weights: NDArray[np.int64],
    density: NDArray[np.float64],
    levels: int,
    blocks: Iterable[Iterable[int]],
    sum_bytes: NDArray[np.int64] | None = None,
) -> float:
    """What `split_blocks` takes for the mean cycles of the inputs of a layer."""
    prices, total = Prices(weights, density, levels, sum_bytes), 0.0
    for block in blocks:
        rows = list(block)
        total += float(prices.of(union(prices.sets[rows]), prices.adding[rows].sum(axis=0)))
    return total


def input_cycles(unrolled: Unrolled, layer: int, density: NDArray[np.float64]) -> float:
    """Mean cycles of the code for one layer's inputs, without what begins and ends its sums."""
    parts = [part for part in unrolled.parts if part.layer == layer and part.title.startswith("input ")]
    return sum(density[p.input] * p.cycles_nonzero + (1 - density[p.input]) * p.cycles_zero for p in parts)


def cycles_of(unrolled: Unrolled, nonzero: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """Of each of N inferences, call and return included; nonzero[layer] is (N, inputs): the inputs of that layer that
    are not 0. What they do not tell is left out: a hidden sum that is not negative and rounds to 0 takes some ten to
    forty cycles more, and each score that is larger than all before it takes one, or three if long."""
    total = np.full(len(nonzero[0]), CALL_CYCLES, np.int64)
    for part in unrolled.parts:
        given = np.ones(len(total), np.bool_) if part.input < 0 else nonzero[part.layer][:, part.input]
        total += np.where(given, part.cycles_nonzero, part.cycles_zero)
    return total


def assembly(unrolled: Unrolled) -> str:
    """The routine as the assembler wants it, called model_dense."""
    lines = [op.text for part in unrolled.parts for op in part.ops]
    return "\n".join([".section .text.model_dense", ".global model_dense", "model_dense:", *lines, ""])
