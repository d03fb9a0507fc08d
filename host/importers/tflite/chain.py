"""The steps of an int8 net whose codes are those of TensorFlow Lite Micro."""

from __future__ import annotations

from typing import ClassVar

from host.importers.base import refused
from host.importers.codes import Codes
from host.importers.steps import Step
from host.importers.tflite import integers
from host.nn.given import GivenRows
from host.nn.layers import AveragePool2d

SOURCE, ENGINE = "TensorFlow Lite", "tflite"


class MicroCodes(Codes):
    """Average pools stay in the codes of what they are given; a mean over the map, which is another operator, has its
    own, and a rounding of its own."""

    pool_center: ClassVar[int] = integers.CENTER
    again: ClassVar[str] = "convert the net again"

    _has_own_codes = False
    """Of the average pool that is being put in."""

    def quantise(self, place: str, scale: float, zero: int) -> None:
        """As Codes.quantise; scales behind what computes none may differ in their last digits."""
        if self._open is None and self._now is not None:
            self._now = scale, zero
        else:
            super().quantise(place, scale, zero)

    def global_average_pool(self, place: str) -> None:
        self._has_own_codes = True
        super().global_average_pool(place)
        self._has_own_codes = False

    def _opens(self, step: Step) -> bool:
        return super()._opens(step) and (self._has_own_codes or not isinstance(step.spec, AveragePool2d))

    def _source(self, engine: str) -> str:
        return SOURCE

    def _mean_rows(self, step: Step, pool: AveragePool2d, scale: float, zero: int) -> GivenRows:
        height, width = pool.window
        try:
            return integers.mean_rows(self._sources[0] / scale, scale, zero, step.shape[0], height * width)
        except OverflowError as error:
            raise refused(self.path, step.place, str(error), "at most 2^30", self.again) from error
