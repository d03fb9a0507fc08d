"""What an export predicts, held against the compiler and the simulated chip.

Each net is calibrated on the very images that are streamed, so that the formulas are judged and not a sample.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from host.deploy.budget import Budget, predict
from host.deploy.calibrate import calibrate
from host.deploy.plan import Plan, plan
from host.deploy.quantise import LEVELS, quantise
from workbench import Measured, Workbench

from host.cli import main
from host.compile.boards import BOARDS
from host.data import Split, load
from host.data.dataset import Dataset
from host.nn.formats import WeightFormat
from host.nn.network import Network
from host.train import train_preset

IMAGES = 40
TOLERANCE = 0.03
TRAINED_ON = 1500
"""Images; enough for weights and zeros as real nets have them."""
KINDS = {
    "float32": (WeightFormat.FLOAT32, "portable", None),
    "float16": (WeightFormat.FLOAT16, "portable", None),
    "portable-6": (WeightFormat.INT8, "portable", 6),
    "portable-8": (WeightFormat.INT8, "portable", 8),
    "asm-6": (WeightFormat.INT8, "asm", 6),
    "asm-8": (WeightFormat.INT8, "asm", 8),
    "unrolled-6": (WeightFormat.INT8, "unrolled", 6),
}
TOO_LARGE = {("usps-90", "float32"), ("usps-90", "unrolled-6")}
"""For an Uno. The second takes long to find out."""
LAYERED = ("usps-40", "mnist-10")
"""Nets whose layers are timed one by one too."""
CASES = [
    pytest.param(net, kind, marks=pytest.mark.xdist_group(f"budget of {net}"))
    for net in ("usps-10", "usps-40", "usps-90", "mnist-10", "mnist-30")
    for kind in KINDS
    if (net, kind) not in TOO_LARGE
]


def spread(split: Split, count: int) -> Split:
    """`count` images from all over `split`."""
    step = len(split) // count
    return Split(split.images[::step][:count], split.labels[::step][:count])


@functools.cache
def trained_network(name: str) -> tuple[Network, Split]:
    """A net of `dataset-hidden`, and the images to stream, on which it is calibrated."""
    dataset, hidden = name.split("-")
    whole = load(dataset)
    few = Dataset(whole.name, spread(whole.train, TRAINED_ON), whole.test, whole.sha256, whole.labels)
    network = train_preset(few, "preconv-seed", hidden=int(hidden), epochs=30, validation_run=False)
    streamed = spread(whole.test, IMAGES)
    return calibrate(network, streamed), streamed


def deployed(network: Network, kind: str) -> Plan:
    fmt, kernel, bits = KINDS[kind]
    return plan(quantise(network, fmt, levels=LEVELS[bits] if bits else None), kernel)


def assert_close(what: str, predicted: float, measured: float, tolerance: float = TOLERANCE) -> None:
    assert abs(predicted - measured) <= tolerance * measured, (
        f"{what}: predicted {predicted:.0f}, measured {measured:.0f}, {100 * (predicted / measured - 1):+.1f} %; "
        "measure the coefficients in host/deploy/costs.py and sizes.py anew"
    )


def assert_memory(predicted: Budget, measured: Measured) -> None:
    assert_close("flash", predicted.flash, measured.flash)
    assert_close("static RAM", predicted.ram_static, measured.ram_static)
    assert measured.stack <= predicted.stack


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_predictions_hold(workbench: Workbench, real_data: Path, name: str, kind: str) -> None:
    network, streamed = trained_network(name)
    planned, uno = deployed(network, kind), BOARDS["uno"]
    budget, measured = predict(planned, uno), workbench.measure(planned, uno, streamed.images)
    assert_memory(budget, measured)
    assert_close("cycles", budget.cycles, measured.cycles)
    if name in LAYERED:
        profiled = workbench.measure(planned, uno, streamed.images, "-DMODEL_PROFILE")
        assert_close("cycles of a profiling build", measured.cycles, profiled.cycles, 0.001)
        for (part, predicted), cycles in zip(budget.parts, profiled.parts, strict=True):
            assert_close(part, predicted, cycles)


@pytest.mark.xdist_group("budget of usps-90")
def test_what_does_not_fit_is_known_before_compiling(real_data: Path) -> None:
    uno, network = BOARDS["uno"], trained_network("usps-90")[0]
    assert predict(deployed(network, "float32"), uno).flash > uno.flash


def own_size(shape: tuple[int, int]) -> tuple[Network, Split]:
    """A net for images cut out of USPS, which no front end in assembly serves."""
    height, width = shape
    whole = load("usps")

    def cut(split: Split) -> Split:
        return Split(split.images[:, :height, :width].copy(), split.labels)

    small = Dataset(whole.name, cut(spread(whole.train, TRAINED_ON)), cut(whole.test), whole.sha256, whole.labels)
    network = train_preset(small, "preconv-seed", hidden=9, epochs=20, validation_run=False)
    streamed = spread(small.test, IMAGES)
    return calibrate(network, streamed), streamed


@pytest.mark.parametrize(("shape", "kind"), [((12, 14), "asm-6"), ((16, 10), "unrolled-6"), ((10, 16), "portable-8")])
@pytest.mark.xdist_group("budget of usps-10")
def test_predictions_hold_for_other_image_sizes(
    workbench: Workbench, real_data: Path, shape: tuple[int, int], kind: str
) -> None:
    network, streamed = own_size(shape)
    planned, uno = deployed(network, kind), BOARDS["uno"]
    budget, measured = predict(planned, uno), workbench.measure(planned, uno, streamed.images)
    assert_memory(budget, measured)
    assert_close("cycles", budget.cycles, measured.cycles)


@pytest.mark.parametrize("kind", ["float16", "portable-8", "asm-6"])
@pytest.mark.xdist_group("budget of usps-40")
def test_predictions_hold_on_a_mega(workbench: Workbench, real_data: Path, kind: str) -> None:
    network, streamed = trained_network("usps-40")
    planned, mega = deployed(network, kind), BOARDS["mega"]
    budget, measured = predict(planned, mega), workbench.measure(planned, mega, streamed.images)
    assert_memory(budget, measured)
    assert_close("cycles", budget.cycles, measured.cycles)


@pytest.mark.parametrize("kernel", ["asm", "unrolled"])
def test_the_commands_say_the_same(trained: Callable[..., Path], tmp_path: Path, kernel: str) -> None:
    # Predicted from the training images, measured on all the others.
    model, predicted, measured = trained("preconv-seed"), tmp_path / "predicted.json", tmp_path / "measured.json"
    wish = ["--board", "uno", "--kernel", kernel, "--activation-bits", "6"]
    assert main(["export", str(model), *wish, "-o", str(tmp_path), "--json", str(predicted)]) == 0
    assert main(["verify", str(model), *wish, "--data", "usps", "--baud", str(10**6), "--json", str(measured)]) == 0
    budget, result = json.loads(predicted.read_text())["predicted"], json.loads(measured.read_text())
    assert_close("flash", budget["flash"], result["memory"]["flash"])
    assert_close("static RAM", budget["ram_static"], result["memory"]["ram_static"])
    assert_close("cycles", budget["cycles"], result["cycles"]["mean"])
    assert sum(budget["parts"].values()) == budget["cycles"]
