"""What every engine is: the arithmetic that trains a net for an epoch, whatever does it."""

from collections.abc import Callable
from typing import Any, Protocol

from numpy.typing import NDArray

from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.train.batches import EpochBatches, EpochResult, Tick
from host.train.optimisers import OptimiserSpec


class Engine(Protocol):
    """Trains numbers in place."""

    parameters: Parameters  # up to date whenever no epoch runs

    @property
    def moments(self) -> dict[str, NDArray[Any]]:
        """The optimiser's memory, to be saved, or written into before the first epoch."""

    def epoch(self, given: EpochBatches, epoch: int, rate: Callable[[int], float], tick: Tick) -> EpochResult:
        """Train for one epoch, counted from 0; `rate` gives the rate of a batch of the epoch, from 0."""

    def refresh(self) -> None:
        """Bring `parameters` up to date in the middle of an epoch; to be called by its `tick`."""


MakeEngine = Callable[[Parameters, Scaling, OptimiserSpec, int], Engine]
"""Makes an engine from numbers, the codes' scaling, the optimiser and the seed."""
