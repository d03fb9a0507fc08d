"""What the commands do, in Python: load or import a net, calibrate and quantise it, compile and verify it.

    from host import api

    network = api.import_model("net.tflite")
    asked = api.load_samples("inputs.npz", network)
    found = api.verify_on(network, asked, board="uno")
    assert found.passed, found.comparison.diverging()

docs/python.md explains it. Everything else of the package may change between versions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host import pretrained
from host.api.device import Device, built_device, flashed_device
from host.api.samples import Asked, load_samples
from host.api.verification import Verification, Way, verify
from host.compile.advice import check_fit
from host.compile.budget import Budget
from host.compile.export import Export
from host.compile.exports import export_for, lowered
from host.compile.kernels.kinds import AUTO
from host.data import Samples
from host.errors import InputError, near
from host.importers import Options, import_net
from host.link.target import target_board
from host.modelfile import file as model_file
from host.nn.formats import ACTIVATION_TOPS, WeightFormat
from host.nn.network import Network
from host.nn.network import float_scores as network_scores
from host.quantise import calibrate as calibration
from host.quantise import reference
from host.quantise.graph import Graph
from host.quantise.reference import Predictions

__all__ = [
    "Asked",
    "Budget",
    "Device",
    "Export",
    "Graph",
    "Network",
    "Predictions",
    "Samples",
    "Verification",
    "Way",
    "built_device",
    "calibrate",
    "compile_for",
    "flashed_device",
    "float_scores",
    "import_model",
    "infer",
    "load_model",
    "load_samples",
    "quantise",
    "save_model",
    "verify",
    "verify_on",
]

save_model = model_file.save


def load_model(name: str | Path) -> Network:
    """A model file, or a pretrained model by name; raise InputError where it is none."""
    return model_file.load(Path(pretrained.path_of(str(name))))


def import_model(
    path: str | Path,
    labels: tuple[str, ...] | None = None,
    input_range: tuple[float, float] | None = None,
    shape: tuple[int, int] | None = None,
) -> Network:
    """The net of a file that `host import` reads; raise InputError, naming operator and place, where it cannot be
    taken, ToolMissing without its reader."""
    if input_range is not None and not input_range[0] < input_range[1]:
        raise InputError(f"import: input_range: found {input_range}, need (low, high) with low below high; mend it")
    return import_net(Path(path), Options(labels, input_range, shape)).network


def calibrate(network: Network, samples: Samples) -> Network:
    """With the ranges of its outputs measured on `samples`, as integers need them."""
    return calibration.calibrate(calibration.measure_ranges(network, samples), samples)


def quantise(network: Network, fmt: str = "int8", activation_bits: int | None = None) -> Graph:
    """The very numbers that a board computes with; `infer(graph, images)` says what it will answer."""
    return lowered(network, _format(fmt), _bits(activation_bits))


def infer(graph: Graph, images: NDArray[np.uint8]) -> Predictions:
    """What a board will answer to codes (N, height, width), or (N, channels, height, width) of several: classes and
    scores. Raise InputError for other arrays: floats are no codes."""
    _check_images(images, graph.input_shape)
    return reference.infer(graph, images)


def float_scores(network: Network, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the float net says of the same codes, (N, classes)."""
    _check_images(images, network.input_shape)
    return network_scores(network, images)


def compile_for(
    network: Network, board: str = "uno", fmt: str = "int8", kernel: str = AUTO, activation_bits: int | None = None
) -> tuple[Export, Budget]:
    """The program for a board and what it takes there; raise InputError, with the numbers, where it does not fit."""
    target = target_board(board)
    exported = export_for(network, _format(fmt), target, kernel, _bits(activation_bits))
    return exported, check_fit(network, exported, target)


def verify_on(
    network: Network, asked: Asked, board: str = "uno", fmt: str = "int8", kernel: str = AUTO
) -> Verification:
    """Build for a board, run it (simulated, but for `native`), and hold its every answer against the reference."""
    exported, budget = compile_for(network, board, fmt, kernel)
    return verify(network, built_device(exported, target_board(board), budget), asked, Way())


def _format(name: str) -> WeightFormat:
    known = {fmt.label: fmt for fmt in WeightFormat}
    if name not in known:
        raise InputError(f"format: found '{name}'{near(name, known)}, need one of {', '.join(known)}; choose one")
    return known[name]


def _bits(bits: int | None) -> int | None:
    if bits not in (None, *ACTIVATION_TOPS):
        known = ", ".join(map(str, ACTIVATION_TOPS))
        raise InputError(f"activation_bits: found {bits}, need one of {known}; choose one")
    return bits


def _check_images(images: NDArray[np.uint8], shape: tuple[int, int, int]) -> None:
    sides = tuple(images.shape[1:])
    if images.dtype != np.uint8 or sides not in (shape, *([shape[1:]] if shape[0] == 1 else [])):
        need = "x".join(map(str, shape if shape[0] > 1 else shape[1:]))
        raise InputError(
            f"images: found {images.dtype} {images.shape}, need codes, uint8 (N, {need}); load_samples makes them"
        )
