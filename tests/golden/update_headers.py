"""Writes tests/golden/headers.txt anew: fingerprints of what is made of many nets, for many boards.

    python tests/golden/update_headers.py        then review the diff

A row for each net, format, activation bits, board and kernel: the graph's hash, the CRCs of its programs' bytes, and
short hashes of the rendered texts and of the reference's scores; bytes of the arena; predicted flash, static RAM and
cycles. Or the refusal, in its own words. What a change of host or templates does to any net is seen here.

Nets with random numbers take their ranges from ranges.json: a sum of floats has other last digits on another
processor, and a range would carry them into every hash. Ranges that are missing there are measured.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/host")]

import numpy as np  # noqa: E402
from given_networks import GIVEN, MEANS, given_network  # noqa: E402
from networks import LAYERS, network_of, random_network  # noqa: E402

from host.compile.advice import check_fit  # noqa: E402
from host.compile.boards import BOARDS  # noqa: E402
from host.compile.exports import lowered  # noqa: E402
from host.compile.render import render as texts_of  # noqa: E402
from host.compile.select import choose  # noqa: E402
from host.errors import DigitduinoError  # noqa: E402
from host.modelfile import file as model_file  # noqa: E402
from host.nn.formats import WeightFormat  # noqa: E402
from host.nn.layers import AveragePool2d, Conv2d, Dense, FixedConv2d, Flatten, MaxPool2d, ReLU, preconv_layers  # noqa: E402
from host.nn.network import Network  # noqa: E402
from host.quantise.graph import Graph  # noqa: E402
from host.quantise.reference import infer  # noqa: E402

GOLDEN = Path(__file__).with_name("headers.txt")
RANGES = Path(__file__).with_name("ranges.json")
FIRST = Path(__file__).with_name("first_scores.txt")
"""What the same nets had when nets behind the front end and nets with convolutions were two worlds; never written anew.
"""

PRETRAINED = ("preconv-cheap-usps", "preconv-mnist", "preconv-usps", "uno-cnn-mnist", "uno-cnn-usps", "default")
SHAPES = {f"front end {height}x{width}": (height, width) for height, width in ((8, 8), (16, 16), (28, 28), (10, 16))}
FRONT_END = preconv_layers(255)
NEWER = {
    "front end, convolution": (*FRONT_END, Conv2d(8, 3), ReLU(), MaxPool2d(), Conv2d(10, 2), ReLU(), Flatten()),
    "front end, dense": (*FRONT_END, Flatten(), Dense(40), ReLU(), Dense(20), ReLU()),
    "fixed kernel": (FixedConv2d(((1, -2), (2, 3)), padding=1), ReLU(), MaxPool2d(), Conv2d(4, 3), ReLU(), Flatten()),
    "oblong": (
        *(Conv2d(6, (3, 2), padding=(1, 0, 2, 1)), ReLU(), MaxPool2d((1, 2)), Conv2d(4, (2, 3), (2, 1)), ReLU()),
        *(AveragePool2d((2, 1)), Flatten()),
    ),
    "two channels": (Conv2d(4, 3, padding=1), ReLU(), MaxPool2d(), Flatten(), Dense(9), ReLU()),
    "long rows": (Conv2d(8, 3), ReLU(), Flatten()),
    "large": (Conv2d(8, 5), ReLU(), Conv2d(8, 5), ReLU(), MaxPool2d(), Flatten(), Dense(128), ReLU()),
}
SIDES = {"long rows": (1, 28, 28), "large": (1, 28, 28), "two channels": (2, 16, 16)}

INT8, INT4, TERNARY = "int8", "int4", "ternary"
FLOATS = ("float32", "float16")
KINDS = [
    *((name, fmt, None) for name in ("preconv-usps", "default") for fmt in (*FLOATS, INT8, INT4, TERNARY)),
    *(("preconv-usps", fmt, bits) for fmt, bits in ((INT8, 8), (INT8, 6), (INT4, 6), (TERNARY, 6))),
    *((name, INT8, None) for name in ("preconv-cheap-usps", "preconv-mnist")),
    *((name, fmt, None) for name in ("uno-cnn-usps", "uno-cnn-mnist") for fmt in (INT8, INT4, TERNARY)),
    *((name, INT8, None) for name in LAYERS),
    *((name, fmt, None) for name in ("separable", "pools", "padded") for fmt in (INT4, TERNARY)),
    *((name, fmt, None) for name, fmt in (("pools", "float32"), ("pools", "float16"), ("padded", "float32"))),
    *((name, INT8, 6) for name in ("padded", "dense alone")),
    *((name, INT8, 8) for name in SHAPES),
    *(("front end 16x16", fmt, bits) for fmt, bits in (("float32", None), (INT8, 6), (TERNARY, 6))),
    *((name, INT8, None) for name in NEWER),
    *(("front end, convolution", fmt, bits) for fmt, bits in ((INT4, None), (TERNARY, 6), ("float32", None))),
    *(("front end, dense", fmt, bits) for fmt, bits in ((TERNARY, 6), ("float16", None))),
    *((name, INT8, None) for name in GIVEN),
]
"""(net, format, activation bits)."""
WAYS = (("uno", "auto"), ("uno", "portable"), ("uno", "asm"), ("uno", "unrolled"), ("mega", "auto"), ("native", "auto"))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@cache
def networks() -> dict[str, Network]:
    """All of them by name."""
    folder = ROOT / "host/pretrained"
    paths = {name: folder / f"{name}.h5" for name in PRETRAINED} | {"default": ROOT / "firmware/model/default.h5"}
    found = {name: model_file.load(path) for name, path in paths.items()}
    made = {name: network_of(name) for name in LAYERS}
    made |= {name: random_network(shape=shape, classes=10) for name, shape in SHAPES.items()}
    made |= {name: network_of(layers, shape=SIDES.get(name)) for name, layers in NEWER.items()}
    made |= {name: given_network(layers, with_means=name in MEANS) for name, layers in GIVEN.items()}
    ranges = known_ranges(made)
    return found | {name: replace(network, output_max=tuple(ranges[name])) for name, network in made.items()}


def known_ranges(made: dict[str, Network]) -> dict[str, list[float]]:
    known = json.loads(RANGES.read_text()) if RANGES.exists() else {}
    return {name: known.get(name, list(network.output_max)) for name, network in made.items()}


@cache
def images() -> dict[str, np.ndarray]:
    """Eight for each net, drawn for one after the other: first for those of first_scores.txt."""
    random, found = np.random.default_rng(3), {}
    for name in dict.fromkeys([*(name for name, _, _ in first_scores()), *networks()]):
        network = networks()[name]
        shape = network.input_shape if network.input_shape[0] > 1 else network.image_shape
        found[name] = random.integers(0, 256, (8, *shape)).astype(np.uint8)
    return found


@cache
def graph_of(name: str, fmt: str, bits: int | None) -> Graph:
    return lowered(networks()[name], WeightFormat[fmt.upper()], bits)


@cache
def hash_and_scores(name: str, fmt: str, bits: int | None) -> tuple[str, str]:
    graph = graph_of(name, fmt, bits)
    return graph.hash[:16], sha(infer(graph, images()[name]).scores.tobytes())


def row(name: str, fmt: str, bits: int | None, board: str, kernel: str) -> str:
    target, network = BOARDS[board], networks()[name]
    try:
        graph = graph_of(name, fmt, bits)
        export = choose(graph, target, kernel)
    except DigitduinoError as error:
        return f"refused: {error}"
    try:
        found = check_fit(network, export, target)
        budget = f"flash {found.flash} ram {found.ram_static} cycles {found.cycles}"
    except DigitduinoError as error:
        budget = f"does not fit: {error}"
    crcs = " ".join(f"{crc:08x}" for crc in export.weights_crcs)
    texts = sha("".join(texts_of(export).values()).encode())
    hashed, scores = hash_and_scores(name, fmt, bits)
    kinds = " ".join(step.kernel.name for step in export.on(target).steps)
    arena = export.on(target).arena_bytes
    return f"{hashed} crcs {crcs} texts {texts} arena {arena} scores {scores} {budget}; {kinds}"


def rows() -> Iterator[str]:
    for name, fmt, bits in KINDS:
        for board, kernel in WAYS:
            yield f"{name} | {fmt} {bits or '-'} {board} {kernel} | {row(name, fmt, bits, board, kernel)}"


def render() -> str:
    return "".join(f"{line}\n" for line in rows())


def first_scores() -> dict[tuple[str, str, int | None], tuple[str, str]]:
    """(net, format, bits) → (hash, scores) of first_scores.txt."""
    found = {}
    for line in FIRST.read_text().splitlines():
        name, what, numbers = line.split(" | ")
        fmt, bits = what.split()
        found[name, fmt, None if bits == "-" else int(bits)] = tuple(numbers.split())
    return found


if __name__ == "__main__":
    made = {name: network for name, network in networks().items() if name not in PRETRAINED}
    RANGES.write_text(json.dumps(known_ranges(made), indent=1) + "\n")
    GOLDEN.write_text(render())
