"""The nets that every kernel is tried on, and programs that put each kernel to work on each op that it does not refuse.

A net is one line of NETS; which kernels run it is asked of the catalogue, never listed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from given_networks import GIVEN, MEANS, given_network, tied_network
from networks import LAYERS, limited_network, network_of, random_network
from numpy.typing import NDArray

from host.compile.boards import Board
from host.compile.budget import fits
from host.compile.export import Export
from host.compile.kernels.catalogue import CATALOGUE
from host.compile.kernels.kinds import CODE
from host.compile.program import Program, Tile, make_program
from host.compile.select import choose, plain
from host.data import load
from host.nn.formats import WeightFormat
from host.nn.layers import Conv2d, Dense, Flatten, MaxPool2d, ReLU, preconv_layers
from host.nn.network import Calibration, Network
from host.quantise.calibrate import _densities
from host.quantise.graph import Graph
from host.quantise.lower import lower

IMAGES = 6
BOTH = ("uno", "mega")

FAR = (Conv2d(16, 3), ReLU(), Flatten(), Dense(24), ReLU())
"""75,000 weights: more than a near pointer reaches, and rows whose sums pass 24 bits."""
LEAN = (Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 5), ReLU(), MaxPool2d(), Flatten(), Dense(64), ReLU())
"""On 28×28, more than an Uno holds beside the image."""
TURNS = (
    *(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(24, 3), ReLU(), MaxPool2d()),
    *(Flatten(), Dense(32), ReLU()),
)
"""On 28×28, more than an Uno holds at all, unless two convolutions run in turns."""
DEPTH_TURNS = (
    *(Conv2d(8, 5), ReLU(), MaxPool2d(), Conv2d(16, 3), ReLU(), Conv2d(16, 3, groups=16), ReLU(), MaxPool2d()),
    *(Flatten(), Dense(32), ReLU()),
)
"""The same where the second of the two is depthwise."""
GIVEN_TURNS = (
    *(Conv2d(5, 5), ReLU(), MaxPool2d(), Conv2d(10, 3, padding=1), ReLU(), Conv2d(12, 3, padding=(0, 1)), ReLU()),
    *(MaxPool2d(), Flatten()),
)
"""The same of a net whose codes have one for 0.0, which lies around the second of them."""
BEHIND_FRONT_END = (
    *preconv_layers(63),
    *(Conv2d(6, 3), ReLU(), MaxPool2d(), Conv2d(9, 3, padding=1), ReLU(), Flatten()),
)


@dataclass(frozen=True)
class Net:
    """A network, the activations that it is lowered to (None: its own), and where its programs run."""

    make: Callable[[], Network]
    format: WeightFormat = WeightFormat.INT8
    top: int | None = None
    boards: tuple[str, ...] = ("uno",)


def front_end(fmt: WeightFormat, top: int | None = None, boards: tuple[str, ...] = ("uno",), **options: object) -> Net:
    return Net(lambda: random_network(**{"shape": (16, 16), "hidden": 17, "classes": 10} | options), fmt, top, boards)


def layered(
    layers: object, fmt: WeightFormat = WeightFormat.INT8, boards: tuple[str, ...] = ("uno",), **options: object
) -> Net:
    return Net(lambda: network_of(layers, **options), fmt, None, boards)


ON_OTHERS = {
    "padded": (*BOTH, "atmega1284p"),
    "separable": BOTH,
    "strided depthwise": BOTH,
    "pools": BOTH,
    "depthwise": ("mega",),
}
INT8, INT4, TERNARY = WeightFormat.INT8, WeightFormat.INT4, WeightFormat.TERNARY
NETS = {
    "front end": front_end(INT8, boards=BOTH),
    "front end, 6 bits": front_end(INT8, 63, BOTH, hidden=40),  # blocks of one size are one routine
    "front end, int4": front_end(INT4, 63),
    "front end, ternary": front_end(TERNARY),
    "front end, float16": front_end(WeightFormat.FLOAT16),
    "front end, float32": front_end(WeightFormat.FLOAT32, boards=BOTH),
    "front end of 28x28": front_end(INT8, 63, shape=(28, 28), hidden=9),
    "front end of 12x14": front_end(INT8, 63, shape=(12, 14), hidden=9),
    "front end and convolutions": layered(BEHIND_FRONT_END),
    **{name: layered(name, boards=ON_OTHERS.get(name, ("uno",))) for name in LAYERS},
    "padded, int4": layered("padded", INT4),
    "strided, int4": layered("strided", INT4, BOTH),
    "depthwise, int4": layered("depthwise", INT4, ("mega",)),
    **{f"{name}, ternary": layered(name, TERNARY) for name in ("padded", "pools")},
    "limited": Net(limited_network),
    "padded, float32": layered("padded", WeightFormat.FLOAT32, ("mega",)),
    "pools, float16": layered("pools", WeightFormat.FLOAT16, BOTH),
    "pools, float32": layered("pools", WeightFormat.FLOAT32),
    "overlapping, float16": layered("overlapping", WeightFormat.FLOAT16, ("mega",)),
    "far": layered(FAR, boards=("mega",)),
    "far, int4": layered((Conv2d(16, 3), ReLU(), Flatten(), Dense(50), ReLU()), INT4, ("mega",)),
    "far scores, ternary": layered(FAR[:3], TERNARY, ("mega",)),
    "lean": layered(LEAN, side=28),
    "lean, int4": layered(LEAN, INT4, side=28),
    **{
        name: Net(functools.partial(given_network, layers, with_means=name in MEANS), boards=BOTH)
        for name, layers in GIVEN.items()
    },
    "given, in turns": Net(functools.partial(given_network, GIVEN_TURNS, (1, 28, 28))),
    "in turns": layered(TURNS, side=28),
    "in turns, depthwise": layered(DEPTH_TURNS, side=28),
    "given, tied": Net(tied_network, boards=()),  # for the portable C, on the PC
}


@functools.cache
def graph_of(name: str) -> tuple[Graph, NDArray[np.uint8]]:
    """The graph of a net and the images to stream, of which it knows how often each value is zero: formulas are judged,
    not a sample."""
    net = NETS[name]
    network = net.make()
    images, top = digits(network.image_shape), net.top or network.top
    graph = lower(network, net.format, top=net.top, prune=False)
    measured = Calibration(top=top, accuracy=0.0, densities=_densities(graph, images))
    return lower(replace(network, calibrations=(measured,)), net.format, top=net.top), images


def digits(shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Real ones, cut or with empty ground around them."""
    test = load("digits").test.images
    images = test[:: len(test) // IMAGES][:IMAGES]
    more = [max(0, side - 16) for side in shape]
    padded = np.pad(images, ((0, 0), *((each // 2, each - each // 2) for each in more)))
    top, left = ((side - kept) // 2 for side, kept in zip(padded.shape[1:], shape, strict=True))
    return padded[:, top : top + shape[0], left : left + shape[1]].copy()


def choices(graph: Graph, board: Board) -> list[list[Tile]]:
    """For each op the kernels that run it, with the ops that each takes from there."""
    found: list[list[Tile]] = []
    for at in range(len(graph.ops)):
        takers = [(kernel, graph.ops[at : at + kernel.takes(graph.ops[at:])]) for kernel in CATALOGUE]
        found.append([(kernel, ops) for kernel, ops in takers if ops and kernel.refuses(ops, board.chip) is None])
    return found


def tilings(options: list[list[Tile]]) -> Iterator[list[Tile]]:
    """Few of them in which each kernel runs each op that it can."""
    left = {(kernel.name, at) for at, tiles in enumerate(options) for kernel, _ in tiles}
    while left:
        tiles: list[Tile] = []
        at = 0
        while at < len(options):
            wanted = [(kernel, ops) for kernel, ops in options[at] if (kernel.name, at) in left]
            others = [(kernel, ops) for kernel, ops in options[at] if len(ops) == 1 and kernel.kind != CODE]
            tiles.append((wanted or others)[0])
            left.discard((tiles[-1][0].name, at))
            at += len(tiles[-1][1])
        yield tiles


def exports(name: str, board: Board) -> list[Export]:
    """All programs of a net on a board: those made to try the kernels, where they fit, and what the user gets."""
    graph, _ = graph_of(name)
    found: dict[tuple[object, ...], Export] = {}
    for tiles in tilings(choices(graph, board)):
        keep_image = not tiles[0][0].room(tiles[0][1]).in_arena
        program = make_program(graph, board.chip, tiles, keep_image=keep_image, pair=None)
        found[label(program), program.memory] = Export(plain(graph).portable, program)
    for kernel in ("auto", "portable"):
        export = choose(graph, board, kernel)
        found.setdefault((label(export.on(board)), export.on(board).memory), export)
    return [export for export in found.values() if fits(export.on(board), board)]


def label(program: Program) -> str:
    """Its kernels."""
    return " + ".join(step.kernel.name for step in program.steps)
