"""Traces on an open board: which images, and what they show. Shared by `host verify --trace` and `host explain`."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from host import data
from host.compile.candidates import Candidate
from host.link import wire
from host.link.run import Outcome, image_bytes, stream
from host.link.trace import Tracer
from host.link.transport import Transport
from host.report.divergence import Trace, compare


def chosen(diverging: NDArray[np.intp], count: int, wanted: int) -> list[int]:
    """The first images that differ between board and reference; where none does, the first of all."""
    return list(map(int, diverging[:wanted])) or list(range(min(wanted, count)))


def check_that_it_traces(transport: Transport, carried: Sequence[Candidate], image: NDArray[np.uint8]) -> None:
    """Greet a board that was flashed by somebody; raise DeviceError, before the first image of a run, where its build
    does not trace."""
    greeted = stream(transport, [], carried)
    program = found_of(greeted, carried).program(greeted.ready.weights_crc)
    Tracer(transport, greeted.ready, program.outputs).trace(image_bytes(image))


def found_of(outcome: Outcome, carried: Sequence[Candidate]) -> Candidate:
    """Which of them the board has."""
    return next(each for each in carried if each.model_hash == outcome.identity.model_hash)


def trace_images(
    transport: Transport,
    outcome: Outcome,
    found: Candidate,
    split: data.Split,
    indices: Sequence[int],
    baud: int | None = None,
    diverging: Container[int] = (),
) -> list[Trace]:
    """Each of the images again, right behind the one before it as in the run, and what its steps put out."""
    if not indices:
        return []
    program = found.program(outcome.ready.weights_crc)
    tracer = Tracer(transport, outcome.ready, program.outputs, baud=baud or wire.DEFAULT_BAUD)
    traces = []
    for index in indices:
        image, label = split.images[index], int(split.labels[index])
        before = image_bytes(split.images[index - 1]) if index else None
        traced = tracer.trace(image_bytes(image), before)
        traces.append(compare(program, image, traced, index, label, differed=index in diverging))
    return traces
