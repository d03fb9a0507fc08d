"""Traces on an open board: which images, and what they show. Shared by verification and explanation."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
from numpy.typing import NDArray

from host.compile.candidates import Candidate
from host.compile.program import Program
from host.data import Samples
from host.link import wire
from host.link.identity import Carried
from host.link.run import Outcome, image_bytes, stream
from host.link.trace import OtherStepsError, Tracer
from host.link.transport import Transport
from host.report.divergence import Trace, compare


def chosen(diverging: NDArray[np.intp], count: int, wanted: int) -> list[int]:
    """The first images that differ between board and reference; where none does, the first of all."""
    return list(map(int, diverging[:wanted])) or list(range(min(wanted, count)))


def check_that_it_traces(transport: Transport, carried: Sequence[Candidate], image: NDArray[np.uint8]) -> None:
    """Greet a board that was flashed by somebody; raise DeviceError, before the first image of a run, where its build
    does not trace."""
    greeted = stream(transport, [], carried)
    _program_of(transport, greeted, found_of(greeted.identity, carried), image, wire.DEFAULT_BAUD)


def found_of(identity: Carried, carried: Sequence[Candidate]) -> Candidate:
    """The one that the board said it carries."""
    return next(each for each in carried if each.model_hash == identity.model_hash)


def trace_images(
    transport: Transport,
    outcome: Outcome,
    found: Candidate,
    samples: Samples,
    indices: Sequence[int],
    baud: int | None = None,
    diverging: Container[int] = (),
) -> list[Trace]:
    """Each of the images again, right behind the one before it as in the run, and what its steps put out."""
    if not indices:
        return []
    rate = baud or wire.DEFAULT_BAUD
    program = _program_of(transport, outcome, found, samples.images[indices[0]], rate)
    tracer = Tracer(transport, outcome.ready, program.outputs, baud=rate)
    traces = []
    for index in indices:
        image, label = samples.images[index], samples.label(index)
        before = image_bytes(samples.images[index - 1]) if index else None
        traced = tracer.trace(image_bytes(image), before)
        traces.append(compare(program, image, traced, index, label, differed=index in diverging))
    return traces


def _program_of(
    transport: Transport, outcome: Outcome, found: Candidate, image: NDArray[np.uint8], baud: int
) -> Program:
    """Of the programs with the board's CRC the one whose steps it runs; raise DeviceError where it runs none's."""
    crc = outcome.ready.weights_crc
    several = {tuple(program.outputs.items()): program for program in reversed(found.programs(crc))}
    refused: OtherStepsError | None = None
    for program in reversed(several.values()):
        try:
            Tracer(transport, outcome.ready, program.outputs, baud=baud).trace(image_bytes(image))
        except OtherStepsError as error:
            refused = error
        else:
            return program
    raise refused or OtherStepsError(
        "board: trace: found a program of an earlier version, need one whose steps are known; export again and flash it"
    )
