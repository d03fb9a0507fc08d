"""The NumPy engine for a net with rounded weights and activations: trains the net's numbers and the steps together."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.nn import numpy as layers
from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.nn.workers import worker_count
from host.train.engines.numpy_engine import NumpyEngine
from host.train.optimisers import OptimiserSpec, optimiser
from host.train.qat.fake_quantise import RoundedSequential
from host.train.qat.scales import Scales


class LsqEngine(NumpyEngine):
    """Trains `parameters` and `scales` in place; the steps' rate is `step_factor` times the rate."""

    def __init__(
        self,
        parameters: Parameters,
        scaling: Scaling,
        spec: OptimiserSpec,
        seed: int,
        scales: Scales,
        step_factor: float,
        workers: int | None = None,
    ) -> None:
        count = workers or worker_count(parameters.architecture)
        self.scales, self._step_factor = scales, step_factor
        self._slopes = [scales.zeros(parameters.architecture) for _ in range(count)]
        self._step_optimiser = optimiser(spec, scales.flat, np.zeros(len(scales.flat), np.bool_))
        super().__init__(parameters, scaling, spec, seed, count)

    @property
    def moments(self) -> dict[str, NDArray[Any]]:
        """The optimisers' memory and the steps, to be saved, or written into in order to go on."""
        own = {f"scales.{name}": moment for name, moment in self._step_optimiser.moments.items()}
        return super().moments | own | {"scales": self.scales.flat}

    def _builder(self, number: int) -> Callable[[int], layers.Sequential]:
        training = layers.Training(self._gradients[number], self._rngs[number])
        facts = self.parameters, self.scales, 1 / self._scaling.divisor
        return cache(lambda size: RoundedSequential(*facts, size, training, self._slopes[number]))

    def _update(self, number: int, rate: float, step: int) -> None:
        super()._update(number, rate, step)
        if number == 0:
            total = self._slopes[0].flat
            for other in self._slopes[1:]:
                total += other.flat
            self._step_optimiser.update(slice(None), total, rate * self._step_factor, step)
            self.scales.bound(1 / self._scaling.divisor)
