"""What a board at a port may carry: any export of a network, from today or flashed by an older version.

A board says which net it has by the graph's hash; which of that net's programs it runs shows in the CRC of its flash.
Programs are compiled only for the hash that a board answers with.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from host.compile.boards import ATMEGA328P
from host.compile.export import Export
from host.compile.kernels.catalogue import CATALOGUE
from host.compile.kernels.code import DenseCode
from host.compile.kernels.kinds import ASSEMBLY, PORTABLE
from host.compile.memory import Place
from host.compile.program import Program, make_program
from host.compile.select import all_exports, tile
from host.errors import DigitduinoError
from host.nn.formats import ACTIVATION_TOPS, WeightFormat
from host.nn.network import Network
from host.nn.numbers import little_endian
from host.quantise.graph import Graph
from host.quantise.lower import lower
from host.quantise.ops import Dense, Preconv, elements


@dataclass(frozen=True, eq=False)
class Candidate:
    """A graph, any export of which a board may carry, or the one export that it can be."""

    known: Graph | Export

    @property
    def graph(self) -> Graph:
        return self.known.graph if isinstance(self.known, Export) else self.known

    @cached_property
    def exports(self) -> tuple[Export, ...]:
        return (self.known,) if isinstance(self.known, Export) else tuple(all_exports(self.known))

    @property
    def model_hash(self) -> bytes:
        return self.graph.hash_bytes

    @cached_property
    def weights_crcs(self) -> tuple[int, ...]:
        """What READY may answer; of a board flashed before the descriptions of steps counted, the CRC of its numbers
        alone."""
        found = [crc for export in self.exports for crc in export.weights_crcs]
        if isinstance(self.known, Graph):
            found += [program.rom_crc for export in self.exports for program in export.programs]
            found += earlier_crcs(self.known)
        return tuple(dict.fromkeys(found))

    @property
    def height(self) -> int:
        return self.graph.image_shape[0]

    @property
    def width(self) -> int:
        return self.graph.image_shape[1]

    @property
    def classes(self) -> int:
        return self.graph.classes

    @property
    def format(self) -> int:
        return self.graph.format.value

    def program(self, crc: int) -> Program:
        """The program with that CRC; the portable one where none has it."""
        return next(iter(self.programs(crc)), self.exports[0].portable)

    def programs(self, crc: int) -> list[Program]:
        """All with that CRC: the same numbers can be run in other steps."""
        every = [program for export in self.exports for program in export.programs]
        return [program for program in every if crc in (program.crc, program.rom_crc)]


def candidates(network: Network, fmt: WeightFormat) -> list[Candidate]:
    """Every graph of `network` in `fmt` that a board may carry, also of an export before the net was trained for the
    format, or before dead units were left out of it. Of two ways to the same numbers the first is named."""
    graphs: dict[str, Graph] = {}
    for top in ACTIVATION_TOPS.values() if fmt.is_integer else (network.top,):
        for per_tensor, post_training in ((False, False), (True, False), (False, True)):
            for prune in (True, False):
                try:
                    graph = lower(
                        network, fmt, top=top, per_tensor=per_tensor, post_training=post_training, prune=prune
                    )
                except DigitduinoError:
                    continue
                graphs.setdefault(graph.hash, graph)
    return [Candidate(graph) for graph in graphs.values()]


_EARLIER_KERNELS = (
    ("nn_avr_preconv", "nn_avr_dense16", "nn_avr_dense24"),
    ("nn_avr_conv", "nn_avr_depth", "nn_avr_dense", "nn_avr_pool"),
)
"""From which assembly earlier versions chose. Who adds a kernel that is chosen in another's place adds a line here."""


def earlier_crcs(graph: Graph) -> list[int]:
    """The CRCs of programs that earlier versions made of a graph and today's do not, all of them over `rom` alone."""
    found = [*_first_portable(graph), *_first_code(graph)]
    for names in _EARLIER_KERNELS:
        catalogue = [kernel for kernel in CATALOGUE if kernel.kind == PORTABLE or kernel.name in names]
        tiles = tile(graph, ATMEGA328P, (ASSEMBLY, PORTABLE), catalogue)
        found.append(make_program(graph, ATMEGA328P, tiles, keep_image=True, pair=None).rom_crc)
    return found


def _first_portable(graph: Graph) -> list[int]:
    """As the first versions laid out dense layers behind the front end: the biases of all of them, then all weights,
    outputs by inputs, padded with zeros to four."""
    first, *others = graph.ops
    rows = [op.rows for op in others if isinstance(op, Dense)]
    if not isinstance(first, Preconv) or len(rows) != len(others):
        return []
    blob = b"".join(little_endian(each.bias) for each in rows)
    blob += b"".join(little_endian(np.ascontiguousarray(each.weights)) for each in rows)
    return [zlib.crc32(blob + bytes(-len(blob) % 4))]


def _first_code(graph: Graph) -> list[int]:
    """As the first versions placed what code makes of the features: behind them, and behind room for the scores."""
    first, ops = graph.ops[0], graph.ops[1:]
    code = DenseCode()
    if not isinstance(first, Preconv) or code.takes(ops) != 2 or code.refuses(ops, ATMEGA328P) is not None:
        return []
    behind = max(elements(first.output_shape), 4 * graph.classes) + 3 & ~3
    return [zlib.crc32(code.pack(ops, Place(0, behind, backward=False)).rom)]
