"""A wider net that learns beside the one that is wanted, batch for batch, and says in each epoch what it thinks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn.inference import scores
from host.nn.network import Scaling
from host.nn.numpy import softmax
from host.nn.parameters import Parameters
from host.train.batches import EpochBatches
from host.train.engine import Engine
from host.train.recipe import Companion

_AT_ONCE = 512  # images through its layers: it is small


@dataclass(frozen=True, eq=False)
class CompanionNet:
    """`hard` (N, classes) are its own targets, without smoothing: a smoothed teacher has less to tell (Müller,
    Kornblith, Hinton, NeurIPS 2019). Its rate is `rate_factor` times the net's."""

    rules: Companion
    engine: Engine
    scaling: Scaling
    hard: NDArray[np.float32]
    rate_factor: float

    def learn_and_mix(self, given: EpochBatches, epoch: int, rate: Callable[[int], float]) -> EpochBatches:
        """Train it for an epoch, then return what the net itself is given: the same, its opinion in the targets."""
        own = replace(given, targets=self.hard, soft=None)
        self.engine.epoch(own, epoch, lambda index: self.rate_factor * rate(index), lambda index, loss: None)
        return mixed(self.rules, self.engine.parameters, self.scaling, given)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that the next epoch depends on, by name, to be saved or written into."""
        moments = {f"companion.moment.{name}": array for name, array in self.engine.moments.items()}
        return {"companion": self.engine.parameters.flat} | moments


def mixed(rules: Companion, numbers: Parameters, scaling: Scaling, given: EpochBatches) -> EpochBatches:
    """Return the same batches with what the companion of these numbers says in the targets."""
    found = scores(numbers, scaling, given.codes, _AT_ONCE)
    said = softmax(found.T / np.float32(rules.temperature)).T
    share = np.float32(rules.share)
    return replace(given, targets=given.targets * (1 - share) + said * share)
