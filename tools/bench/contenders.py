"""Who takes part: each contender's sources, what it is fed, and the classes its host reference expects.

All are made from one trained network. `prepare` renders headers below the rig's folder and compiles nothing for an AVR.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from host.compile.boards import BOARDS
from host.compile.exports import export_for
from host.compile.render import c_numbers, write_headers
from host.errors import InputError
from host.nn.formats import ACTIVATION_TOPS, WeightFormat
from host.nn.layers import PRECONV_KERNEL
from host.nn.network import Network
from host.nn.preconv import convolve, preconv_features
from host.nn.windows import largest
from host.quantise.lower import lower
from host.quantise.ops import Dense, Rows
from host.quantise.reference import infer
from host.quantise.requantisers import HalfUp
from tools.bench import emlearn_peer

HERE = Path(__file__).resolve().parent
NN = HERE.parents[1] / "firmware/lib/nn"
UNO, LARGE = "atmega328p", "atmega1284p"
NAIVE, EMLEARN = "naive-float", "emlearn"
_GAUSSIAN = np.array(PRECONV_KERNEL, np.float32) / 16
_KERNELS = {"portable": "portable C", "asm": "assembly", "unrolled": "weights as code"}


@dataclass(frozen=True, eq=False)
class Contender:
    """`inputs` (N, bytes) and `expected` (N,) are over the whole test set. `dense_only` has no front end of its own,
    `held` has to reach the goals, `may_not_link` is there to show that it does not."""

    key: str
    title: str
    sources: tuple[Path, ...]
    includes: tuple[Path, ...]
    inputs: NDArray[np.uint8]
    expected: NDArray[np.uint8]
    mcu: str = UNO
    held: bool = False
    dense_only: bool = False
    may_not_link: bool = False


@dataclass(frozen=True)
class Absent:
    """A contender that cannot take part, and why."""

    key: str
    title: str
    problem: str
    held: bool = False


def prepare(network: Network, images: NDArray[np.uint8], work: Path) -> list[Contender | Absent]:
    """Every contender, in the order of the table; images (N, H, W)."""
    return [
        _naive(network, images, work / NAIVE),
        _plain(network, images, work / "plain-int8"),
        *_emlearn(network, images, work / EMLEARN),
        _ours(network, images, work, WeightFormat.FLOAT32, "portable"),
        _ours(network, images, work, WeightFormat.FLOAT16, "portable"),
        *(_ours(network, images, work, WeightFormat.INT8, "portable", bits) for bits in (8, 6)),
        *(_ours(network, images, work, WeightFormat.INT8, "asm", bits) for bits in (8, 6)),
        _ours(network, images, work, WeightFormat.INT8, "unrolled", 6),
    ]


def _ours(
    network: Network, images: NDArray[np.uint8], work: Path, fmt: WeightFormat, kernel: str, bits: int | None = None
) -> Contender | Absent:
    key = f"ours-{fmt.label}-{kernel}" + (f"-{bits}" if bits else "")
    title = f"ours, {fmt.label}, {_KERNELS[kernel]}" + (f", {bits}-bit" if bits else "")
    folder = work / key
    try:
        export = export_for(network, fmt, BOARDS["uno"], kernel, bits)
        write_headers(export, folder)
    except InputError as error:
        return Absent(key, title, str(error), held=kernel != "portable")
    return Contender(
        key,
        title,
        sources=(HERE / "ours.c", folder / "model_code.S", *sorted(NN.glob("*.c")), *sorted(NN.glob("avr/*.S"))),
        includes=(NN, folder),
        inputs=_rows(images),
        expected=infer(export.graph, images).classes,
        held=kernel != "portable",
    )


def _dense(network: Network, fmt: WeightFormat) -> tuple[Rows, ...]:
    """The numbers of the two dense layers, with no unit left out; activations of 8 bits."""
    return tuple(
        op.rows for op in lower(network, fmt, top=ACTIVATION_TOPS[8], prune=False).ops if isinstance(op, Dense)
    )


def _naive(network: Network, images: NDArray[np.uint8], folder: Path) -> Contender:
    layers = _dense(network, WeightFormat.FLOAT32)
    _write_weights(folder, network, layers, {}, "float")
    expected = _naive_classes(layers, images)
    return Contender(
        NAIVE, "naive float C", (HERE / "naive_float.c",), (folder,), inputs=_rows(images), expected=expected
    )


def _naive_classes(layers: tuple[Rows, ...], images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What naive_float.c computes, in its order; convolution and pooling are exact in float32."""
    pooled = _rows(largest(convolve(images.astype(np.float32), _GAUSSIAN, padding=1), (2, 2), (2, 2)))
    rise = pooled - pooled.min(axis=1, keepdims=True)
    span = rise.max(axis=1, keepdims=True)
    values = (rise / np.where(span > 0, span, np.float32(1)) * np.float32(255)).T
    for index, layer in enumerate(layers):
        sums = np.repeat(layer.bias[:, None], values.shape[1], axis=1)
        for column, row in zip(layer.weights.T, values, strict=True):
            sums += column[:, None] * row
        values = np.maximum(sums, np.float32(0)) if index < len(layers) - 1 else sums
    return values.argmax(axis=0).astype(np.uint8)


def _plain(network: Network, images: NDArray[np.uint8], folder: Path) -> Contender:
    graph = lower(network, WeightFormat.INT8, top=ACTIVATION_TOPS[8], prune=False)
    layers = _dense(network, WeightFormat.INT8)
    rule = layers[0].requantiser
    assert isinstance(rule, HalfUp) and rule.shared is not None
    numbers = {"LEVELS": layers[0].codes.high, "MULTIPLIER": rule.shared, "SHIFT": rule.shift}
    _write_weights(folder, network, layers, numbers, "int8_t")
    return Contender(
        "plain-int8",
        "plain C int8, 8-bit",
        (HERE / "plain_int8.c",),
        (folder,),
        inputs=_rows(images),
        expected=infer(graph, images).classes,
    )


def _emlearn(network: Network, images: NDArray[np.uint8], folder: Path) -> list[Contender | Absent]:
    """The peer twice: on the Uno's chip, where its tables have no room, and on one where they have."""
    layers = _dense(network, WeightFormat.FLOAT32)
    features = preconv_features(images, network.top)
    keys = {UNO: f"{EMLEARN}-uno", LARGE: EMLEARN}
    try:
        converted = emlearn_peer.convert(layers, features, folder)
    except emlearn_peer.CannotConvert as error:
        return [Absent(key, f"emlearn, {_chip(mcu)}", str(error)) for mcu, key in keys.items()]
    return [
        Contender(
            key,
            f"emlearn {converted.version}, {_chip(mcu)}",
            (HERE / "emlearn_dense.c",),
            (folder, converted.include),
            inputs=features,
            expected=converted.classes,
            mcu=mcu,
            dense_only=True,
            may_not_link=mcu == UNO,
        )
        for mcu, key in keys.items()
    ]


def _write_weights(
    folder: Path, network: Network, layers: tuple[Rows, ...], numbers: dict[str, int], ctype: str
) -> None:
    """weights.h for the contenders written by hand: sizes, and (outputs, inputs) tables in flash."""
    hidden, scores = layers
    height, width = network.image_shape
    sizes = {"HEIGHT": height, "WIDTH": width, "INPUTS": hidden.weights.shape[1], "HIDDEN": len(hidden.bias)}
    lines = ["#include <avr/pgmspace.h>", "#include <stdint.h>"]
    lines += [f"#define {name} {value}" for name, value in {**sizes, "CLASSES": len(scores.bias), **numbers}.items()]
    for name, layer in (("hidden", hidden), ("score", scores)):
        rows = ",\n".join(f"{{{c_numbers(row)}}}" for row in layer.weights)
        bias_type = "int32_t" if ctype == "int8_t" else ctype
        outputs, inputs = layer.weights.shape
        lines.append(f"static const {ctype} {name}_weights[{outputs}][{inputs}] PROGMEM = {{\n{rows}}};")
        lines.append(f"static const {bias_type} {name}_bias[{outputs}] PROGMEM = {{{c_numbers(layer.bias)}}};")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.h").write_text("\n".join(lines) + "\n")


def _rows(maps: NDArray[np.generic]) -> NDArray[np.generic]:
    return maps.reshape(len(maps), -1)


def _chip(mcu: str) -> str:
    return "ATmega" + mcu.removeprefix("atmega").upper()
