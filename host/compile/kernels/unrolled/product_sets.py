"""What the products of many inputs cost at once: the price of products' plan for arrays of sets of magnitudes.

Choosing blocks asks for a million sets, so here a set is two numbers and all sets are one array of each: bit n of
`even` says that 2n is in it, bit n of `odd` that 2n + 1 is. So the magnitude one or two above stands at most one bit
further on, and all of it fits two words of 64 bits. Nothing is held in registers. A test compares with `plan_products`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host.compile.kernels.unrolled.products import CHAIN_CYCLES, MUL_CYCLES

LARGEST = 127
"""The largest magnitude that a set may have."""

Bits = NDArray[np.uint64]

_ONE, _TWO = np.uint64(1), np.uint64(2)
_FOURS = np.uint64(0x5555555555555555)
"""The multiples of four among the even magnitudes."""
_DIRECT = tuple(np.uint64(bits) for bits in (0, 0b10, 0b110))
"""The even magnitudes that x itself is when shifted up to so many times; the odd one is 1."""
_SPREADS = tuple(
    (np.uint64(1 << k), np.uint64(mask))
    for k, mask in (
        (4, 0x0000FFFF0000FFFF),
        (3, 0x00FF00FF00FF00FF),
        (2, 0x0F0F0F0F0F0F0F0F),
        (1, 0x3333333333333333),
        (0, 0x5555555555555555),
    )
)
_PAIRS, _NIBBLES = np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTES, _FOUR, _TOP_BYTE = np.uint64(0x0101010101010101), np.uint64(4), np.uint64(56)
_LOW_HALF = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Sets:
    """Sets of magnitudes, of any shape."""

    even: Bits
    odd: Bits

    def __getitem__(self, rows: NDArray[np.int64]) -> Sets:
        return Sets(self.even[rows], self.odd[rows])

    def __or__(self, other: Sets) -> Sets:
        return Sets(self.even | other.even, self.odd | other.odd)


def sets_of(weights: NDArray[np.int64]) -> Sets:
    """For each weight the set of its magnitude alone, empty for 0."""
    magnitudes = np.abs(weights).astype(np.uint64)
    assert magnitudes.max(initial=0) <= LARGEST
    place = _ONE << (magnitudes >> _ONE)
    is_odd = magnitudes % _TWO == 1
    nothing = np.uint64(0)
    return Sets(np.where(is_odd | (magnitudes == 0), nothing, place), np.where(is_odd, place, nothing))


def union(sets: Sets) -> Sets:
    """All of the first axis in one."""
    return Sets(np.bitwise_or.reduce(sets.even, axis=0), np.bitwise_or.reduce(sets.odd, axis=0))


def product_cycles(sets: Sets, shifts: int) -> NDArray[np.int64]:
    """The cycles of the cheapest plan for each set, where x may be shifted up to `shifts` times."""
    odd = sets.odd & ~_ONE
    odd_count = _count(odd)
    best = None
    for count in range(shifts + 1):
        even = sets.even & ~_DIRECT[count]
        made = odd_count + _count(even)
        cycles = count + MUL_CYCLES * made - (MUL_CYCLES - CHAIN_CYCLES) * _chained(even, odd, count)
        best = cycles if best is None else np.minimum(best, cycles)
    assert best is not None
    return best


def _chained(even: Bits, odd: Bits, shifts: int) -> NDArray[np.int64]:
    """How many magnitudes follow from another one, as products._link joins them."""
    odd_ends, odd_steps = even & odd, odd & even >> _ONE
    steps, ends = odd_ends, odd_steps << _ONE
    left, unshifted = even & ~(steps | ends), even
    followers = ends
    for k in range(1, shifts + 1):
        # Even magnitudes two apart, multiples of four that are four apart: next to each other but for what is between.
        free, apart = (left, _ONE) if k == 1 else (left & _FOURS, _TWO)
        low = free & free >> apart
        high = low << apart
        left = left & ~(low | high)
        unshifted = unshifted & ~(low | high)
        followers = followers | high | low & ~high & _spread(high & ~low)
    twice = _spread(unshifted & ~steps) | _spread(odd & ~odd_steps) << _ONE
    return _count(followers | unshifted & ~ends & twice) + _count(odd_ends)


def _spread(bits: Bits) -> Bits:
    """Bit n of the lower half moves to bit 2n."""
    bits = bits & _LOW_HALF
    for shift, mask in _SPREADS:
        bits = (bits | bits << shift) & mask
    return bits


def _count(bits: Bits) -> NDArray[np.int64]:
    """How many bits are set."""
    bits = bits - (bits >> _ONE & _FOURS)
    bits = (bits & _PAIRS) + (bits >> _TWO & _PAIRS)
    bits = bits + (bits >> _FOUR) & _NIBBLES
    counts: NDArray[np.int64] = (bits * _BYTES >> _TOP_BYTE).astype(np.int64)
    return counts
