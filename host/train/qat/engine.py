"""The NumPy engine for a net with rounded weights and activations: trains the net's numbers and the steps together."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from host.nn import numpy as layers
from host.nn.network import Scaling
from host.nn.parameters import Parameters
from host.train.engines.numpy_engine import NumpyEngine
from host.train.optimisers import OptimiserSpec, optimiser
from host.train.qat.fake_quantise import RoundedSequential
from host.train.qat.scales import Steps


class LsqEngine(NumpyEngine):
    """Trains `parameters` and `steps` in place; the steps' rate is `step_factor` times the rate."""

    def __init__(
        self,
        parameters: Parameters,
        scaling: Scaling,
        spec: OptimiserSpec,
        seed: int,
        steps: Steps,
        step_factor: float,
        workers: int = 2,
    ) -> None:
        self.steps, self._step_factor = steps, step_factor
        self._slopes = [steps.zeros(parameters.architecture) for _ in range(workers)]
        self._step_optimiser = optimiser(spec, steps.flat, np.zeros(len(steps.flat), np.bool_))
        super().__init__(parameters, scaling, spec, seed, workers)

    @property
    def moments(self) -> dict[str, NDArray[np.float32]]:
        """The optimisers' memory and the steps, to be saved, or written into in order to go on."""
        own = {f"steps.{name}": moment for name, moment in self._step_optimiser.moments.items()}
        return super().moments | own | {"steps": self.steps.flat}

    def _builder(self, number: int) -> Callable[[int], layers.Sequential]:
        training = layers.Training(self._gradients[number], self._rngs[number])
        facts = self.parameters, self.steps, 1 / self._scaling.divisor
        return cache(lambda size: RoundedSequential(*facts, size, training, self._slopes[number]))

    def _update(self, number: int, rate: float, step: int) -> None:
        super()._update(number, rate, step)
        if number == 0:
            total = self._slopes[0].flat
            for other in self._slopes[1:]:
                total += other.flat
            self._step_optimiser.update(slice(None), total, rate * self._step_factor, step)
            self.steps.bound(1 / self._scaling.divisor)
