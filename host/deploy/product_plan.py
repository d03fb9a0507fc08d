"""The cheapest order of the products of one input, for weights compiled into AVR code (see unroll.py).

One input x (a register) meets several weights. Each distinct magnitude v needs v*x once; adding it to a sum is paid
elsewhere. What can make v*x, in cycles:

    x itself, shifted left k times in place, when v = 2^k     0, and 1 for each shift, shared by all that use it
    LDI + MUL                                                 3 (2 when a register holds v all along)
    the product before it plus or minus the shifted x         2
    the product before it doubled                             2

The shifted x must stay one byte, so x <= 63 allows two shifts and x <= 255 none. Everything here is pure integers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

MUL_CYCLES = 3
HELD_MUL_CYCLES = 2
CHAIN_CYCLES = 2


@dataclass(frozen=True)
class Product:
    """How v*x comes about: `kind` is input, mul, add or double; `immediate` is the factor of a mul."""

    magnitude: int
    kind: str
    immediate: int = 0


@dataclass(frozen=True)
class Plan:
    """`phases[k]` lists the products made while x is shifted left k times."""

    phases: tuple[tuple[Product, ...], ...]
    cycles: int


def max_shifts(levels: int) -> int:
    """How often an input of 0..levels may be doubled and still be one byte."""
    return max(k for k in range(3) if levels << k <= 255)


def plan_products(magnitudes: Iterable[int], shifts: int, held: Iterable[int] = ()) -> Plan:
    """The cheapest plan found for a set of magnitudes 1..255; `held` are factors that registers hold already."""
    return _plan(frozenset(magnitudes), shifts, frozenset(held))


@lru_cache(maxsize=1 << 18)
def _plan(magnitudes: frozenset[int], shifts: int, held: frozenset[int]) -> Plan:
    candidates = [_plan_with(magnitudes, k, held) for k in range(shifts + 1)]
    return min(candidates, key=lambda plan: plan.cycles)


def _plan_with(magnitudes: frozenset[int], shifts: int, held: frozenset[int]) -> Plan:
    """The plan that shifts x exactly `shifts` times."""
    direct = {1 << k for k in range(shifts + 1)} & magnitudes
    successor, phase_of = _link(magnitudes - direct, shifts, held)
    phases = []
    for k in range(shifts + 1):
        products = [Product(1 << k, "input")] if 1 << k in direct else []
        heads = sorted(v for v, phase in phase_of.items() if phase == k and v not in successor.values())
        for head in heads:
            products.append(Product(head, "mul", head >> k))
            at = head
            while at in successor:
                products.append(Product(successor[at], "add" if successor[at] - at == 1 << k else "double"))
                at = successor[at]
        phases.append(tuple(products))
    return Plan(tuple(phases), shifts + sum(_cycles(p, held) for phase in phases for p in phase))


def _cycles(product: Product, held: frozenset[int]) -> int:
    if product.kind == "input":
        return 0
    if product.kind == "mul":
        return HELD_MUL_CYCLES if product.immediate in held else MUL_CYCLES
    return CHAIN_CYCLES


def _link(nodes: set[int] | frozenset[int], shifts: int, held: frozenset[int]) -> tuple[dict[int, int], dict[int, int]]:
    """Joins magnitudes into chains, greedily: {v: next v} and {v: number of shifts of x while it is made}.

    A chain stays within one phase, and its head must be a multiple of 2^phase, being made by MUL from the shifted x.
    """
    successor: dict[int, int] = {}
    phase_of: dict[int, int] = {}
    for k in range(shifts + 1):
        free = sorted(v for v in nodes if v not in phase_of and v % (1 << k) == 0)
        for low, high in _steps(free, 1 << k):
            successor[low] = high
            phase_of[low] = phase_of[high] = k
    for v in nodes:
        phase_of.setdefault(v, 0)
    heads = set(nodes) - set(successor.values())
    for v in sorted(nodes):
        double = 2 * v
        if v not in successor and double in heads and phase_of.get(double) == phase_of[v] and double not in held:
            successor[v] = double
            heads.discard(double)
    return successor, phase_of


def _steps(values: list[int], step: int) -> list[tuple[int, int]]:
    """Pairs of values exactly `step` apart.

    >>> _steps([3, 4, 5, 9, 11], 1)
    [(3, 4), (4, 5)]
    """
    present = set(values)
    return [(v, v + step) for v in values if v + step in present]
