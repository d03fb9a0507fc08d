"""Runs kernels of type nn_avr_patch24 in the simulator, and compares their sums, cycles and stack with NumPy's and the
documented ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from avr_machine import Call, Machine
from numpy.typing import NDArray

Make = Callable[..., Machine]
RETURN_ADDRESS_BYTES = 2
_SLACK_CYCLES = 2
_GUARD = b"\xa5" * 4


@dataclass(frozen=True)
class Walk(ABC):
    """One call. weights (rows, inputs of a row, outputs), bias (outputs,), x with the inputs; then gaps in bytes and
    what to skip. The rest is what a kind of kernel makes of it; `stack` is in bytes, without the return address."""

    weights: NDArray[np.int64]
    bias: NDArray[np.int64]
    x: NDArray[np.uint8]
    skip: int
    weights_gap: int
    in_gap: int
    pixel_gap: int = 0

    stack: ClassVar[int]

    @property
    @abstractmethod
    def kernel(self) -> str:
        """Its name, but for the number of outputs."""

    @property
    @abstractmethod
    def rom(self) -> bytes:
        """See `block`."""

    @property
    @abstractmethod
    def inputs(self) -> bytes: ...

    @property
    @abstractmethod
    def exact(self) -> NDArray[np.int64]:
        """The sums, of any size."""

    @property
    @abstractmethod
    def cycles(self) -> int:
        """As the routine's header has it."""

    @property
    def description(self) -> bytes:
        """nn_avr_patch."""
        rows, run, _ = self.weights.shape
        words = (self.skip, rows | run << 8, self.weights_gap, self.in_gap, self.pixel_gap)
        return np.array(words, "<u2").tobytes()[:-1]

    @property
    def sums(self) -> list[int]:
        return _signed24(self.exact)

    def block(self, starts: Sequence[int], rows: Sequence[bytes]) -> bytes:
        """What lies in flash: where the sums start, then the rows of weights."""
        bias = b"".join((value % 2**24).to_bytes(3, "little") for value in starts)
        return bias + b"\x5a" * self.skip + b"".join(row + b"\x5a" * self.weights_gap for row in rows)


def check(make: Make, walks: Sequence[Walk]) -> None:
    chip = make(b"".join(walk.rom for walk in walks))
    calls, at = [], chip.blob
    for walk in walks:
        length = 3 * len(walk.bias)
        inputs_at = chip.room + len(walk.description)
        sums_at = inputs_at + len(walk.inputs)
        memory = (
            (chip.room, walk.description),
            (inputs_at, walk.inputs),
            (sums_at, b"\xa5" * length + _GUARD),
        )
        wanted = ((sums_at, length), (sums_at + length, len(_GUARD)))
        calls.append(Call(f"{walk.kernel}_{len(walk.bias)}", (inputs_at, chip.room, at, sums_at), memory, wanted))
        at += len(walk.rom)
    for walk, answer in zip(walks, chip.run(calls), strict=True):
        sums, behind = answer.memory
        assert behind.tobytes() == _GUARD, "wrote past its sums"
        assert _signed24(sums.reshape(-1, 3).astype(np.int64) @ [1, 1 << 8, 1 << 16]) == walk.sums
        assert abs(answer.cycles - walk.cycles) <= _SLACK_CYCLES
        assert answer.stack <= walk.stack + RETURN_ADDRESS_BYTES


def _signed24(values: NDArray[np.int64]) -> list[int]:
    """Reduced to 24 bits with their sign."""
    return ((values + 2**23) % 2**24 - 2**23).tolist()
