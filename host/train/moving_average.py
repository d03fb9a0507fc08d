"""A moving average of a net's numbers while it trains: steadier than the last ones, at no cost on the board.

Averaged trajectories: Polyak, Juditsky 1992; the exponential form is the one in common use for networks.
"""

from host.errors import InputError
from host.nn.parameters import Parameters


class Average:
    """`parameters` follow what is added; BatchNorm's measured numbers are averaged like the trained ones."""

    def __init__(self, start: Parameters, decay: float) -> None:
        if not 0 < decay < 1:
            raise InputError(f"train: averaging: found {decay}, need a number between 0 and 1; give for example 0.998")
        self.parameters, self._decay = start.copy(), decay

    def add(self, now: Parameters, step: int) -> None:
        """Take in the numbers after a step, counted from 1; early steps count more, so that the start is forgotten."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for average, latest in ((self.parameters.flat, now.flat), (self.parameters.measured, now.measured)):
            average += (latest - average) * average.dtype.type(share)
