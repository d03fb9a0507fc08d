"""A trained net as plain frozen data: what training hands to the model file, the quantiser, plots and evaluation.

Nothing here trains, quantises, reads a file or knows a board.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from host.nn.fixed import codes
from host.nn.formats import FULL_TOP
from host.nn.given import Given
from host.nn.inference import scores
from host.nn.layers import Architecture
from host.nn.parameters import Parameters
from host.nn.scaling import Scaling as Scaling


@dataclass(frozen=True, eq=False)
class QatResult:
    """The numbers of a net that was trained on as its weights are rounded to one format and its activations to codes of
    0..top, and the steps that it learned.

    Weights are whole multiples of their row's step. Activations behind a ReLU count in that layer's output step; where
    all of those are 0, the weights alone were trained for it, and `output_max` says how far activations reach.
    """

    format: str
    parameters: Parameters
    weight_steps: tuple[NDArray[np.float32] | None, ...]  # by layer: (rows,), all equal in the last; None: no weights
    output_steps: tuple[float, ...]  # by layer; 0 where nothing is rounded
    top: int = FULL_TOP


@dataclass(frozen=True)
class Provenance:
    """Where a network comes from. It never influences a score.

    `history` holds one value for each epoch, or for each iteration where all images are taken at once; its `batch_loss`
    one for each batch or evaluation. `metrics` holds accuracies 0..1: "train" and "test" are of this network, and so is
    "validation" where images were held out. Where the network was trained on all of them it is of another, by the same
    recipe and seed without some images, measured on those; it is missing where that run was left out or interrupted.
    """

    dataset: str
    dataset_sha256: str
    preset: str
    seed: int
    engine: str = "numpy"
    history: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the training images showed of the int8 net with activations 0..top; the quantiser measures it once, so that
    an export needs no data."""

    top: int
    accuracy: float  # 0..1 on the training images; where they have no labels, answers that are the float net's
    densities: tuple[NDArray[np.float32], ...]  # share of the images whose input is not 0: (inputs,), or (1,) the mean


@dataclass(frozen=True, eq=False)
class Network:
    """An architecture with its numbers, batch normalisation folded and dropout removed.

    `output_max` holds, for each layer, the largest magnitude that it put out over the training images (and for a net
    trained on one step of weights the largest activation that its scale has room for); 0 everywhere where nobody
    measured.
    `qat` holds at most one set of numbers for each format and top; others are rounded from `parameters`. `given` are
    the int8 numbers of an imported net that was quantised already; `parameters` are then what they stand for.
    """

    parameters: Parameters
    scaling: Scaling
    labels: tuple[str, ...]
    provenance: Provenance
    output_max: tuple[float, ...]
    calibrations: tuple[Calibration, ...] = ()  # measured on the training images
    qat: tuple[QatResult, ...] = ()
    given: Given | None = None

    @property
    def architecture(self) -> Architecture:
        """The layers."""
        return self.parameters.architecture

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.architecture.input_shape

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.input_shape[1:]

    @property
    def fixed(self) -> int:
        """How many leading layers are never trained."""
        return self.architecture.fixed

    @property
    def has_ranges(self) -> bool:
        """Whether anybody measured what its layers put out; one layer's 0 is that of a layer that is silent."""
        return any(self.output_max)

    @property
    def top(self) -> int:
        """The largest code that the first trained layer is given."""
        return self.architecture.top

    def qat_for(self, fmt: str, top: int = FULL_TOP) -> QatResult | None:
        """Return the numbers that were trained for a format and a top of activations."""
        return next((result for result in self.qat if (result.format, result.top) == (fmt, top)), None)


def float_scores(network: Network, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what the trained float net says: (N, classes) for u8 images (N, H, W), or (N, C, H, W)."""
    return scores(network.parameters, network.scaling, codes(network.architecture, images))
