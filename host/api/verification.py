"""One net, one board, one set of samples: every answer of the board beside the reference's and the float net's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from host.api.device import Device
from host.api.samples import Asked
from host.api.tracing import check_that_it_traces, chosen, found_of, trace_images
from host.compile.candidates import Candidate
from host.data import Samples
from host.link import wire
from host.link.boards import Connection
from host.link.faults import Faults
from host.link.identity import Carried
from host.link.journal import Journal
from host.link.run import Outcome, image_bytes, stream
from host.nn.network import Network, float_scores
from host.quantise.graph import Graph
from host.quantise.ops import scores_as_codes
from host.quantise.probes import probes
from host.quantise.reference import infer
from host.report.compare import Comparison
from host.report.divergence import Trace, document
from host.report.document import RunFacts, verification
from host.report.probes import ProbeComparison, compare_probes

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Way:
    """How samples are streamed. `trace`: of so many images every step's output is asked for too."""

    baud: int | None = None
    faults: Faults | None = None
    journal: Journal | None = None
    progress: AbstractContextManager[Progress | None] = field(default_factory=nullcontext)
    trace: int = 0
    min_accuracy: float = 0.0


@dataclass(frozen=True)
class Verification:
    """What came of it. `seconds` passed here from greeting to goodbye."""

    device: Device
    line: Connection
    asked: Asked
    way: Way
    found: Candidate
    comparison: Comparison
    probes: ProbeComparison
    outcome: Outcome
    traces: list[Trace]
    seconds: float

    @property
    def graph(self) -> Graph:
        """The one that the board carries."""
        return self.found.graph

    @property
    def is_accurate(self) -> bool:
        """Whether the board's accuracy, if it is known, is what was asked for."""
        accuracy = self.comparison.accuracy(self.comparison.device_classes)
        return accuracy is None or accuracy >= self.way.min_accuracy

    @property
    def passed(self) -> bool:
        """Whether every answer is the reference's, and the original's where its codes are known, and all are accurate
        enough."""
        against = self.comparison.against_original
        agrees = self.comparison.agrees and self.probes.agrees and not (against and against.differs)
        return agrees and self.is_accurate

    @cached_property
    def document(self) -> dict[str, Any]:
        """For machines: docs/protocol.md and README name its keys."""
        found = verification(self.comparison, self.probes, self.outcome, self._facts)
        return found | {"trace": [document(trace) for trace in self.traces]}

    @property
    def _facts(self) -> RunFacts:
        ready, built, graph = self.outcome.ready, self.device.built, self.graph
        return RunFacts(
            dataset=self.asked.name,
            split=self.asked.part,
            model_hash=graph.hash,
            format=graph.format.label,
            rounding=graph.rounding,
            preset=graph.preset,
            kind=self.line.kind,
            mcu=ready.board.rstrip(b"\0").decode("ascii", "replace"),
            simulated=self.line.simulated,
            port=self.line.port,
            baud=self.way.baud or wire.DEFAULT_BAUD,
            flash=built.flash if built else None,
            ram_static=built.ram_static if built else None,
            wall_seconds=self.seconds,
            passed=self.passed,
            parts=self.found.program(ready.weights_crc).marks,
            predicted=self.device.predicted,
        )


def verify(network: Network, device: Device, asked: Asked, way: Way) -> Verification:
    """Stream probes and samples to the device and compare. Raise LinkError where board or line fail."""
    samples, start = asked.samples, time.monotonic()
    with device.connection as line:
        if way.trace and device.built is None:
            check_that_it_traces(line.transport, device.carried, samples.images[0])
        with way.progress as progress:
            outcome = stream(
                line.transport,
                [image_bytes(image) for image in samples.images],
                device.carried,
                baud=way.baud or wire.DEFAULT_BAUD,
                progress=progress,
                faults=way.faults,
                journal=way.journal,
                first=lambda identity: _probe_images(device.carried, identity),
            )
        seconds = time.monotonic() - start
        found = found_of(outcome.identity, device.carried)
        comparison = compared(network, found.graph, samples, outcome)
        diverging = comparison.diverging()
        wanted = chosen(diverging, comparison.n, way.trace)
        traces = trace_images(line.transport, outcome, found, samples, wanted, way.baud, set(diverging))
    probed = compare_probes(found.graph, outcome.probes)
    return Verification(device, line, asked, way, found, comparison, probed, outcome, traces, seconds)


def compared(network: Network, graph: Graph, samples: Samples, outcome: Outcome) -> Comparison:
    """The board's answers beside the reference's and the float net's."""
    reference = infer(graph, samples.images)
    return Comparison(
        labels=samples.labels,
        float_scores=float_scores(network, samples.images),
        quantised_classes=reference.classes,
        quantised_words=reference.words,
        device_classes=np.array([result.predicted for result in outcome.results], np.uint8),
        device_words=np.array([result.scores for result in outcome.results], np.uint32),
        integer_scores=graph.format.is_integer,
        original=samples.original,
        scores_are_codes=scores_as_codes(graph.ops[-1]),
    )


def _probe_images(carried: Sequence[Candidate], identity: Carried) -> list[bytes]:
    return [image_bytes(image) for image in probes(found_of(identity, carried).graph).images]
