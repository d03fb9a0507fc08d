"""Optimisers over one flat vector, in parts, so that several threads can each update theirs. They know no layers."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import InputError

_CHUNK = 1 << 15  # elements updated at once, so that the temporaries stay in the cache


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent with (heavy-ball) momentum; `decay` pulls weights towards 0 by rate · decay.

    `reg`, here and elsewhere, is the factor of Σ weights² in the loss.
    """

    momentum: float = 0.0
    decay: float = 0.0
    reg: float = 0.0


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma, Ba: ICLR 2015), with decay decoupled as in AdamW (Loshchilov, Hutter: ICLR 2019).

    `as_seed_001` leaves the bias corrections out and puts ε inside the root.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0
    as_seed_001: bool = False
    reg: float = 0.0


@dataclass(frozen=True)
class LbfgsB:
    """All images at once by SciPy's L-BFGS-B; see full_batch.py. Knows no rate; a recipe's epochs are iterations."""

    gtol: float = 1e-5
    reg: float = 0.0


OptimiserSpec = Sgd | Adam


class Optimiser(ABC):
    """Changes `values` in place; `moments` are its memory, by name, for checkpoints."""

    def __init__(
        self, values: NDArray[Any], decays: NDArray[np.bool_], spec: "OptimiserSpec", moments: tuple[str, ...]
    ) -> None:
        self.values = values
        self.moments: dict[str, NDArray[Any]] = {name: np.zeros_like(values) for name in moments}
        self._decays = decays.astype(values.dtype) * spec.decay if spec.decay else None
        with np.errstate(over="ignore", invalid="ignore"):  # too large a factor shows in the loss
            self._pull = decays.astype(values.dtype) * values.dtype.type(2 * spec.reg) if spec.reg else None

    def update(self, part: slice, gradient: NDArray[Any], rate: float, step: int) -> None:
        """Update one part by the whole vector's `gradient`; `step` counts from 1. Parts may be updated in parallel."""
        start, stop, _ = part.indices(len(self.values))
        for low in range(start, stop, _CHUNK):
            chunk = slice(low, min(low + _CHUNK, stop))
            if self._decays is not None:
                self.values[chunk] *= 1 - rate * self._decays[chunk]
            slope = gradient[chunk]
            if self._pull is not None:
                slope = slope + self._pull[chunk] * self.values[chunk]
            self.values[chunk] -= self._move(chunk, slope, rate, step)

    @abstractmethod
    def _move(self, part: slice, gradient: NDArray[Any], rate: float, step: int) -> NDArray[Any]:
        """Return what to subtract."""


class _SgdOptimiser(Optimiser):
    def __init__(self, spec: Sgd, values: NDArray[Any], decays: NDArray[np.bool_]) -> None:
        super().__init__(values, decays, spec, ("velocity",) if spec.momentum else ())
        self._spec = spec

    def _move(self, part: slice, gradient: NDArray[Any], rate: float, step: int) -> NDArray[Any]:
        if not self._spec.momentum:
            return gradient * rate
        velocity = self.moments["velocity"][part]
        velocity *= self._spec.momentum
        velocity += gradient
        return velocity * rate


class _AdamOptimiser(Optimiser):
    def __init__(self, spec: Adam, values: NDArray[Any], decays: NDArray[np.bool_]) -> None:
        super().__init__(values, decays, spec, ("mean", "square"))
        self._spec = spec

    def _move(self, part: slice, gradient: NDArray[Any], rate: float, step: int) -> NDArray[Any]:
        spec, mean, square = self._spec, self.moments["mean"][part], self.moments["square"][part]
        mean *= spec.beta1
        work = gradient * (1 - spec.beta1)
        mean += work
        square *= spec.beta2
        np.multiply(gradient, gradient, out=work)
        work *= 1 - spec.beta2
        square += work
        if spec.as_seed_001:
            np.add(square, spec.epsilon, out=work)
            np.sqrt(work, out=work)
        else:
            # mean / (√(square / c2) + ε) · rate / c1, with the corrections moved to scalars
            correction = math.sqrt(1 - spec.beta2**step)
            np.sqrt(square, out=work)
            work += spec.epsilon * correction
            rate = rate * correction / (1 - spec.beta1**step)
        np.divide(mean, work, out=work)
        work *= rate
        return work


def optimiser(spec: OptimiserSpec, values: NDArray[Any], decays: NDArray[np.bool_]) -> Optimiser:
    """Return the optimiser of a specification over `values`; `decays` says which of them decay applies to."""
    return _SgdOptimiser(spec, values, decays) if isinstance(spec, Sgd) else _AdamOptimiser(spec, values, decays)


SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class Schedule:
    """The rate over all steps: a linear rise over the share `warmup`, then constant or along a cosine to 0."""

    rate: float
    kind: str = "constant"
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in SCHEDULES:
            need = f"one of {', '.join(SCHEDULES)}"
            raise InputError(f"train: schedule: found '{self.kind}', need {need}; choose one")

    def at(self, step: int, steps: int) -> float:
        """Return the rate of a step, counted from 0, of `steps`."""
        rise = max(1, round(self.warmup * steps)) if self.warmup else 0
        if step < rise:
            return self.rate * (step + 1) / rise
        if self.kind == "constant":
            return self.rate
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
