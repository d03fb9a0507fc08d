"""The cheapest order of the products of one input, for weights compiled into AVR code (see compiler.py).

One input x (a register) meets several weights. Each distinct magnitude v needs v*x once; adding it to a sum is paid
elsewhere. What can make v*x, in cycles:

    x itself, shifted left k times in place, when v = 2^k     0, and 1 for each shift, shared by all that use it
    LDI + MUL                                                 3 (2 when a register holds v all along)
    the product before it plus or minus the shifted x         2
    the product before it doubled                             2

The shifted x must stay one byte, so x <= 63 allows two shifts and x <= 255 none. Everything here is pure integers.
"""

from collections.abc import Iterable, Iterator
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
    needed, kept = as_bits(magnitudes), as_bits(held)
    count = _cheapest(needed, shifts, kept)
    return Plan(_phases(needed, count, kept), _cycles(needed, count, kept))


def as_bits(numbers: Iterable[int]) -> int:
    """A set of small numbers as an integer that has bit n set for each n."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def _numbers(bits: int) -> Iterator[int]:
    """The numbers of a set, ascending.

    >>> list(_numbers(as_bits([3, 200, 5])))
    [3, 5, 200]
    """
    while bits:
        yield (bits & -bits).bit_length() - 1
        bits &= bits - 1


@lru_cache(maxsize=1 << 18)
def _cheapest(needed: int, shifts: int, held: int) -> int:
    """How often x is best shifted."""
    return min(range(shifts + 1), key=lambda count: _cycles(needed, count, held))


@lru_cache(maxsize=1 << 18)
def _cycles(needed: int, shifts: int, held: int) -> int:
    """What the plan costs that shifts x exactly `shifts` times."""
    made = needed & ~_direct(shifts)
    links = _link(made, shifts, held)
    chained = links.chained.bit_count()
    cycles = shifts + CHAIN_CYCLES * chained + MUL_CYCLES * (made.bit_count() - chained)
    if held:
        for k, phase in enumerate(links.phases):
            heads = phase & ~links.chained
            cycles -= (MUL_CYCLES - HELD_MUL_CYCLES) * sum(held >> (head >> k) & 1 for head in _numbers(heads))
    return cycles


def _phases(needed: int, shifts: int, held: int) -> tuple[tuple[Product, ...], ...]:
    """The products of the plan that shifts x exactly `shifts` times."""
    direct = needed & _direct(shifts)
    links = _link(needed & ~direct, shifts, held)
    found = []
    for k, phase in enumerate(links.phases):
        products = [Product(1 << k, "input")] if direct >> (1 << k) & 1 else []
        for head in _numbers(phase & ~links.chained):
            products.append(Product(head, "mul", head >> k))
            products += links.chain(head, k)
        found.append(tuple(products))
    return tuple(found)


def _direct(shifts: int) -> int:
    """The magnitudes that x itself is, one time or another."""
    return as_bits(1 << k for k in range(shifts + 1))


@dataclass(frozen=True)
class _Links:
    """How magnitudes follow one another: sets of them, as bits. `steps` for each phase: the next one is the shifted x
    more; `doubles`: the next is twice as much; `chained`: has another before it. `phases`: when each is made."""

    phases: tuple[int, ...]
    steps: tuple[int, ...]
    doubles: int
    chained: int

    def chain(self, head: int, phase: int) -> Iterator[Product]:
        """What is made one from the other behind `head`."""
        at = head
        while True:
            if self.steps[phase] >> at & 1:
                at += 1 << phase
                yield Product(at, "add")
            elif self.doubles >> at & 1:
                at *= 2
                yield Product(at, "double")
            else:
                return


_MULTIPLES = tuple(as_bits(range(0, 256, 1 << k)) for k in range(3))
"""For each phase."""


def _link(made: int, shifts: int, held: int) -> _Links:
    """Join magnitudes into chains, greedily.

    A chain stays within one phase, and its head must be a multiple of 2^phase, being made by MUL from the shifted x.
    """
    left, chained = made, 0
    phases, steps = [], []
    for k in range(shifts + 1):
        free = left & _MULTIPLES[k]
        low = free & free >> (1 << k)
        high = low << (1 << k)
        steps.append(low)
        phases.append(low | high)
        chained |= high
        left &= ~(low | high)
    phases[0] |= left
    doubles = 0
    for phase, stepping in zip(phases, steps, strict=True):
        for double in _numbers(phase & ~chained & _MULTIPLES[1]):
            if (phase & ~stepping) >> double // 2 & 1 and not held >> double & 1:
                doubles |= 1 << double // 2
    return _Links(tuple(phases), tuple(steps), doubles, chained | as_bits(2 * half for half in _numbers(doubles)))
